"""The audit log's contract: chained, signed, only added to; in memory, SQLite and PostgreSQL."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from fairway.clock import NS_PER_S, ManualClock
from fairway.errors import Tampered, Unavailable
from fairway.signers import file
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.adapters.registry_audit import SqlAudit
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.audit.acts import Act, Outcome
from fleet_cloud.audit.chain import Head
from fleet_cloud.audit.ports import Wanted
from fleet_cloud.audit.verify import Keys, public_keys, verify
from tests.postgres import postgres  # noqa: F401 - a fixture

SIGNER = file.fresh()
NOW = 1_700_000_000 * NS_PER_S

Log = MemoryAudit | SqlAudit


def keys() -> Keys:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public_keys([SIGNER.public_key().public_bytes(serialization.Encoding.PEM, form)])


def act(number: int, tenant: str = "acme", **details: str) -> Act:
    return Act("vehicle.add", "cli:root", f"vehicle:VIN{number}", tenant, details=details)


class Kept:
    """Opens the same log again and again, as several processes would."""

    def __init__(self, url: str | None) -> None:
        self.url = url
        self.clock = ManualClock(NOW)
        self._databases: list[Database] = []
        self._memory = MemoryAudit("eu", SIGNER, self.clock)

    def open(self, region: str = "eu") -> Log:
        if self.url is None:
            return self._memory
        self._databases.append(Database(self.url, region))
        return SqlAudit(self._databases[-1], region, SIGNER, self.clock)

    def close(self) -> None:
        for database in self._databases:
            database.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    match request.param:
        case "memory":
            url = None
        case "sqlite":
            url = sqlite_url(tmp_path / "registry.sqlite")
        case _:
            url = request.getfixturevalue("postgres").url()
    opened = Kept(url)
    yield opened
    opened.close()


def lengths(log: Log, *heads: Head) -> dict[str, int]:
    return {head.scope.tenant: head.number for head in verify(log, keys(), heads)}


def test_what_was_written_is_read_in_order_and_proved(kept: Kept):
    for number in (1, 2, 3):
        kept.open().write(act(number, why="a\0b\ud800"))

    log = kept.open()
    entries = list(log.chain("acme"))
    assert [entry.act.object for entry in entries] == [
        "vehicle:VIN1",
        "vehicle:VIN2",
        "vehicle:VIN3",
    ]
    assert [entry.number for entry in log.chain("acme", after=2)] == [3]
    assert dict(entries[0].act.details) == {"why": "a\\0b?"}
    assert lengths(log) == {"acme": 3}


def test_every_tenant_has_its_own_chain(kept: Kept):
    log = kept.open()
    log.write(act(1))
    log.write(act(2, "other"))
    log.write(act(3))

    assert lengths(log) == {"acme": 2, "other": 1}
    assert [entry.act.tenant for _, entry in log.newest(Wanted(frozenset(["other"])))] == ["other"]


def test_entries_are_found_by_who_what_and_when_newest_first(kept: Kept):
    log = kept.open()
    for number in (1, 2, 3):
        log.write(act(number))
        kept.clock.advance(NS_PER_S)
    log.write(Act("key.create", "user:ann", "key:1", "acme"))

    assert [entry.number for _, entry in log.newest(Wanted(action="vehicle."), limit=2)] == [3, 2]
    place = log.newest(Wanted(), limit=2)[-1][0]
    assert [entry.number for _, entry in log.newest(Wanted(), before=place)] == [2, 1]
    assert [entry.number for _, entry in log.newest(Wanted(actor="user:ann"))] == [4]
    span = Wanted(from_ns=NOW + NS_PER_S, to_ns=NOW + 2 * NS_PER_S)
    assert [entry.number for _, entry in log.newest(span)] == [2]


def test_several_processes_continue_one_chain(kept: Kept):
    logs = [kept.open() for _ in range(4)] if kept.url else [kept.open()]

    def write(log: Log) -> None:
        for number in range(10):
            log.write(act(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, logs))

    assert lengths(kept.open()) == {"acme": 10 * len(logs)}


def test_a_head_that_was_kept_is_held_against_the_log(kept: Kept):
    log = kept.open()
    log.write(act(1))
    (head,) = log.heads()
    log.write(act(2))

    assert lengths(log, head) == {"acme": 2}
    with pytest.raises(Tampered, match="is not the one of the head that was kept"):
        lengths(log, Head(head.scope, 1, "0" * 64, 0))
    with pytest.raises(Tampered, match="a head with 7 entries was kept"):
        lengths(log, Head(head.scope, 7, head.hash, 0))


def test_a_flood_of_denials_becomes_one_entry_a_minute_with_their_number(kept: Kept):
    if kept.url is None:
        return  # in memory nothing fills up
    log = kept.open()
    denial = Act("api.deny", "anonymous", "route:/v1/vehicles", "acme", Outcome.DENIED)
    for _ in range(100):
        log.write(denial)
    kept.clock.advance(61 * NS_PER_S)
    log.write(denial)

    assert [dict(entry.act.details) for entry in log.chain("acme")] == [{}, {"folded": "99"}]


CHANGES = {
    "UPDATE audit SET actor = 'cli:eve' WHERE number = 2": "changed after it was written",
    'UPDATE audit SET details = \'{"a":"c"}\' WHERE number = 2': "changed after it was written",
    "UPDATE audit SET details = 'no' WHERE number = 2": "is not as it was written",
    "UPDATE audit SET time_ns = time_ns + 1 WHERE number = 3": "changed after it was written",
    "DELETE FROM audit WHERE number = 2": "some are missing",
    "DELETE FROM audit WHERE number = 3": "its end was cut off",
    "DELETE FROM audit": "its end was cut off",
    "DELETE FROM audit_heads": "has no head",
    "UPDATE audit_heads SET number = 2": "is not that of its last entry|signature of the head",
    "UPDATE audit_heads SET signature = '00'": "signature of the head",
    f"UPDATE audit_heads SET key = '{'0' * 64}'": "none of those given",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def spoilt(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Log]]:
    """Changes a log of three entries behind its back, with and without its triggers."""
    is_sqlite = request.param == "sqlite"
    kept = Kept(
        sqlite_url(tmp_path / "registry.sqlite")
        if is_sqlite
        else request.getfixturevalue("postgres").url()
    )
    log = kept.open()
    for number in (1, 2, 3):
        log.write(act(number, a="b"))

    def spoil(*statements: str, triggers: bool = False) -> Log:
        assert kept.url is not None
        engine = create_engine(kept.url, poolclass=NullPool)
        with engine.begin() as connection:
            if not triggers and is_sqlite:
                for what in ("UPDATE", "DELETE"):
                    connection.execute(text(f"DROP TRIGGER audit_no_{what}"))
            elif not triggers:
                connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
            for statement in statements:
                connection.execute(text(statement))
        return kept.open()

    yield spoil
    kept.close()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_behind_its_back_is_found(spoilt: Callable[..., Log], change: str):
    log = spoilt(change)

    with pytest.raises(Tampered, match=CHANGES[change]):
        lengths(log)


def test_entries_in_another_order_are_found(spoilt: Callable[..., Log]):
    log = spoilt(
        "UPDATE audit SET number = 9 WHERE number = 1",
        "UPDATE audit SET number = 1 WHERE number = 2",
        "UPDATE audit SET number = 2 WHERE number = 9",
    )

    with pytest.raises(Tampered, match="was changed after"):
        lengths(log)


def test_an_entry_that_was_put_behind_the_head_is_found(spoilt: Callable[..., Log]):
    columns = (
        "region, tenant, number, time_ns, actor, action, object, outcome, details, previous, hash"
    )
    log = spoilt(
        f"INSERT INTO audit ({columns}) SELECT {columns.replace('number', '4')} FROM audit WHERE number = 3"
    )

    with pytest.raises(Tampered, match="stand further entries"):
        lengths(log)


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_change_entries(spoilt: Callable[..., Log], statement: str):
    with pytest.raises(Exception, match="only added to"):
        spoilt(statement, triggers=True)


def test_what_cannot_be_kept_is_said(tmp_path: Path):
    database = Database(sqlite_url(tmp_path / "registry.sqlite"), "eu")
    log = SqlAudit(database, "eu", SIGNER, ManualClock(NOW))
    with database.writing() as connection:
        connection.execute(text("DROP TABLE audit"))

    with pytest.raises(Unavailable, match="registry cannot be used"):
        log.write(act(1))
    database.close()
