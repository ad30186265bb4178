"""The ledger in SQL: a row per stream, and a row per batch that is being stored right now.

Rule 1: a claim is placed first and the stream read after.  Whoever ends a claim by settling it writes the
stream in the same transaction, so a claim placed on the freed name finds the batch in the stream.
Rule 2: rows are locked in one order, by key, so that two processes never wait for each other in a circle.
Rule 3: `standing` in ingest/ledger.py decides; this file reads, writes and compares.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Delete, bindparam, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from fairway.identity import Scope
from fairway.ids import BatchName
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_progress import ProgressWriter
from fleet_cloud.adapters.registry_schema import claims, streams
from fleet_cloud.adapters.registry_sql import Database, chunks, many
from fleet_cloud.ingest.ledger import (
    Claim,
    Stream,
    ranges_from_text,
    ranges_to_text,
    standing,
)
from fleet_cloud.ingest.records import NOTHING, BatchKey, Claimant, Collected, Standing


class _StreamKey(NamedTuple):
    tenant: str
    vehicle: str
    stream: str


class SqlLedger:
    """Keeps the ledger of a region in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._place = (
            insert(claims)
            .on_conflict_do_nothing()
            .returning(claims.c.tenant, claims.c.vehicle, claims.c.stream, claims.c.sequence)
        )
        self._open_stream = insert(streams).on_conflict_do_nothing()
        self._progress = ProgressWriter(database, region)
        stream_insert = insert(streams)
        self._write_stream = stream_insert.on_conflict_do_update(
            index_elements=["region", "tenant", "vehicle", "stream"],
            set_={
                name: getattr(stream_insert.excluded, name)
                for name in ("watermark", "floor", "above")
            },
        )

    def claim(self, keys: Sequence[BatchKey], claimant: Claimant) -> dict[BatchKey, Standing]:
        if not keys:
            return {}
        ordered = _in_order(set(keys))
        with self._database.writing() as connection:
            placed = self._placed(connection, ordered, claimant)
            known = self._streams(connection, _streams_of(ordered))
            found = self._claims(connection, [key for key in ordered if key not in placed])
            standings = {}
            for key in ordered:
                stream = known.get(_stream_of(key), Stream())
                earlier = found.get(key)
                stands = standing(stream, key, earlier=earlier, claimant=claimant)
                if key not in placed and stands in (Standing.MINE, Standing.DOUBTFUL):
                    # Somebody else's claim is in the way, or was until a moment ago.
                    stands = self._taken_over(connection, key, earlier, claimant)
                standings[key] = stands
            stored = [key for key in placed if standings[key] is Standing.STORED]
            self._end(connection, stored, claimant)
        return standings

    def settle(
        self,
        keys: Sequence[BatchKey],
        claimant: Claimant,
        collected: Mapping[BatchKey, Collected] = NOTHING,
    ) -> None:
        if not keys:
            return
        ordered = _in_order(set(keys))
        of = _streams_of(ordered)
        with self._database.writing() as connection:
            if not self._database.is_sqlite:
                # The rows must exist to be locked; SQLite has one writer and needs no lock.
                rows = [self._row(stream, Stream()) for stream in of]
                many(connection, self._open_stream, rows)
            known = self._streams(connection, of, lock=not self._database.is_sqlite)
            sequences: dict[_StreamKey, list[int]] = {stream: [] for stream in of}
            for key in ordered:
                sequences[_stream_of(key)].append(key.name.sequence)
            rows = [
                self._row(stream, known.get(stream, Stream()).with_stored(sequences[stream]))
                for stream in of
            ]
            many(connection, self._write_stream, rows)
            self._end(connection, ordered, claimant)
            self._progress.count(
                connection,
                {
                    key: one
                    for key, one in collected.items()
                    if known.get(_stream_of(key), Stream()).lacks(key.name.sequence)
                },
            )

    def release(self, keys: Sequence[BatchKey], claimant: Claimant) -> None:
        if keys:
            with self._database.writing() as connection:
                self._end(connection, list(set(keys)), claimant)

    def _placed(
        self, connection: Connection, keys: Sequence[BatchKey], claimant: Claimant
    ) -> set[BatchKey]:
        rows = [
            registry_scope.row(
                Scope(self._region, key.tenant),
                vehicle=key.name.vehicle,
                stream=key.name.stream,
                sequence=key.name.sequence,
                owner=claimant.owner,
                time_ns=claimant.now_ns,
            )
            for key in keys
        ]
        done = connection.execute(self._place, rows)
        return {BatchKey(tenant, BatchName(*name)) for tenant, *name in done}

    def _row(self, key: _StreamKey, stream: Stream) -> dict[str, Any]:
        return registry_scope.row(
            Scope(self._region, key.tenant),
            vehicle=key.vehicle,
            stream=key.stream,
            watermark=stream.watermark,
            floor=stream.floor,
            above=ranges_to_text(stream.above),
        )

    def _streams(
        self, connection: Connection, keys: Sequence[_StreamKey], *, lock: bool = False
    ) -> dict[_StreamKey, Stream]:
        found: dict[_StreamKey, Stream] = {}
        identity = tuple_(streams.c.tenant, streams.c.vehicle, streams.c.stream)
        for some in chunks(keys):
            wanted = registry_scope.in_region(streams, self._region, identity.in_(some)).order_by(
                streams.c.tenant, streams.c.vehicle, streams.c.stream
            )
            for row in connection.execute(wanted.with_for_update() if lock else wanted):
                found[_StreamKey(row.tenant, row.vehicle, row.stream)] = Stream(
                    row.watermark, ranges_from_text(row.above), row.floor
                )
        return found

    def _claims(self, connection: Connection, keys: Sequence[BatchKey]) -> dict[BatchKey, Claim]:
        found = {}
        identity = tuple_(claims.c.tenant, claims.c.vehicle, claims.c.stream, claims.c.sequence)
        for some in chunks(keys):
            parts = [
                (key.tenant, key.name.vehicle, key.name.stream, key.name.sequence) for key in some
            ]
            wanted = registry_scope.in_region(claims, self._region, identity.in_(parts))
            for row in connection.execute(wanted):
                key = BatchKey(row.tenant, BatchName(row.vehicle, row.stream, row.sequence))
                found[key] = Claim(row.owner, row.time_ns)
        return found

    def _taken_over(
        self, connection: Connection, key: BatchKey, earlier: Claim | None, claimant: Claimant
    ) -> Standing:
        if earlier is None:
            return Standing.HELD
        done = connection.execute(
            registry_scope.changed(
                claims,
                Scope(self._region, key.tenant),
                claims.c.vehicle == key.name.vehicle,
                claims.c.stream == key.name.stream,
                claims.c.sequence == key.name.sequence,
                claims.c.owner == earlier.owner,
                claims.c.time_ns == earlier.time_ns,
            ).values(owner=claimant.owner, time_ns=claimant.now_ns)
        )
        return Standing.DOUBTFUL if done.rowcount == 1 else Standing.HELD

    def _end(self, connection: Connection, keys: Sequence[BatchKey], claimant: Claimant) -> None:
        if keys:
            rows = [
                {
                    "of_region": self._region,
                    "of_tenant": key.tenant,
                    "of_vehicle": key.name.vehicle,
                    "of_stream": key.name.stream,
                    "of_sequence": key.name.sequence,
                    "of_owner": claimant.owner,
                }
                for key in _in_order(keys)
            ]
            many(connection, _END, rows)


_END: Delete = registry_scope.removed_each(
    claims,
    claims.c.vehicle == bindparam("of_vehicle"),
    claims.c.stream == bindparam("of_stream"),
    claims.c.sequence == bindparam("of_sequence"),
    claims.c.owner == bindparam("of_owner"),
)


def _in_order(keys: Iterable[BatchKey]) -> list[BatchKey]:
    return sorted(
        keys, key=lambda key: (key.tenant, key.name.vehicle, key.name.stream, key.name.sequence)
    )


def _stream_of(key: BatchKey) -> _StreamKey:
    return _StreamKey(key.tenant, key.name.vehicle, key.name.stream)


def _streams_of(keys: Iterable[BatchKey]) -> list[_StreamKey]:
    return sorted({_stream_of(key) for key in keys})
