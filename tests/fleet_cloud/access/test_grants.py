"""Who may do what to whose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fleet_cloud.access.grants import Grant, Principal, gives, grant_of, may, may_somewhere
from fleet_cloud.access.roles import Permission, Role

READ, METRICS, WRITE = Permission.TELEMETRY_READ, Permission.METRICS_READ, Permission.KEYS_WRITE


def holder(*grants: str) -> Principal:
    return Principal("key:1", tuple(grant_of(text) for text in grants))


@pytest.mark.parametrize(
    ("grants", "permission", "where", "allowed"),
    [
        ((), READ, ("acme", "north"), False),
        (("viewer@acme",), READ, ("acme", "north"), True),
        (("viewer@acme",), READ, ("umbrella", "north"), False),
        (("viewer@acme/north",), READ, ("acme", "north"), True),
        (("viewer@acme/north",), READ, ("acme", "south"), False),
        (("viewer@acme/north",), READ, ("acme", "*"), False),  # the tenant as a whole
        (("viewer@*",), READ, ("umbrella", "*"), True),
        (("viewer@*",), WRITE, ("umbrella", "*"), False),
        (("viewer@acme/north", "admin@umbrella"), WRITE, ("acme", "north"), False),
        (("viewer@acme/north", "admin@umbrella"), WRITE, ("umbrella", "*"), True),
        (("release-author@acme",), READ, ("acme", "north"), False),
    ],
)
def test_a_grant_allows_what_its_role_may_where_it_says(grants, permission, where, allowed):
    assert may(holder(*grants), permission, *where) is allowed


@pytest.mark.parametrize(
    ("grant", "permission", "allowed"),
    [
        ("operator@acme", METRICS, False),
        ("operator@*", METRICS, True),
        ("viewer@*", METRICS, False),
        ("viewer@acme/north", READ, True),
        ("privacy-officer@acme", READ, False),
    ],
)
def test_what_is_about_all_tenants_needs_a_grant_over_all(grant, permission, allowed):
    assert may_somewhere(holder(grant), permission) is allowed


@pytest.mark.parametrize(
    ("holds", "given_", "allowed"),
    [
        ("admin@*", "admin@*", True),
        ("admin@acme", "viewer@acme", True),
        ("admin@acme", "admin@acme/north", True),
        ("admin@acme", "viewer@umbrella", False),
        ("admin@acme", "viewer@*", False),
        ("admin@acme/north", "viewer@acme", False),
        ("operator@acme", "viewer@acme", False),
    ],
)
def test_nobody_gives_what_they_do_not_hold(holds, given_, allowed):
    assert gives(holder(holds), WRITE, grant_of(given_)) is allowed


def test_a_grant_without_a_tenant_is_of_the_one_that_is_meant():
    assert grant_of("viewer", tenant="acme") == Grant(Role.VIEWER, "acme")
    with pytest.raises(BadInput):
        grant_of("viewer")


@given(text=st.text(max_size=30) | st.from_regex(r"(viewer|admin)(@[a*/]{0,4})?", fullmatch=True))
def test_any_text_is_a_grant_that_reads_back_or_one_sentence(text: str):
    try:
        grant = grant_of(text)
    except BadInput:
        return
    assert grant_of(str(grant)) == grant
