"""Claims let an app in when they are whole, meant for this agent and of this time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.broker.access import Action
from edge_agent.broker.claims import AHEAD_MAX_S, Expected, check, grant_of, revoked_ids
from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Denied

NOW_S = 1_800_000_000
NOW_NS = NOW_S * NS_PER_S
OURS = Expected(frozenset({"kuksa.val", "CAR-1/kuksa.val"}))
CLAIMS = {"sub": "app", "aud": ["kuksa.val"], "exp": NOW_S + 60, "scope": "read:Vehicle.Speed"}


def test_whole_claims_grant_their_scopes_until_they_expire():
    grant = grant_of(CLAIMS | {"iss": "ci", "jti": "7", "iat": NOW_S}, OURS, NOW_NS)

    assert (grant.subject, grant.issuer, grant.token_id) == ("app", "ci", "7")
    assert grant.rights.may(Action.READ, "Vehicle.Speed")
    assert grant.expires_ns == NOW_NS + 60 * NS_PER_S
    check(grant, frozenset(), NOW_NS + 60 * NS_PER_S - 1)
    with pytest.raises(Denied, match=r"^the token has expired"):
        check(grant, frozenset(), NOW_NS + 60 * NS_PER_S)
    with pytest.raises(Denied, match=r"^the token 7 has been revoked"):
        check(grant, frozenset({"7"}), NOW_NS)


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "kuksa.val"},
        {"aud": ["other", "CAR-1/kuksa.val"]},
        {"exp": NOW_S + 0.5},
        {"scope": ""},
        {"nbf": NOW_S + AHEAD_MAX_S, "iat": NOW_S + AHEAD_MAX_S},
    ],
)
def test_what_may_differ_is_let_in(change: dict[str, Any]):
    assert grant_of(CLAIMS | change, OURS, NOW_NS).subject == "app"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"aud": "other"}, "is for other, not for CAR-1/kuksa.val or kuksa.val"),
        ({"aud": []}, "is for , not for"),
        ({"exp": NOW_S}, "has expired"),
        ({"exp": 0}, "has expired"),
        ({"nbf": NOW_S + AHEAD_MAX_S + 1}, "begins in the future .nbf"),
        ({"iat": NOW_S + AHEAD_MAX_S + 1}, "begins in the future .iat"),
    ],
)
def test_who_is_not_let_in_now_is_denied(change: dict[str, Any], words: str):
    with pytest.raises(Denied, match=words):
        grant_of(CLAIMS | change, OURS, NOW_NS)


def test_the_issuer_counts_where_one_is_expected():
    expected = Expected(OURS.audiences, issuer="ci")

    assert grant_of(CLAIMS | {"iss": "ci"}, expected, NOW_NS).issuer == "ci"
    for other in ({}, {"iss": "cI"}):
        with pytest.raises(Denied, match="of the issuer"):
            grant_of(CLAIMS | other, expected, NOW_NS)


def test_where_tokens_can_be_revoked_each_needs_an_id():
    expected = Expected(OURS.audiences, revoked=revoked_ids("# stolen\n\n 7 # lost phone\n8"))

    assert expected.revoked == frozenset({"7", "8"})
    assert grant_of(CLAIMS | {"jti": "9"}, expected, NOW_NS).token_id == "9"
    for claims, words in [({}, "has no id"), ({"jti": "8"}, "the token 8 has been revoked")]:
        with pytest.raises(Denied, match=words):
            grant_of(CLAIMS | claims, expected, NOW_NS)


@pytest.mark.parametrize("name", sorted(CLAIMS))
@pytest.mark.parametrize("value", [None, {}, [1], True, float("nan"), -1, 1e300, "read:\n\0"])
def test_a_needed_claim_that_is_not_there_or_not_right_is_refused(name: str, value: object):
    claims: dict[str, Any] = {key: kept for key, kept in CLAIMS.items() if key != name}

    for wrong in (claims, claims | {name: value}):
        with pytest.raises((BadInput, Denied)):  # the audience may be another's text
            grant_of(wrong, OURS, NOW_NS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = ["sub", "aud", "exp", "scope", "iss", "nbf", "iat", "jti"]


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_claims_are_judged_in_words(change: dict[str, Any]):
    try:
        grant = grant_of(CLAIMS | change, OURS, NOW_NS)
    except (BadInput, Denied):
        return
    assert grant.expires_ns is not None
    assert grant.expires_ns > NOW_NS
