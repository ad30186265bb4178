"""Which servers a vehicle talks to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.telemetry.guard import Guard, guard_of
from fairway.errors import BadInput, Denied
from fairway.identity import Identity, Kind, Scope

HOST = "ingest.eu.example"


def uris(region: str, kind: Kind = Kind.CLOUD) -> list[str]:
    identity = Identity(Scope(region, "default"), kind, "fairway", "0" * 32)
    return [identity.urn, identity.certificate_urn]


EU, US, FOREIGN = uris("eu"), uris("us"), ["https://broker.example"]
TOLD = guard_of("eu", (), [])
TOLD_WITH_HOSTS = guard_of("eu", ("*.eu.example",), [])
OWN = guard_of("", (), uris("eu", Kind.VEHICLE))
NONE = guard_of("", (), [])


@pytest.mark.parametrize(
    ("guard", "shown", "says"),
    [
        (TOLD, EU, ""),
        (TOLD, US, "is of region us, and this vehicle is of eu: nothing is sent there"),
        (TOLD, FOREIGN, "says no region, and this vehicle is of eu"),
        (TOLD, [], "says no region, and this vehicle is of eu"),
        (TOLD, uris("eu", Kind.VEHICLE), "the certificate of a vehicle, and is no cloud"),
        (TOLD, [*EU, *US], "cannot be believed"),
        (TOLD_WITH_HOSTS, EU, ""),
        (TOLD_WITH_HOSTS, US, "is of region us"),
        (TOLD_WITH_HOSTS, FOREIGN, ""),
        (OWN, EU, ""),
        (OWN, US, "is of region us"),
        (OWN, FOREIGN, ""),
        (NONE, US, ""),
        (NONE, FOREIGN, ""),
    ],
)
def test_a_server_is_of_the_vehicles_region_or_is_hung_up_on(
    guard: Guard, shown: list[str], says: str
):
    if not says:
        guard.check_server(HOST, shown)
        return
    with pytest.raises(Denied, match=says):
        guard.check_server(HOST, shown)


@pytest.mark.parametrize(
    ("host", "is_of_it"),
    [
        ("ingest.eu.example", True),
        ("INGEST.EU.EXAMPLE.", True),
        ("a.b.eu.example", True),
        ("broker.example", True),
        ("eu.example", False),
        ("neu.example", False),
        ("ingest.eu.example.evil.test", False),
        ("ingest.us.example", False),
        ("x.broker.example", False),
    ],
)
def test_a_host_is_one_of_the_regions_or_is_not_asked(host: str, *, is_of_it: bool):
    guard = guard_of("eu", ("*.eu.example", "broker.example"), [])
    if is_of_it:
        guard.check_host(host)
        return
    with pytest.raises(BadInput, match=r"is not a host of this vehicle's region eu"):
        guard.check_host(host)


def test_a_region_that_the_certificate_does_not_say_is_a_mistake():
    with pytest.raises(BadInput, match="vehicle.region is us, and the vehicle's certificate is of"):
        guard_of("us", (), uris("eu", Kind.VEHICLE))


@pytest.mark.parametrize("pattern", ["", "*", "*.", "*.*.example", "eu.*", "*..example"])
def test_a_pattern_that_would_let_in_anything_is_refused(pattern: str):
    with pytest.raises(BadInput, match="is no host"):
        guard_of("eu", (pattern,), [])


@given(st.lists(st.text() | st.text().map("urn:fairway:".__add__)))
def test_garbage_in_a_certificate_is_refused_in_one_sentence(shown: list[str]):
    with pytest.raises(Denied) as refused:
        TOLD.check_server(HOST, shown)
    assert "\n" not in str(refused.value)
