"""Dictionaries and quarantine in SQL.

Rule 1: the quarantine is bounded twice, in entries and in bytes; the oldest entries make room for new ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from fairway.ids import BatchName
from fleet_cloud.adapters.registry_schema import dictionaries, quarantine
from fleet_cloud.adapters.registry_sql import Database, chunks
from fleet_cloud.ingest.ports import Misfit, QuarantineEntry

# A defect shows in a few hundred messages; 10,000 of them are weeks of one.
ENTRIES_MAX = 10_000
# The registry is to stay small enough to be backed up in seconds.
BYTES_MAX = 64 * 1024 * 1024
# Longer messages are kept by their beginning: it holds the head, which is what one looks at first.
PAYLOAD_MAX_BYTES = 256 * 1024


class SqlDictionaries:
    """Keeps dictionaries in the registry database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._insert = insert(dictionaries).on_conflict_do_nothing()

    def keep(self, bodies: Mapping[bytes, bytes]) -> None:
        if bodies:
            rows = [{"id": name, "message": bodies[name]} for name in sorted(bodies)]
            with self._database.writing() as connection:
                connection.execute(self._insert, rows)

    def load(self, ids: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        with self._database.reading() as connection:
            for some in chunks(ids):
                wanted = select(dictionaries).where(dictionaries.c.id.in_(some))
                found |= {bytes(row.id): bytes(row.message) for row in connection.execute(wanted)}
        return found


class SqlQuarantine:
    """Keeps misfits in the registry database."""

    def __init__(
        self, database: Database, *, entries_max: int = ENTRIES_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        self._database = database
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._insert = insert(quarantine).on_conflict_do_nothing()

    def keep(self, misfits: Sequence[Misfit]) -> None:
        if misfits:
            with self._database.writing() as connection:
                connection.execute(self._insert, [_values(misfit) for misfit in misfits])
                self._make_room(connection)

    def entries(self, *, limit: int = 100) -> list[QuarantineEntry]:
        wanted = (
            select(*(column for column in quarantine.c if column.name != "payload"))
            .order_by(quarantine.c.id.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_entry(row) for row in connection.execute(wanted)]

    def payload(self, entry: int) -> bytes | None:
        wanted = select(quarantine.c.payload).where(quarantine.c.id == entry)
        with self._database.reading() as connection:
            kept = connection.execute(wanted).scalar()
        return None if kept is None else bytes(kept)

    def count(self) -> int:
        with self._database.reading() as connection:
            return int(
                connection.execute(select(func.count()).select_from(quarantine)).scalar_one()
            )

    def _make_room(self, connection: Connection) -> None:
        # Newest first: how many entries, and how many bytes, down to and with each one.
        newest = quarantine.c.id.desc()
        running = select(
            quarantine.c.id,
            func.row_number().over(order_by=newest).label("entries"),
            func.sum(quarantine.c.kept_bytes).over(order_by=newest).label("bytes"),
        ).subquery()
        surplus = select(running.c.id).where(
            (running.c.entries > self._entries_max) | (running.c.bytes > self._bytes_max)
        )
        connection.execute(delete(quarantine).where(quarantine.c.id.in_(surplus)))


def _values(misfit: Misfit) -> dict[str, Any]:
    payload = misfit.payload[:PAYLOAD_MAX_BYTES]
    name = misfit.name
    return {
        "vehicle": misfit.vehicle,
        "stream": name.stream if name else None,
        "sequence": name.sequence if name else None,
        # PostgreSQL keeps no NUL in a text, and a reason may quote what a vehicle sent.
        "reason": misfit.reason.replace("\0", "\\0"),
        "received_time_ns": misfit.received_time_ns,
        "size_bytes": len(misfit.payload),
        "kept_bytes": len(payload),
        "payload": payload,
    }


def _entry(row: Row[Any]) -> QuarantineEntry:
    name = None if row.stream is None else BatchName(row.vehicle, row.stream, row.sequence)
    return QuarantineEntry(
        row.id, row.vehicle, row.reason, row.received_time_ns, row.size_bytes, name
    )
