"""Signing in to the issuer of our own, as a browser and a client do it."""

import base64
import hashlib
import html
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.signers import file
from fleet_cloud.access.grants import Grant
from fleet_cloud.access.roles import Role
from fleet_cloud.access.users import User, kept_password
from fleet_cloud.adapters.memory_access import MemoryUsers
from fleet_cloud.adapters.oidc import OidcTokens, key_set
from fleet_cloud.adapters.own_issuer import OwnIssuer
from fleet_cloud.api import sign_in
from fleet_cloud.api.ports import SignIn
from tests.fleet_cloud.api.conftest import Client, Cloud, bearer, client_of, small_fleet

PASSWORD = "correct horse battery"
KEPT = kept_password(PASSWORD)
VERIFIER = "v" * 50
BACK = "http://127.0.0.1:7000/back"
ASKED = {
    "response_type": "code",
    "client_id": "fairway-console",
    "redirect_uri": BACK,
    "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest())
    .rstrip(b"=")
    .decode(),
    "code_challenge_method": "S256",
    "state": 'a"><script>',
    "nonce": "n",
    "scope": "openid",
}


@pytest.fixture
def people() -> SignIn:
    users = MemoryUsers()
    users.add(User("ann", Grant(Role.VIEWER, "default"), KEPT, 1))
    return SignIn(OwnIssuer("http://cloud", file.fresh()), users)


@pytest.fixture
def cloud(people: SignIn) -> Cloud:
    cloud = small_fleet()
    cloud.sign_in = people
    assert isinstance(people.maker, OwnIssuer)
    cloud.tokens = OidcTokens([people.maker.believed(people.users)], cloud.clock)
    return cloud


@pytest.fixture
def client(cloud: Cloud) -> Iterator[Client]:
    with client_of(cloud, "") as client:
        yield client


def signed_in(client: Client, name: str = "ann", password: str = PASSWORD, **more):
    form = {**ASKED, "username": name, "password": password}
    return client.request("POST", "/authorize", data=form, **more)


def code_of(client: Client) -> str:
    return parse_qs(urlsplit(signed_in(client).headers["location"]).query)["code"][0]


def redeemed(client: Client, code: str, **changed: str):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "fairway-console",
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
    }
    return client.request("POST", "/token", data={**form, **changed})


def test_a_person_signs_in_and_is_let_in(client: Client, cloud: Cloud):
    page = client.get("/authorize", params=ASKED)
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
    assert {name: html.unescape(value) for name, value in fields.items()} == ASKED
    assert "<script>" not in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]

    back = signed_in(client)
    told = parse_qs(urlsplit(back.headers["location"]).query)
    assert (back.status_code, told["state"]) == (303, [ASKED["state"]])
    assert back.headers["location"].startswith(f"{BACK}?code=")
    tokens = redeemed(client, told["code"][0]).json()
    found = client.get("/v1/me", headers=bearer(tokens["access_token"])).json()

    assert found["actor"] == "user:ann"
    assert found["grants"][0]["role"] == "viewer"
    said = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert (said["sub"], said["nonce"]) == ("ann", "n")
    assert [act.action for act in cloud.audit.acts] == ["user.sign_in"]


def test_who_is_removed_is_refused_at_once(client: Client, people: SignIn):
    shown = bearer(redeemed(client, code_of(client)).json()["access_token"])
    assert client.get("/v1/me", headers=shown).status_code == 200
    people.users.remove("ann")  # type: ignore[attr-defined] # the reader is the keeper here

    assert client.get("/v1/me", headers=shown).status_code == 401


def test_a_code_is_used_once_and_by_who_knows_the_verifier(client: Client):
    code = code_of(client)
    wrong = redeemed(client, code, code_verifier="w" * 50)
    late = redeemed(client, code)
    other = redeemed(client, "unknown")

    assert [answer.status_code for answer in (wrong, late, other)] == [400] * 3
    assert {answer.json()["error"] for answer in (wrong, late, other)} == {"invalid_grant"}
    assert redeemed(client, code, grant_type="password").json()["error"] == "unsupported_grant_type"


def test_wrong_names_and_passwords_look_alike_and_are_slow_to_guess(client: Client, cloud: Cloud):
    pages = [signed_in(client, name, "wrong") for name in ("ann", "eve", "../x")]
    assert {page.status_code for page in pages} == {401}
    assert len({page.text for page in pages}) == 1

    for number in range(sign_in.FAILURES.burst - len(pages)):
        signed_in(client, f"u{number}", "wrong")
    assert signed_in(client).status_code == 429
    cloud.clock.advance(60 * 10**9)
    assert signed_in(client).status_code == 303
    assert "wrong" not in str(cloud.audit.acts)
    assert {act.actor for act in cloud.audit.acts} == {"user:ann", "anonymous"}


@pytest.mark.parametrize("field", ["redirect_uri", "client_id", "code_challenge"])
def test_a_wish_of_another_client_is_a_problem_and_leads_nowhere(client: Client, field: str):
    for answer in (
        client.get("/authorize", params={**ASKED, field: "https://evil.example/"}),
        client.request("POST", "/authorize", data={**ASKED, field: "https://evil.example/"}),
    ):
        assert (answer.status_code, "location" in answer.headers) == (400, False)
        assert "evil" not in answer.text


def test_a_form_of_another_site_is_refused(client: Client):
    assert signed_in(client, headers={"Origin": "https://evil.example"}).status_code == 403
    assert signed_in(client, headers={"Origin": "http://cloud"}).status_code == 303


def test_what_is_published_is_what_clients_look_for(client: Client):
    about = client.get("/.well-known/openid-configuration").json()
    keys = key_set(client.get(urlsplit(about["jwks_uri"]).path).json())

    assert about["issuer"] == "http://cloud"
    assert [key.algorithms for key in keys.values()] == [("ES256",)]


def test_a_cloud_without_it_has_none_of_it():
    with client_of(small_fleet(), "") as client:
        for path in ("/authorize", "/jwks", "/.well-known/openid-configuration"):
            assert client.get(path).status_code == 404


@pytest.fixture(scope="module")
def anybody() -> Iterator[Client]:
    cloud = small_fleet()
    cloud.sign_in = SignIn(OwnIssuer("http://cloud", file.fresh()), MemoryUsers())
    with client_of(cloud, "") as client:
        yield client


FIELDS = [*ASKED, "username", "password", "grant_type", "code", "code_verifier"]


@given(
    path=st.sampled_from(["/authorize", "/token"]),
    fields=st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), st.text(max_size=20)),
    whole=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_form_is_answered_without_a_failure_of_ours(
    anybody: Client, path: str, fields: dict[str, str], whole
):
    form = {**ASKED, "grant_type": "authorization_code", **fields} if whole else fields
    body = urlencode(form, errors="surrogatepass").encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    assert anybody.request("POST", path, content=body, headers=kind).status_code in (400, 401, 429)


@given(body=st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_for_a_form_are_refused(anybody: Client, body: bytes):
    for path in ("/authorize", "/token"):
        assert anybody.request("POST", path, content=body).status_code == 400
