"""The registry's contract: vehicles, ledger, dictionaries, quarantine; in memory, SQLite and PostgreSQL."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from fairway.errors import BadInput, Conflict
from fairway.identity import DEFAULT_TENANT
from fairway.ids import BatchName
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.registry import Registry, open_registry
from fleet_cloud.adapters.registry_schema import NEWEST, metadata
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.ingest.records import BatchKey, Claimant, DictionaryKey, Misfit, Standing
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from tests.postgres import postgres  # noqa: F401 - a fixture

S = 1_000_000_000
NOW = 1_700_000_000 * S
ANN = Claimant("ann", NOW, lease_ns=30 * S)
BOB = Claimant("bob", NOW, lease_ns=30 * S)
STREAM = "00000000000000aa"

Open = Callable[[], Registry]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same registry again and again, as several processes would."""
    opened: list[Registry] = []
    if request.param == "memory":
        registry = memory_registry()
        yield lambda: registry
        return
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "registry.sqlite")
    else:
        url = request.getfixturevalue("postgres").url()

    def again() -> Registry:
        opened.append(open_registry(url))
        return opened[-1]

    yield again
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(reopen: Open) -> Registry:
    return reopen()


def vehicle(name: str) -> Vehicle:
    return Vehicle(name, DEFAULT_TENANT, VehicleState.ACTIVE, NOW, None, "ab" * 32, NOW + S)


def names(
    *sequences: int, stream: str = STREAM, of: str = "VIN1", tenant: str = DEFAULT_TENANT
) -> list[BatchKey]:
    return [BatchKey(tenant, BatchName(of, stream, sequence)) for sequence in sequences]


def test_an_added_vehicle_is_found_by_everyone(reopen: Open):
    reopen().vehicles.add(vehicle("VIN1"))

    assert reopen().vehicles.vehicle("VIN1") == vehicle("VIN1")
    assert reopen().vehicles.vehicle("VIN2") is None


def test_vehicles_are_listed_in_order_and_in_pages(registry: Registry):
    for name in ("c", "a", "b"):
        registry.vehicles.add(vehicle(name))

    assert [v.id for v in registry.vehicles.vehicles()] == ["a", "b", "c"]
    assert [v.id for v in registry.vehicles.vehicles(after="a", limit=1)] == ["b"]


def test_a_vehicle_cannot_be_added_twice(registry: Registry):
    registry.vehicles.add(vehicle("VIN1"))

    with pytest.raises(Conflict, match="registered already"):
        registry.vehicles.add(vehicle("VIN1"))


def test_a_removed_vehicle_may_not_connect_but_is_remembered(registry: Registry):
    registry.vehicles.add(vehicle("VIN1"))
    registry.vehicles.remove("VIN1")

    removed = registry.vehicles.vehicle("VIN1")
    assert removed is not None
    assert not removed.may_connect
    with pytest.raises(BadInput, match="no vehicle called VIN1"):
        registry.vehicles.remove("VIN1")


def test_a_removed_vehicle_comes_back_with_its_history(registry: Registry):
    registry.vehicles.add(vehicle("VIN1"))
    registry.vehicles.seen([("VIN1", NOW + 5)])
    registry.vehicles.remove("VIN1")

    registry.vehicles.add(vehicle("VIN1"))

    back = registry.vehicles.vehicle("VIN1")
    assert back is not None
    assert back.may_connect
    assert back.last_seen_time_ns == NOW + 5


def test_a_follower_reads_only_what_changed(registry: Registry):
    for name in ("a", "b", "c"):
        registry.vehicles.add(vehicle(name))
    first = registry.vehicles.changes(0)

    registry.vehicles.remove("b")
    second = registry.vehicles.changes(first.revision)
    third = registry.vehicles.changes(second.revision)

    assert [v.id for v in first.vehicles] == ["a", "b", "c"]
    assert [(v.id, v.state) for v in second.vehicles] == [("b", VehicleState.REMOVED)]
    assert third.vehicles == ()
    assert third.revision == second.revision


def test_the_latest_time_of_being_seen_wins(registry: Registry):
    registry.vehicles.add(vehicle("VIN1"))

    registry.vehicles.seen([("VIN1", NOW + 7), ("VIN1", NOW + 3), ("stranger", NOW)])

    seen = registry.vehicles.vehicle("VIN1")
    assert seen is not None
    assert seen.last_seen_time_ns == NOW + 7
    assert registry.vehicles.vehicle("stranger") is None


def test_a_free_batch_is_claimed_and_held_against_others(reopen: Open):
    ours, theirs = reopen(), reopen()

    assert ours.ledger.claim(names(1, 2), ANN) == dict.fromkeys(names(1, 2), Standing.MINE)
    assert theirs.ledger.claim(names(2, 3), BOB) == {
        names(2)[0]: Standing.HELD,
        names(3)[0]: Standing.MINE,
    }


def test_a_settled_batch_is_stored_for_ever(reopen: Open):
    reopen().ledger.claim(names(1, 2, 7), ANN)
    reopen().ledger.settle(names(1, 2, 7), ANN)

    standings = reopen().ledger.claim(names(1, 2, 3, 7), BOB)
    assert [standings[name] for name in names(1, 2, 3, 7)] == [
        Standing.STORED,
        Standing.STORED,
        Standing.MINE,
        Standing.STORED,
    ]


def test_a_released_batch_is_free_again(registry: Registry):
    registry.ledger.claim(names(1), ANN)
    registry.ledger.release(names(1), ANN)

    assert registry.ledger.claim(names(1), BOB) == {names(1)[0]: Standing.MINE}


def test_nobody_releases_the_claim_of_another(registry: Registry):
    registry.ledger.claim(names(1), ANN)
    registry.ledger.release(names(1), BOB)

    assert registry.ledger.claim(names(1), BOB) == {names(1)[0]: Standing.HELD}


def test_a_claim_whose_lease_ran_out_is_taken_over_once(reopen: Open):
    registry = reopen()
    registry.ledger.claim(names(1), ANN)
    later = replace(BOB, now_ns=NOW + 30 * S)
    last = Claimant("eve", NOW + 31 * S, lease_ns=30 * S)
    assert registry.ledger.claim(names(1), BOB) == {names(1)[0]: Standing.HELD}

    assert registry.ledger.claim(names(1), later) == {names(1)[0]: Standing.DOUBTFUL}
    assert registry.ledger.claim(names(1), last) == {names(1)[0]: Standing.HELD}


def test_a_restarted_process_doubts_its_own_earlier_claim_at_once(registry: Registry):
    registry.ledger.claim(names(1), ANN)

    assert registry.ledger.claim(names(1), ANN) == {names(1)[0]: Standing.DOUBTFUL}


def test_streams_of_one_sequence_are_apart(registry: Registry):
    registry.ledger.claim(names(1), ANN)
    registry.ledger.settle(names(1), ANN)

    other = names(1, stream="00000000000000bb") + names(1, of="VIN2") + names(1, tenant="other")
    assert registry.ledger.claim(other, BOB) == dict.fromkeys(other, Standing.MINE)


def test_many_batches_are_claimed_and_settled_together(registry: Registry):
    many = [name for of in range(50) for name in names(*range(1, 41), of=f"VIN{of}")]

    assert set(registry.ledger.claim(many, ANN).values()) == {Standing.MINE}
    registry.ledger.settle(many, ANN)
    assert set(registry.ledger.claim(many, BOB).values()) == {Standing.STORED}


def test_each_batch_is_won_by_exactly_one_of_many(reopen: Open):
    registries = [reopen() for _ in range(4)]
    wanted = names(*range(1, 101))

    def won(number: int) -> list[BatchKey]:
        claimant = Claimant(f"process {number}", NOW, lease_ns=30 * S)
        mine = []
        for start in range(0, 100, 10):
            some = wanted[start : start + 10]
            standings = registries[number].ledger.claim(some, claimant)
            ours = [name for name in some if standings[name] is Standing.MINE]
            registries[number].ledger.settle(ours, claimant)
            mine += ours
        return mine

    with ThreadPoolExecutor(4) as pool:
        winners = [name for mine in pool.map(won, range(4)) for name in mine]

    assert sorted(winners) == wanted
    assert set(registries[0].ledger.claim(wanted, ANN).values()) == {Standing.STORED}


def test_kept_dictionaries_are_loaded_by_id(reopen: Open):
    one, two = DictionaryKey("default", b"12345678"), DictionaryKey("default", b"abcdefgh")
    reopen().dictionaries.keep({one: b"one", two: b"two"})
    reopen().dictionaries.keep({one: b"one"})

    found = reopen().dictionaries.load([one, DictionaryKey("default", b"unknown!")])
    assert found == {one: b"one"}
    assert reopen().dictionaries.load([DictionaryKey("other", one.id)]) == {}


def test_misfits_are_kept_newest_first_with_their_bytes(reopen: Open):
    registry = reopen()
    registry.quarantine.keep([Misfit("default", "VIN1", "nonsense \0", NOW, b"\xff\x00")])
    registry.quarantine.keep(
        [Misfit("default", "VIN1", "columns", NOW + 1, b"abc", names(9)[0].name)]
    )

    newest, oldest = reopen().quarantine.entries()
    assert (newest.name, newest.reason, newest.size_bytes) == (names(9)[0].name, "columns", 3)
    assert oldest.name is None
    assert registry.quarantine.payload(oldest.id) == b"\xff\x00"
    assert registry.quarantine.payload(10**9) is None
    assert registry.quarantine.count() == 2


def test_the_same_batch_is_kept_once(registry: Registry):
    for _ in range(3):
        registry.quarantine.keep(
            [Misfit("default", "VIN1", "columns", NOW, b"abc", names(9)[0].name)]
        )

    assert registry.quarantine.count() == 1


def test_the_newest_migration_leaves_the_tables_that_the_adapters_use(tmp_path: Path):
    database = Database(sqlite_url(tmp_path / "registry.sqlite"))
    with database.reading() as connection:
        context = MigrationContext.configure(connection)
        differences = compare_metadata(context, metadata)
        revision = context.get_current_revision()
    database.close()

    assert differences == []
    assert revision == NEWEST


def test_a_url_that_is_no_registry_is_refused_in_one_sentence():
    with pytest.raises(BadInput, match="sqlite:///FILE or postgresql"):
        open_registry("mysql://somewhere/else")
    with pytest.raises(BadInput, match="is not the URL of a registry"):
        open_registry("nonsense")


def test_a_password_in_a_wrong_url_is_not_told():
    with pytest.raises(BadInput, match="URL of a registry") as refused:
        open_registry("postgresql+nothing://me:secret@host/fairway")
    assert "secret" not in str(refused.value)


def test_a_registry_of_a_newer_program_is_left_alone(tmp_path: Path):
    url = sqlite_url(tmp_path / "registry.sqlite")
    database = Database(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()

    with pytest.raises(Conflict, match="at version 9999"):
        open_registry(url)


def test_a_tenant_finds_its_own_misfits_only_and_loses_none_to_another(registry: Registry):
    registry.quarantine.keep([Misfit("default", "VIN1", "columns", NOW, b"abc")])
    registry.quarantine.keep([Misfit("other", "VIN2", "columns", NOW, b"def")])

    (theirs,) = registry.quarantine.entries(tenants=["other"])
    assert theirs.vehicle == "VIN2"
    assert registry.quarantine.payload(theirs.id, tenants=["other"]) == b"def"
    assert registry.quarantine.payload(theirs.id, tenants=["default"]) is None
    assert registry.quarantine.count(tenants=["default"]) == 1
    assert registry.quarantine.entries(tenants=[]) == []
    assert [entry.vehicle for entry in registry.quarantine.entries()] == ["VIN2", "VIN1"]


def test_a_removed_vehicle_may_come_back_as_anothers(registry: Registry):
    registry.vehicles.add(vehicle("VIN1"))
    registry.vehicles.remove("VIN1")

    registry.vehicles.add(replace(vehicle("VIN1"), tenant="other"))

    (found,) = registry.vehicles.vehicles()
    assert (found.tenant, found.may_connect) == ("other", True)
