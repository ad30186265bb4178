"""The ledger in SQL: a row per stream, and a row per batch that is being stored right now.

Rule 1: a claim is placed first and the stream read after.  Whoever ends a claim by settling it writes the
stream in the same transaction, so a claim placed on the freed name finds the batch in the stream.
Rule 2: rows are locked in one order, by name, so that two processes never wait for each other in a circle.
Rule 3: `standing` in ingest/ledger.py decides; this file reads, writes and compares.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Delete, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from fairway.ids import BatchName
from fleet_cloud.adapters.registry_schema import claims, streams
from fleet_cloud.adapters.registry_sql import Database, chunks
from fleet_cloud.ingest.ledger import (
    Claim,
    Stream,
    ranges_from_text,
    ranges_to_text,
    standing,
)
from fleet_cloud.ingest.ports import Claimant, Standing

_Key = tuple[str, str]


class SqlLedger:
    """Keeps the ledger in the registry database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._place = (
            insert(claims)
            .on_conflict_do_nothing()
            .returning(claims.c.vehicle, claims.c.stream, claims.c.sequence)
        )
        self._open_stream = insert(streams).on_conflict_do_nothing()
        stream_insert = insert(streams)
        self._write_stream = stream_insert.on_conflict_do_update(
            index_elements=["vehicle", "stream"],
            set_={
                name: getattr(stream_insert.excluded, name)
                for name in ("watermark", "floor", "above")
            },
        )

    def claim(self, names: Sequence[BatchName], claimant: Claimant) -> dict[BatchName, Standing]:
        if not names:
            return {}
        ordered = sorted(set(names))
        with self._database.writing() as connection:
            placed = self._placed(connection, ordered, claimant)
            known = _streams(connection, _keys(ordered))
            found = _claims(connection, [name for name in ordered if name not in placed])
            standings = {}
            for name in ordered:
                stream = known.get((name.vehicle, name.stream), Stream())
                earlier = found.get(name)
                stands = standing(stream, name, earlier=earlier, claimant=claimant)
                if name not in placed and stands in (Standing.MINE, Standing.DOUBTFUL):
                    # Somebody else's claim is in the way, or was until a moment ago.
                    stands = _taken_over(connection, name, earlier, claimant)
                standings[name] = stands
            stored = [name for name in placed if standings[name] is Standing.STORED]
            _end(connection, stored, claimant)
        return standings

    def settle(self, names: Sequence[BatchName], claimant: Claimant) -> None:
        if not names:
            return
        ordered = sorted(set(names))
        keys = _keys(ordered)
        with self._database.writing() as connection:
            if not self._database.is_sqlite:
                # The rows must exist to be locked; SQLite has one writer and needs no lock.
                connection.execute(self._open_stream, [_row(key, Stream()) for key in keys])
            known = _streams(connection, keys, lock=not self._database.is_sqlite)
            sequences: dict[_Key, list[int]] = {key: [] for key in keys}
            for name in ordered:
                sequences[name.vehicle, name.stream].append(name.sequence)
            rows = [_row(key, known.get(key, Stream()).with_stored(sequences[key])) for key in keys]
            connection.execute(self._write_stream, rows)
            _end(connection, ordered, claimant)

    def release(self, names: Sequence[BatchName], claimant: Claimant) -> None:
        if names:
            with self._database.writing() as connection:
                _end(connection, sorted(set(names)), claimant)

    def _placed(
        self, connection: Connection, names: Sequence[BatchName], claimant: Claimant
    ) -> set[BatchName]:
        rows = [
            {**_name_row(name), "owner": claimant.owner, "time_ns": claimant.now_ns}
            for name in names
        ]
        done = connection.execute(self._place, rows)
        return {BatchName(*row) for row in done}


def _keys(names: Iterable[BatchName]) -> list[_Key]:
    return sorted({(name.vehicle, name.stream) for name in names})


def _name_row(name: BatchName) -> dict[str, Any]:
    return {"vehicle": name.vehicle, "stream": name.stream, "sequence": name.sequence}


def _row(key: _Key, stream: Stream) -> dict[str, Any]:
    return {
        "vehicle": key[0],
        "stream": key[1],
        "watermark": stream.watermark,
        "floor": stream.floor,
        "above": ranges_to_text(stream.above),
    }


def _streams(
    connection: Connection, keys: Sequence[_Key], *, lock: bool = False
) -> dict[_Key, Stream]:
    found: dict[_Key, Stream] = {}
    for some in chunks(keys):
        wanted = (
            select(streams)
            .where(tuple_(streams.c.vehicle, streams.c.stream).in_(some))
            .order_by(streams.c.vehicle, streams.c.stream)
        )
        for row in connection.execute(wanted.with_for_update() if lock else wanted):
            found[row.vehicle, row.stream] = Stream(
                row.watermark, ranges_from_text(row.above), row.floor
            )
    return found


def _claims(connection: Connection, names: Sequence[BatchName]) -> dict[BatchName, Claim]:
    found = {}
    identity = tuple_(claims.c.vehicle, claims.c.stream, claims.c.sequence)
    for some in chunks(names):
        keys = [(name.vehicle, name.stream, name.sequence) for name in some]
        for row in connection.execute(select(claims).where(identity.in_(keys))):
            found[BatchName(row.vehicle, row.stream, row.sequence)] = Claim(row.owner, row.time_ns)
    return found


def _taken_over(
    connection: Connection, name: BatchName, earlier: Claim | None, claimant: Claimant
) -> Standing:
    if earlier is None:
        return Standing.HELD
    done = connection.execute(
        update(claims)
        .where(
            claims.c.vehicle == name.vehicle,
            claims.c.stream == name.stream,
            claims.c.sequence == name.sequence,
            claims.c.owner == earlier.owner,
            claims.c.time_ns == earlier.time_ns,
        )
        .values(owner=claimant.owner, time_ns=claimant.now_ns)
    )
    return Standing.DOUBTFUL if done.rowcount == 1 else Standing.HELD


_END: Delete = delete(claims).where(
    claims.c.vehicle == bindparam("of_vehicle"),
    claims.c.stream == bindparam("of_stream"),
    claims.c.sequence == bindparam("of_sequence"),
    claims.c.owner == bindparam("of_owner"),
)


def _end(connection: Connection, names: Sequence[BatchName], claimant: Claimant) -> None:
    if names:
        rows = [
            {
                "of_vehicle": name.vehicle,
                "of_stream": name.stream,
                "of_sequence": name.sequence,
                "of_owner": claimant.owner,
            }
            for name in sorted(names)
        ]
        connection.execute(_END, rows)
