"""The records of updates in SQL: written inside the transaction that does what they say, read in order.

Rule 1: heads are locked in order of subject, so two processes never fork a chain, nor wait for each other for
ever; the last seal of a series is locked with its rollout, or by its number being taken.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func
from sqlalchemy.dialects import postgresql, sqlite

from fairway.crypto import Signer
from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_rollout_tables import (
    update_heads,
    update_records,
    update_seals,
)
from fleet_cloud.adapters.registry_sql import Database, chunks, many
from fleet_cloud.rollouts.records import (
    Fact,
    Place,
    Record,
    Seal,
    chained,
    end_line,
    record_line,
    seal_line,
    sealed,
)

PAGE_ROWS = 2_000
_HASH_BYTES = 32
_encoded = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode


class SqlRecords:
    """Writes and reads records of a region."""

    def __init__(self, database: Database, region: str, signer: Signer) -> None:
        self._database, self._region, self._signer = database, region, signer
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        moved = insert(update_heads)
        self._move_head = moved.on_conflict_do_update(
            index_elements=["region", "tenant", "subject"],
            set_={"number": moved.excluded.number, "hash": moved.excluded.hash},
        )

    def write(
        self, connection: Connection, scope: Scope, series: str, facts: Sequence[Fact], now_ns: int
    ) -> None:
        """Record facts in a transaction that is under way.  Raises Unavailable."""
        if not facts:
            return
        places = self._places(connection, scope, sorted({fact.subject for fact in facts}))
        records = chained(scope, series, facts, places, now_ns)
        seal = sealed(
            scope, series, records, self._last(connection, scope, series), now_ns, self._signer
        )
        connection.execute(update_seals.insert().values(_seal_row(seal)))
        rows = [_record_row(one, seal.number, place) for place, one in enumerate(records)]
        many(connection, update_records.insert(), rows)
        ends = {one.subject: one for one in records}
        heads = [
            registry_scope.row(scope, subject=one.subject, number=one.number, hash=one.hash)
            for one in ends.values()
        ]
        many(connection, self._move_head, heads)

    def export(self, tenant: str, series: str, now_ns: int) -> Iterator[bytes]:
        """Return the lines of all records of a series with their proof.  Raises Unavailable."""
        scope = Scope(self._region, tenant)
        last, count = Place(), 0
        while seal := self._seal(scope, series, last.number + 1):
            yield seal_line(seal)
            for record in self._of_seal(scope, series, seal.number):
                count += 1
                yield record_line(record)
            last = Place(seal.number, seal.hash)
        yield end_line(scope, series, last, count, now_ns, self._signer)

    def of_subject(self, tenant: str, subject: str, *, limit: int = 1000) -> list[Record]:
        """Return the newest records of a vehicle, newest first.  Raises Unavailable."""
        scope = Scope(self._region, tenant)
        wanted = registry_scope.chosen(update_records, scope, update_records.c.subject == subject)
        with self._database.reading() as connection:
            ordered = wanted.order_by(update_records.c.number.desc()).limit(limit)
            return [_record(row) for row in connection.execute(ordered)]

    def newest(self, tenant: str, series: str, *, before: int, limit: int) -> list[Record]:
        """Return records of a rollout below a seal, newest first: whole seals.  Raises Unavailable."""
        scope, c = Scope(self._region, tenant), update_records.c
        wanted = registry_scope.chosen(update_records, scope, c.series == series, c.seal < before)
        with self._database.reading() as connection:
            ordered = wanted.order_by(c.seal.desc(), c.place.desc()).limit(limit)
            return [_record(row) for row in connection.execute(ordered)]

    def _places(
        self, connection: Connection, scope: Scope, subjects: Sequence[str]
    ) -> dict[str, Place]:
        found: dict[str, Place] = {}
        c = update_heads.c
        for some in chunks(subjects):
            wanted = registry_scope.chosen(update_heads, scope, c.subject.in_(some))
            locked = wanted.order_by(c.subject).with_for_update()
            for row in connection.execute(locked):
                found[row.subject] = Place(row.number, row.hash)
        return found

    def _last(self, connection: Connection, scope: Scope, series: str) -> Place:
        if not self._database.is_sqlite:  # SQLite has one writer, and needs no lock
            key = f"{scope}/{series}"
            connection.execute(func.pg_advisory_xact_lock(func.hashtextextended(key, 0)).select())
        c = update_seals.c
        wanted = registry_scope.chosen(update_seals, scope, c.series == series)
        row = connection.execute(wanted.order_by(c.number.desc()).limit(1)).first()
        return Place() if row is None else Place(row.number, row.hash)

    def _seal(self, scope: Scope, series: str, number: int) -> Seal | None:
        c = update_seals.c
        wanted = registry_scope.chosen(update_seals, scope, c.series == series, c.number == number)
        with self._database.reading() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else _seal(row)

    def _of_seal(self, scope: Scope, series: str, seal: int) -> Iterator[Record]:
        c, after = update_records.c, -1
        while True:
            wanted = registry_scope.chosen(
                update_records, scope, c.series == series, c.seal == seal, c.place > after
            )
            with self._database.reading() as connection:
                rows = connection.execute(wanted.order_by(c.place).limit(PAGE_ROWS)).all()
            yield from (_record(row) for row in rows)
            if len(rows) < PAGE_ROWS:
                return
            after = rows[-1].place


def _record_row(record: Record, seal: int, place: int) -> dict[str, Any]:
    return registry_scope.row(
        record.scope,
        subject=record.subject,
        number=record.number,
        series=record.series,
        seal=seal,
        place=place,
        time_ns=record.time_ns,
        what=record.what,
        details=_encoded(record.details),
        previous=record.previous,
        hash=record.hash,
    )


def _record(row: Row[Any]) -> Record:
    return Record(
        Scope(row.region, row.tenant),
        row.series,
        row.subject,
        row.number,
        row.time_ns,
        row.what,
        json.loads(row.details),
        row.previous,
        row.hash,
    )


def _seal_row(seal: Seal) -> dict[str, Any]:
    return registry_scope.row(
        seal.scope,
        series=seal.series,
        number=seal.number,
        time_ns=seal.time_ns,
        hashes=bytes.fromhex("".join(seal.hashes)),
        previous=seal.previous,
        hash=seal.hash,
        key=seal.key,
        signature=seal.signature,
    )


def _seal(row: Row[Any]) -> Seal:
    text = bytes(row.hashes).hex()
    step = 2 * _HASH_BYTES
    return Seal(
        Scope(row.region, row.tenant),
        row.series,
        row.number,
        row.time_ns,
        tuple(text[at : at + step] for at in range(0, len(text), step)),
        row.previous,
        row.hash,
        row.key,
        row.signature,
    )
