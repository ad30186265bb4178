"""A registry of the first version, and what becomes of its rows; in SQLite and PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from fairway.ids import BatchName
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.registry import Registry, open_registry
from fleet_cloud.ingest.records import BatchKey, Claimant, DictionaryKey, Standing
from fleet_cloud.vehicles.certificates import CertificateState
from tests.postgres import postgres  # noqa: F401 - a fixture

S = 1_000_000_000
NOW = 1_700_000_000 * S
STREAM = "00000000000000aa"
HASH = "ab" * 32
ANN = Claimant("ann", NOW, lease_ns=30 * S)

ROWS = (
    "INSERT INTO tenants VALUES ('acme', 1)",
    (
        "INSERT INTO vehicles (id, tenant, state, registered_time_ns, last_seen_time_ns, certificate_sha256,"
        f" certificate_expires_time_ns, revision)"
        f" VALUES ('VIN1', 'acme', 'active', {NOW}, 7, '{HASH}', {NOW + S}, 1)"
    ),
    "UPDATE counters SET value = 1",
    f"INSERT INTO streams VALUES ('VIN1', '{STREAM}', 5, 0, '7-8')",
    f"INSERT INTO claims VALUES ('VIN1', '{STREAM}', 6, 'bob', {NOW})",
    (
        "INSERT INTO quarantine (vehicle, stream, sequence, reason, received_time_ns, size_bytes, kept_bytes,"
        f" payload) VALUES ('VIN1', '{STREAM}', 9, 'columns', {NOW}, 3, 3, :bytes)"
    ),
    "INSERT INTO dictionaries VALUES (:id, :bytes)",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A registry as the first version left it."""
    where = (
        sqlite_url(tmp_path / "registry.sqlite")
        if request.param == "sqlite"
        else str(request.getfixturevalue("postgres").url())
    )
    config = Config()
    config.set_main_option("script_location", "fleet_cloud:migrations")
    engine = create_engine(where)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for row in ROWS:
            connection.execute(text(row), {"id": b"12345678", "bytes": b"abc"})
    engine.dispose()
    return where


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    opened = open_registry(url, "eu")
    yield opened
    opened.close()


def test_vehicles_keep_what_was_known_of_them(registry: Registry):
    found = registry.vehicles.vehicle("VIN1")
    assert found is not None
    assert (found.tenant, found.last_seen_time_ns, found.may_connect) == ("acme", 7, True)
    assert [vehicle.id for vehicle in registry.vehicles.changes(0).vehicles] == ["VIN1"]


def test_their_certificates_become_rows(registry: Registry):
    (found,) = registry.certificates.of_vehicle("VIN1")

    assert (found.sha256, found.number, found.state) == (HASH, "", CertificateState.ACTIVE)
    assert (found.tenant, found.lets_in_until_ns) == ("acme", NOW + S)


def test_what_was_stored_stays_stored_and_what_was_claimed_stays_claimed(registry: Registry):
    keys = [BatchKey("acme", BatchName("VIN1", STREAM, n)) for n in range(5, 10)]

    standings = registry.ledger.claim(keys, ANN)

    assert [standings[key] for key in keys] == [
        Standing.STORED,
        Standing.HELD,
        Standing.STORED,
        Standing.STORED,
        Standing.MINE,
    ]


def test_dictionaries_and_misfits_are_kept(registry: Registry):
    key = DictionaryKey("acme", b"12345678")
    (misfit,) = registry.quarantine.entries(tenants=["acme"])

    assert registry.dictionaries.load([key]) == {key: b"abc"}
    assert (misfit.tenant, misfit.name) == ("acme", BatchName("VIN1", STREAM, 9))
    assert registry.quarantine.payload(misfit.id) == b"abc"


def test_nothing_of_it_is_seen_from_another_region(url: str):
    open_registry(url, "eu").close()
    other = open_registry(url, "cn")

    assert other.vehicles.vehicles() == []
    assert other.quarantine.entries() == []
    assert other.certificates.of_vehicle("VIN1") == []
    other.close()
