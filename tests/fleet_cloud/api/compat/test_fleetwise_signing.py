"""Who is let in by a signature, and what is said to everybody else."""

import hashlib
import socket
from collections.abc import Iterator

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from fleet_cloud.audit.acts import Outcome
from tests.fleet_cloud.api.compat.conftest import Door, client_of, listening_door, signed_headers
from tests.fleet_cloud.api.conftest import bearer

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["__type"]


@pytest.fixture
def door() -> Iterator[Door]:
    """A door of the test's own: whoever fails too often at one waits."""
    with listening_door() as door:
        yield door


INVALID = (403, "InvalidSignatureException")


def test_boto3_is_let_in_with_its_key_and_not_with_another_secret(door: Door, tenant: str):
    key, secret = door.keys("admin", tenant)
    assert client_of(door.url, key, secret).list_fleets()["fleetSummaries"] == []

    for wrong in (secret[:-1] + ("A" if secret[-1] != "A" else "B"), "x" * 40):
        with pytest.raises(ClientError, match="InvalidSignatureException"):
            client_of(door.url, key, wrong).list_fleets()


def test_unknown_revoked_expired_and_wrong_are_refused_with_one_sentence(door: Door, tenant: str):
    revoked, expired = door.keys("admin", tenant), door.keys("admin", tenant, days=-1)
    door.cloud.keys.revoke(revoked[0][4:].lower(), 1)
    unknown = ("FWAK" + "0" * 16, revoked[1])
    answers = [door.ask(keys, "ListFleets") for keys in (revoked, expired, unknown)]
    answers.append(door.ask((door.keys("admin", tenant)[0], "x" * 40), "ListFleets"))

    assert {said(answer) for answer in answers} == {INVALID}
    assert len({answer.json()["message"] for answer in answers}) == 1


def test_nothing_of_a_signed_request_can_be_changed_on_its_way(door: Door, tenant: str):
    keys = door.keys("admin", tenant)
    body = b'{"fleetId": "all"}'
    good = signed_headers(door.url, keys, "GetFleet", body)

    def sent(content: bytes = body, path: str = "/", **changed: str) -> tuple[int, str]:
        headers = good | {name.replace("_", "-"): value for name, value in changed.items()}
        return said(httpx.post(f"{door.url}{path}", content=content, headers=headers))

    assert sent() == (400, "ResourceNotFoundException")
    assert sent(body + b" ") == INVALID
    assert sent(x_amz_target="IoTAutobahnControlPlane.DeleteFleet") == INVALID
    assert sent(host="other.example") == INVALID
    assert sent(x_amz_date="20231114T221320Z") == INVALID
    assert sent(path="/?fleetId=other") == INVALID
    assert sent(x_amz_content_sha256="UNSIGNED-PAYLOAD") == INVALID
    assert sent(x_amz_content_sha256=hashlib.sha256(b"").hexdigest()) == INVALID
    assert sent(x_amz_security_token="token") == INVALID


def test_an_old_signature_is_refused_and_says_so(door: Door, tenant: str):
    keys = door.keys("admin", tenant)
    headers = signed_headers(door.url, keys, "ListFleets", b"{}")
    headers["x-amz-date"] = "20231114T221320Z"
    scope = headers["authorization"].split("/")
    scope[1] = "20231114"
    headers["authorization"] = "/".join(scope)
    answer = httpx.post(f"{door.url}/", content=b"{}", headers=headers)

    assert said(answer) == INVALID
    assert "set the clock" in answer.json()["message"]


def test_a_signature_for_another_service_is_refused(door: Door, tenant: str):
    key, secret = door.keys("admin", tenant)
    headers = signed_headers(door.url, (key, secret), "ListFleets", b"{}")
    headers["authorization"] = headers["authorization"].replace("/iotfleetwise/", "/iot/")

    assert said(httpx.post(f"{door.url}/", content=b"{}", headers=headers)) == INVALID


def test_a_request_without_a_signature_is_told_how_to_get_one(door: Door):
    answer = httpx.post(
        f"{door.url}/", headers={"X-Amz-Target": "IoTAutobahnControlPlane.ListFleets"}
    )

    assert said(answer) == (403, "MissingAuthenticationTokenException")
    assert "fleet-cloud key create --aws" in answer.json()["message"]


def test_neither_kind_of_key_is_good_as_the_other(door: Door, tenant: str):
    key, secret = door.keys("admin", tenant)
    plain = door.cloud.key("admin", tenant)
    identifier, plain_secret = plain.split("_")[1:]

    for credential in (f"fwk_{key[4:].lower()}_{secret}", secret, key):
        answer = httpx.get(f"{door.url}/v1/me", headers=bearer(credential))
        assert answer.status_code == 401
    assert said(door.ask((f"FWAK{identifier.upper()}", plain_secret), "ListFleets")) == INVALID
    answer = httpx.post(f"{door.url}/", headers=bearer(plain), content=b"{}")
    assert said(answer) == INVALID


def test_no_body_is_read_of_who_names_no_key_in_force(door: Door, tenant: str):
    door.keys("admin", tenant)
    headers = signed_headers(door.url, ("FWAK" + "0" * 16, "x"), "ListFleets", b"{}")

    host, port = door.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as asking:
        head = [f"{name}: {value}" for name, value in {**headers, "host": f"{host}:{port}"}.items()]
        head = ["POST / HTTP/1.1", *head, "content-length: 4000000", "", ""]
        asking.sendall("\r\n".join(head).encode())
        said_at_once = asking.recv(4096)

    assert said_at_once.startswith(b"HTTP/1.1 403")


def test_whoever_guesses_waits_and_whoever_was_let_in_does_not(door: Door, tenant: str):
    good = door.keys("admin", tenant)
    assert door.ask(good, "ListFleets").status_code == 200
    answers = [said(door.ask(("FWAK" + "0" * 16, "x"), "ListFleets")) for _ in range(60)]

    assert (400, "ThrottlingException") in answers
    assert door.ask(good, "ListFleets").status_code == 200


def test_what_is_changed_and_what_is_denied_is_in_the_audit_log(door: Door, tenant: str):
    admin, viewer = door.client("admin", tenant), door.client("viewer", tenant)
    admin.create_signal_catalog(name="cars")
    admin.list_signal_catalogs()
    with pytest.raises(ClientError, match="models:write"):
        viewer.create_signal_catalog(name="vans")

    acts = [act for act in door.cloud.audit.acts if act.tenant == tenant]
    assert [(act.action, act.object) for act in acts] == [
        ("signal-catalog.create", "signal-catalog:cars")
    ]
    denied = [act for act in door.cloud.audit.acts if act.outcome is Outcome.DENIED]
    assert denied[-1].object == "route:POST / CreateSignalCatalog"


def test_an_operation_that_nobody_knows_is_said_to_be_none(door: Door, tenant: str):
    answer = door.ask(door.keys("admin", tenant), "MakeCoffee")

    assert said(answer) == (400, "UnknownOperationException")


def test_the_client_of_another_service_is_refused(door: Door, tenant: str):
    key, secret = door.keys("admin", tenant)
    other = boto3.client(
        "dynamodb", endpoint_url=door.url, region_name="eu-west-1", aws_access_key_id=key,
        aws_secret_access_key=secret,
    )  # fmt: skip

    with pytest.raises(ClientError, match="InvalidSignatureException"):
        other.list_tables()
