"""Identities as certificates spell them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.identity import Identity, Kind, Scope, identity_of, region_name, tenant_name

NUMBER = "0123456789abcdef0123456789abcdef"
REGIONS = st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True).filter(
    lambda name: name != "certificate"
)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)


@given(REGIONS, NAMES, st.sampled_from(Kind), NAMES, st.from_regex(r"[0-9a-f]{32}", fullmatch=True))
def test_an_identity_survives_its_urns(
    region: str, tenant: str, kind: Kind, name: str, number: str
):
    identity = Identity(Scope(region, tenant), kind, name, number)

    assert identity_of(["https://elsewhere", identity.certificate_urn, identity.urn]) == identity


@given(st.lists(st.one_of(st.text(), st.text().map("urn:fairway:".__add__)), max_size=4))
def test_garbage_is_refused_in_one_sentence(uris: list[str]):
    with pytest.raises(BadInput):
        identity_of(uris)


def test_two_identities_in_one_certificate_are_refused():
    one = Identity(Scope("eu", "acme"), Kind.VEHICLE, "VIN1", NUMBER)
    two = Identity(Scope("eu", "acme"), Kind.VEHICLE, "VIN2", NUMBER)

    with pytest.raises(BadInput, match="2 identities"):
        identity_of([one.urn, two.urn, one.certificate_urn])


@pytest.mark.parametrize("name", ["", "EU", "e u", "1eu", "eu:cn", "e" * 33, "certificate"])
def test_a_region_is_a_plain_word(name: str):
    with pytest.raises(BadInput, match="is not a region"):
        region_name(name)


@pytest.mark.parametrize("name", ["", "a:b", ".hidden", "a" * 65, "ü"])
def test_a_tenant_is_a_plain_name(name: str):
    with pytest.raises(BadInput, match="is not a tenant"):
        tenant_name(name)
