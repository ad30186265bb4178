"""API keys: shown once, kept as a hash, refused with one sentence."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput, Denied
from fleet_cloud.access.grants import Grant
from fleet_cloud.access.keys import fresh_key, holder, key_parts
from fleet_cloud.access.roles import Role

NOW = 1_780_000_000_000_000_000
KEPT, TEXT = fresh_key("ci", Grant(Role.VIEWER, "acme"), NOW, expires_time_ns=NOW + 10)


def test_a_key_lets_in_until_it_expires_and_is_not_what_is_kept():
    identifier, secret = key_parts(TEXT)

    assert identifier == KEPT.id
    assert secret not in repr(KEPT)
    assert len(secret) * 4 >= 128
    assert holder(KEPT, secret, NOW + 9).grants == (KEPT.grant,)
    assert holder(KEPT, secret, NOW + 9).until_ns == NOW + 10


def test_whatever_is_wrong_with_a_key_is_said_in_the_same_words():
    _, secret = key_parts(TEXT)
    said = set()
    for kept, shown, now_ns in [
        (None, secret, NOW),
        (KEPT, "0" * 48, NOW),
        (KEPT, secret, NOW + 10),
        (replace(KEPT, revoked_time_ns=NOW), secret, NOW),
    ]:
        with pytest.raises(Denied) as denied:
            holder(kept, shown, now_ns)
        said.add(str(denied.value))

    assert said == {"the API key is unknown, expired or revoked"}


@given(text=st.text(max_size=80) | st.text(max_size=60).map(lambda text: f"fwk_{text}"))
def test_any_text_is_denied(text: str):
    with pytest.raises(Denied):
        key_parts(text)


@pytest.mark.parametrize("name", ["", " ci", "a\nb", "x" * 65, "é"])
def test_an_odd_name_is_refused(name: str):
    with pytest.raises(BadInput):
        fresh_key(name, KEPT.grant, NOW)
