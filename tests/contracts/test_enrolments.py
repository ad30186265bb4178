"""What every keeper of claims and enrolments promises: in memory, SQLite and PostgreSQL."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fairway.errors import BadInput, Conflict
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.registry import Registry, open_registry
from fleet_cloud.enrolment.model import Allowance, Claim, Enrolment, EnrolmentState, Standing
from tests.postgres import postgres  # noqa: F401 - a fixture

S = 1_000_000_000
NOW = 1_780_000_000 * S
CLAIM = Claim("acme", "line-4", "ab" * 32, "1f", NOW, NOW + 90 * 86_400 * S)
KEY, OTHER_KEY = "11" * 32, "22" * 32


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    if request.param == "memory":
        yield memory_registry()
        return
    is_file = request.param == "sqlite"
    url = (
        sqlite_url(tmp_path / "r.sqlite") if is_file else request.getfixturevalue("postgres").url()
    )
    opened = open_registry(url, "eu")
    yield opened
    opened.close()


def enrolment(
    number: int,
    vehicle: str = "VIN1",
    *,
    key: str = KEY,
    claim: str = "line-4",
    tenant: str = "acme",
    at_ns: int = NOW,
) -> Enrolment:
    return Enrolment(
        f"{number:032x}",
        tenant,
        vehicle,
        claim,
        key,
        EnrolmentState.TAKEN,
        at_ns,
        hardware_serial="HU-7",
        agent_version="1.0",
    )


def issued(one: Enrolment, at_ns: int = NOW) -> Enrolment:
    return replace(
        one, state=EnrolmentState.ISSUED, decided_time_ns=at_ns, certificate_pem=b"\0pem"
    )


def test_a_claim_is_kept_with_its_list_and_its_name_is_its_tenants(registry: Registry):
    registry.claims.create(CLAIM, ["VIN2", "VIN1", "VIN2"])
    registry.claims.create(replace(CLAIM, tenant="other"), [])
    with pytest.raises(Conflict, match="already"):
        registry.claims.create(CLAIM, ["VIN3"])

    assert registry.claims.claims() == [
        (CLAIM, [Allowance("VIN1"), Allowance("VIN2")]),
        (replace(CLAIM, tenant="other"), []),
    ]


def test_a_claim_ends_once_and_an_unknown_one_never_begins(registry: Registry):
    registry.claims.create(CLAIM, [])
    registry.claims.revoke("acme", "line-4", NOW + S)

    assert registry.claims.claims()[0][0].revoked_time_ns == NOW + S
    for name in ("line-4", "line-5"):
        with pytest.raises(BadInput, match="in force"):
            registry.claims.revoke("acme", name, NOW)
    with pytest.raises(BadInput, match="no claim"):
        registry.claims.allow("acme", "line-5", ["VIN1"])


def test_an_allowance_is_good_for_one_request_until_it_is_given_again(registry: Registry):
    registry.claims.create(CLAIM, ["VIN1"])

    assert registry.enrolments.open(enrolment(1))
    assert not registry.enrolments.open(enrolment(2, key=OTHER_KEY))
    assert not registry.enrolments.open(enrolment(3, "VIN2"))
    assert not registry.enrolments.open(enrolment(4, tenant="other"))
    registry.claims.allow("acme", "line-4", ["VIN1", "VIN2"])
    assert registry.enrolments.open(enrolment(5, key=OTHER_KEY))
    assert [one.id for one in registry.enrolments.enrolments()] == [f"{n:032x}" for n in (5, 1)]


def test_of_many_who_want_the_same_allowance_one_gets_it(registry: Registry):
    registry.claims.create(CLAIM, ["VIN1"])
    won, start = list[int](), threading.Barrier(8)

    def race(number: int) -> None:
        start.wait()
        if registry.enrolments.open(enrolment(number, key=f"{number:064x}")):
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    used = registry.claims.claims()[0][1][0]
    assert used == Allowance("VIN1", f"{won[0]:064x}", NOW)


def test_a_renewal_needs_no_allowance(registry: Registry):
    assert registry.enrolments.open(enrolment(1, claim=""))
    assert registry.enrolments.open(enrolment(2, claim=""))


def test_a_request_is_settled_from_the_state_it_was_in_and_once(registry: Registry):
    first = enrolment(1, claim="")
    registry.enrolments.open(first)

    assert not registry.enrolments.settle(issued(first), EnrolmentState.PENDING)
    assert registry.enrolments.settle(issued(first), EnrolmentState.TAKEN)
    assert not registry.enrolments.settle(issued(first), EnrolmentState.TAKEN)
    assert registry.enrolments.enrolments(EnrolmentState.ISSUED) == [issued(first)]
    assert registry.enrolments.enrolments(EnrolmentState.PENDING) == []


def test_the_standing_is_the_newest_of_that_vehicle_tenant_and_key(registry: Registry):
    registry.claims.create(CLAIM, ["VIN1"])
    assert registry.enrolments.standing("acme", "line-4", "VIN1", KEY) == Standing(
        CLAIM, Allowance("VIN1")
    )
    registry.enrolments.open(enrolment(1))
    registry.enrolments.settle(issued(enrolment(1), NOW + 9 * S), EnrolmentState.TAKEN)
    for number, key in ((2, OTHER_KEY), (3, KEY), (4, OTHER_KEY)):
        one = enrolment(number, claim="", key=key, at_ns=NOW + number * S)
        registry.enrolments.open(one)
        if number < 4:
            registry.enrolments.settle(issued(one, NOW + number * S), EnrolmentState.TAKEN)
    registry.enrolments.open(enrolment(5, claim="", tenant="other", at_ns=NOW + 5 * S))

    newest = issued(enrolment(3, claim="", at_ns=NOW + 3 * S), NOW + 3 * S)
    assert registry.enrolments.standing("acme", "line-4", "VIN1", KEY) == Standing(
        CLAIM, Allowance("VIN1", KEY, NOW), newest, NOW + 3 * S
    )
    assert registry.enrolments.standing("other", "", "VIN1", OTHER_KEY) == Standing()


def test_another_region_in_the_same_database_sees_nothing(tmp_path: Path):
    url = sqlite_url(tmp_path / "r.sqlite")
    here, there = open_registry(url, "eu"), open_registry(url, "cn")
    here.claims.create(CLAIM, ["VIN1"])
    here.enrolments.open(enrolment(1))

    assert there.claims.claims() == [] == there.enrolments.enrolments()
    assert there.enrolments.standing("acme", "line-4", "VIN1", KEY) == Standing()
    assert not there.enrolments.settle(issued(enrolment(1)), EnrolmentState.TAKEN)
    here.close()
    there.close()
