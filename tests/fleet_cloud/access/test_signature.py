"""Signatures of AWS's version 4, against the signer of botocore."""

import datetime as dt
from dataclasses import replace

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from fairway.clock import NS_PER_S
from fairway.errors import Denied
from fleet_cloud.access.signature import (
    DRIFT_NS,
    Shown,
    SignedRequest,
    check_date,
    is_signed_with,
    shown_signature,
)

KEY, SECRET = "FWAK0123456789ABCDEF", "a/secret+of/forty+characters/in/base64+ab"
TARGET = "IoTAutobahnControlPlane.GetFleet"


def signed(
    body: bytes = b"{}", *, secret: str = SECRET, headers: dict[str, str] | None = None
) -> tuple[Shown, SignedRequest]:
    """A request as botocore signs it now, and what it shows."""
    request = AWSRequest(
        "POST",
        "http://127.0.0.1:8080/",
        {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": TARGET, **(headers or {})},
        body,
    )
    SigV4Auth(Credentials(KEY, secret), "iotfleetwise", "eu-west-1").add_auth(request)
    found = [(name.lower(), str(value)) for name, value in request.headers.items()]
    found.append(("host", "127.0.0.1:8080"))
    return shown_signature(dict(found)["authorization"]), SignedRequest("POST", "/", found, body)


def other(request: SignedRequest, **headers: str) -> SignedRequest:
    """The request with other headers."""
    kept = [(name, headers.get(name.replace("-", "_"), value)) for name, value in request.headers]
    return SignedRequest(request.method, request.path, kept, request.body)


@given(st.binary(max_size=200), st.text("abcXYZ019+/", min_size=1, max_size=60))
def test_what_botocore_signs_is_signed_with_that_secret_and_no_other(body: bytes, secret: str):
    shown, request = signed(body, secret=secret)

    assert is_signed_with(secret, shown, request)
    assert not is_signed_with(f"{secret}x", shown, request)
    assert (shown.access_key_id, shown.service) == (KEY, "iotfleetwise")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_a_header_is_signed_with_its_spaces_folded(value: str):
    shown, request = signed(headers={"X-Amz-Meta": f"a {value}  b"})

    assert "x-amz-meta" in shown.headers
    assert is_signed_with(SECRET, shown, request)


def test_nothing_that_was_signed_can_be_another():
    shown, request = signed()
    assert is_signed_with(SECRET, shown, request)

    for changed in (
        SignedRequest("POST", "/", request.headers, b"{} "),
        SignedRequest("PUT", "/", request.headers, b"{}"),
        SignedRequest("POST", "/x", request.headers, b"{}"),
        other(request, host="other.example"),
        other(request, x_amz_target="IoTAutobahnControlPlane.DeleteFleet"),
        other(request, x_amz_date="20231114T221320Z"),
        other(request, content_type="text/plain"),
    ):
        assert changed != request
        assert not is_signed_with(SECRET, shown, changed)
    for changed_scope in (
        replace(shown, region="us-east-1"),
        replace(shown, service="iam"),
        replace(shown, date="20231114"),
        replace(shown, signature="0" * 64),
    ):
        assert not is_signed_with(SECRET, changed_scope, request)


def test_a_signed_header_that_is_there_twice_or_not_at_all_is_refused():
    shown, request = signed()
    for headers in (
        [*request.headers, ("host", "other.example")],
        [(name, value) for name, value in request.headers if name != "x-amz-target"],
    ):
        with pytest.raises(Denied, match="is there"):
            is_signed_with(SECRET, shown, SignedRequest("POST", "/", headers, b"{}"))


AUTHORIZATION = (
    f"AWS4-HMAC-SHA256 Credential={KEY}/20231114/eu/iotfleetwise/aws4_request,"
    f" SignedHeaders=host;x-amz-date;x-amz-target, Signature={'0' * 64}"
)


@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-target"])
def test_what_must_be_signed_is_asked_for(name: str):
    with pytest.raises(Denied, match=f"{name} must be signed"):
        shown_signature(AUTHORIZATION.replace(name, "zzz").replace("zzz;", "").replace(";zzz", ""))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "Bearer fwk_1",
        AUTHORIZATION.replace("SHA256", "SHA1"),
        AUTHORIZATION.replace("aws4_request", "aws3_request"),
        AUTHORIZATION.replace("host;x-amz-date", "x-amz-date;host"),
        AUTHORIZATION.replace("host;", "host;host;"),
        AUTHORIZATION[:-1],
        AUTHORIZATION + ", x=y",
        AUTHORIZATION.replace("20231114", "٢٠٢٣١١١٤"),
    ],
)
def test_anything_else_is_no_signature(wrong: str):
    with pytest.raises(Denied):
        shown_signature(wrong)


@given(st.text(max_size=300))
def test_garbage_is_denied_and_nothing_worse(text: str):
    with pytest.raises(Denied):
        shown_signature(text)


NOW = dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=dt.UTC)
NOW_NS = round(NOW.timestamp()) * NS_PER_S


@pytest.mark.parametrize("by_s", [0, 299, -300])
def test_a_signature_is_good_for_five_minutes(by_s: int):
    check_date(shown_signature(AUTHORIZATION), at(by_s), NOW_NS)


@pytest.mark.parametrize("by_s", [301, -301, 3600])
def test_a_later_or_an_earlier_one_is_denied(by_s: int):
    with pytest.raises(Denied, match=f"more than {DRIFT_NS // NS_PER_S} s away"):
        check_date(shown_signature(AUTHORIZATION), at(by_s), NOW_NS)


def at(by_s: int) -> str:
    return f"{NOW + dt.timedelta(seconds=by_s):%Y%m%dT%H%M%SZ}"


@pytest.mark.parametrize(
    "date", ["", "20231115T000000Z", "20231114T999999Z", "2023-11-14", "20231114T221320"]
)
def test_a_date_that_is_none_or_not_of_the_credential_is_denied(date: str):
    with pytest.raises(Denied, match="date of the signature"):
        check_date(shown_signature(AUTHORIZATION), date, NOW_NS)
