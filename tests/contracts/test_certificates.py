"""What every keeper of certificates promises: in memory, SQLite and PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.registry import Registry, open_registry
from fleet_cloud.vehicles.certificates import OVERLAP_NS, Certificate, CertificateState, members
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from tests.postgres import postgres  # noqa: F401 - a fixture

S = 1_000_000_000
NOW = 1_780_000_000 * S
YEAR = 365 * 86_400 * S


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


def certificate(number: int, vehicle: str = "VIN1", issued_ns: int = NOW) -> Certificate:
    hexadecimal = f"{number:032x}"
    return Certificate(
        hexadecimal * 2, hexadecimal, vehicle, f"{number:x}", issued_ns, issued_ns + YEAR
    )


def added(registry: Registry, vehicle: str = "VIN1", tenant: str = "default") -> None:
    registry.vehicles.add(Vehicle(vehicle, tenant, VehicleState.ACTIVE, NOW, None))


def states(registry: Registry, vehicle: str = "VIN1") -> dict[str, str]:
    found = registry.certificates.of_vehicle(vehicle)
    return {one.serial: one.state.value for one in found}


def test_a_newer_certificate_supersedes_the_one_before(registry: Registry):
    added(registry)
    registry.certificates.record(certificate(1))
    registry.certificates.record(certificate(2, issued_ns=NOW + S))

    newest, before = registry.certificates.of_vehicle("VIN1")
    assert newest == certificate(2, issued_ns=NOW + S)
    assert before == replace(
        certificate(1), state=CertificateState.SUPERSEDED, ended_time_ns=NOW + S
    )


def test_a_replaced_one_is_revoked_whatever_it_was(registry: Registry):
    added(registry)
    for number in (1, 2):
        registry.certificates.record(certificate(number))
    registry.certificates.record(certificate(3), replaces=True)

    assert states(registry) == {"1": "revoked", "2": "revoked", "3": "active"}
    assert {one.reason for one in registry.certificates.of_vehicle("VIN1")} == {"", "replaced"}


def test_recording_again_changes_nothing_of_it(registry: Registry):
    added(registry)
    registry.certificates.record(certificate(1))
    registry.certificates.revoke("VIN1", NOW, "stolen")
    registry.certificates.record(certificate(1))

    assert states(registry) == {"1": "revoked"}


def test_one_or_all_are_revoked_and_none_twice(registry: Registry):
    added(registry)
    added(registry, "VIN2")
    for number in (1, 2):
        registry.certificates.record(certificate(number))
    registry.certificates.record(certificate(9, "VIN2"))

    assert registry.certificates.revoke("VIN1", NOW, "lost", sha256=certificate(1).sha256) == 1
    assert registry.certificates.revoke("VIN1", NOW, "lost", sha256=certificate(1).sha256) == 0
    assert registry.certificates.revoke("VIN1", NOW, "sold") == 1
    assert registry.certificates.revoke("nobody", NOW, "sold") == 0
    assert states(registry, "VIN2") == {"9": "active"}


def test_every_change_moves_the_fleet_on_and_is_told_once(registry: Registry):
    added(registry)
    first = registry.vehicles.changes(0).revision
    registry.certificates.record(certificate(1))
    second = registry.vehicles.changes(first).revision
    registry.certificates.revoke("VIN1", NOW, "lost")
    third = registry.vehicles.changes(second).revision

    assert first < second < third
    told = registry.certificates.changed(second, third)
    assert [one.state for one in told] == [CertificateState.REVOKED]
    assert registry.certificates.changed(third, third) == []


def test_members_are_let_in_by_what_is_good_at_that_moment(registry: Registry):
    added(registry)
    vehicles = [found for found in [registry.vehicles.vehicle("VIN1")] if found]
    registry.certificates.record(certificate(1))
    registry.certificates.record(certificate(2, issued_ns=NOW + S))
    known = registry.certificates.of_vehicle("VIN1")

    def numbers(at_ns: int) -> list[list[int]]:
        found = members(vehicles, known, at_ns)
        return [sorted(int(number, 16) for number in member.numbers) for member in found]

    assert numbers(NOW + 2 * S) == [[1, 2]]
    assert numbers(NOW + S + OVERLAP_NS) == [[2]]
    assert numbers(NOW + S + YEAR) == []


def test_a_vehicle_without_any_certificate_here_is_told_by_its_name(registry: Registry):
    added(registry)
    vehicles = [found for found in [registry.vehicles.vehicle("VIN1")] if found]

    (member,) = members(vehicles, [], NOW)
    assert member.by_name
    assert member.shows("ab" * 32)
