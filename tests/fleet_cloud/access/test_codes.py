"""Authorization codes: for one client on this machine, once, with the verifier behind the challenge."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput, Denied
from fleet_cloud.access.codes import CODE_S, Wish, check_code, code_of, loopback_address, wish_of

NOW = 1_780_000_000_000_000_000
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
BACK = "http://127.0.0.1:7000/back"
ASKED = {
    "response_type": "code",
    "client_id": "fairway-console",
    "code_challenge_method": "S256",
    "redirect_uri": BACK,
    "code_challenge": CHALLENGE,
}
SHOWN = {"client_id": "fairway-console", "redirect_uri": BACK, "code_verifier": VERIFIER}


def test_a_code_is_good_for_whom_it_was_made():
    code = code_of("ann", wish_of(ASKED), NOW)

    assert check_code(code, SHOWN, NOW).user == "ann"


@pytest.mark.parametrize(
    "shown",
    [
        {**SHOWN, "code_verifier": "w" * 43},
        {**SHOWN, "code_verifier": ""},
        {**SHOWN, "redirect_uri": BACK + "2"},
        {**SHOWN, "client_id": "other"},
        {},
    ],
)
def test_a_code_is_good_for_nobody_else(shown):
    with pytest.raises(Denied):
        check_code(code_of("ann", wish_of(ASKED), NOW), shown, NOW)


def test_a_code_grows_old():
    code = code_of("ann", Wish(BACK, CHALLENGE, "", ""), NOW)
    with pytest.raises(Denied):
        check_code(code, SHOWN, NOW + CODE_S * 10**9)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("response_type", "token"),
        ("client_id", "other"),
        ("code_challenge_method", "plain"),
        ("code_challenge", ""),
        ("state", "s" * 600),
        ("redirect_uri", "https://evil.example/"),
        ("redirect_uri", "http://127.0.0.1@evil.example/"),
        ("redirect_uri", "http://127.0.0.1.evil.example/"),
        ("redirect_uri", "javascript:alert(1)//127.0.0.1"),
        ("redirect_uri", "http://127.0.0.1/#f"),
        ("redirect_uri", "http://127.0.0.1/\r\nX: y"),
    ],
)
def test_a_wish_that_leads_elsewhere_is_refused(name: str, value: str):
    with pytest.raises(BadInput):
        wish_of({**ASKED, name: value})


@given(text=st.text(max_size=60) | st.text(max_size=30).map(lambda text: f"http://127.0.0.1{text}"))
def test_any_text_is_an_address_here_or_one_sentence(text: str):
    try:
        address = loopback_address(text)
    except BadInput:
        return
    assert address.startswith(("http", "HTTP"))
    assert address.isprintable()
