"""Dictionaries and quarantine in SQL.

Rule 1: each tenant's quarantine is bounded twice, in entries and in bytes; its oldest entries make room for new
ones, so no tenant pushes out what another is looking for.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from fairway.identity import Scope
from fairway.ids import BatchName
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_schema import dictionaries, quarantine
from fleet_cloud.adapters.registry_sql import Database, chunks
from fleet_cloud.ingest.records import DictionaryKey, Misfit, QuarantineEntry

# A defect shows in a few hundred messages; 10,000 of them are weeks of one.
ENTRIES_MAX = 10_000
# The registry is to stay small enough to be backed up in seconds.
BYTES_MAX = 64 * 1024 * 1024
# Longer messages are kept by their beginning: it holds the head, which is what one looks at first.
PAYLOAD_MAX_BYTES = 256 * 1024


class SqlDictionaries:
    """Keeps dictionaries in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._insert = insert(dictionaries).on_conflict_do_nothing()

    def keep(self, bodies: Mapping[DictionaryKey, bytes]) -> None:
        if bodies:
            rows = [
                registry_scope.row(Scope(self._region, key.tenant), id=key.id, message=bodies[key])
                for key in sorted(bodies)
            ]
            with self._database.writing() as connection:
                connection.execute(self._insert, rows)

    def load(self, keys: Sequence[DictionaryKey]) -> dict[DictionaryKey, bytes]:
        found: dict[DictionaryKey, bytes] = {}
        identity = tuple_(dictionaries.c.tenant, dictionaries.c.id)
        with self._database.reading() as connection:
            for some in chunks(keys):
                wanted = registry_scope.in_region(dictionaries, self._region, identity.in_(some))
                found |= {
                    DictionaryKey(row.tenant, bytes(row.id)): bytes(row.message)
                    for row in connection.execute(wanted)
                }
        return found


class SqlQuarantine:
    """Keeps misfits in the registry database."""

    def __init__(
        self,
        database: Database,
        region: str,
        *,
        entries_max: int = ENTRIES_MAX,
        bytes_max: int = BYTES_MAX,
    ) -> None:
        self._database = database
        self._region = region
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._insert = insert(quarantine).on_conflict_do_nothing()

    def keep(self, misfits: Sequence[Misfit]) -> None:
        if misfits:
            with self._database.writing() as connection:
                connection.execute(
                    self._insert, [_values(self._region, misfit) for misfit in misfits]
                )
                self._make_room(connection)

    def entries(
        self, *, tenants: Collection[str] | None = None, limit: int = 100
    ) -> list[QuarantineEntry]:
        wanted = self._of(tenants)
        columns = [column for column in quarantine.c if column.name != "payload"]
        wanted = wanted.with_only_columns(*columns).order_by(quarantine.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_entry(row) for row in connection.execute(wanted)]

    def payload(self, entry: int, *, tenants: Collection[str] | None = None) -> bytes | None:
        wanted = self._of(tenants).where(quarantine.c.id == entry)
        with self._database.reading() as connection:
            kept = connection.execute(wanted.with_only_columns(quarantine.c.payload)).scalar()
        return None if kept is None else bytes(kept)

    def count(self, *, tenants: Collection[str] | None = None) -> int:
        wanted = self._of(tenants).with_only_columns(func.count())
        with self._database.reading() as connection:
            return int(connection.execute(wanted).scalar_one())

    def _of(self, tenants: Collection[str] | None) -> Select[Any]:
        conditions = () if tenants is None else (quarantine.c.tenant.in_(sorted(tenants)),)
        return registry_scope.in_region(quarantine, self._region, *conditions)

    def _make_room(self, connection: Connection) -> None:
        # A tenant's newest first: how many entries, and how many bytes, down to and with each one.
        tenant, newest = quarantine.c.tenant, quarantine.c.id.desc()
        running = (
            registry_scope.in_region(quarantine, self._region)
            .with_only_columns(
                quarantine.c.id,
                func.row_number().over(partition_by=tenant, order_by=newest).label("entries"),
                func.sum(quarantine.c.kept_bytes)
                .over(partition_by=tenant, order_by=newest)
                .label("bytes"),
            )
            .subquery()
        )
        surplus = select(running.c.id).where(
            (running.c.entries > self._entries_max) | (running.c.bytes > self._bytes_max)
        )
        connection.execute(
            registry_scope.removed_in_region(quarantine, self._region, quarantine.c.id.in_(surplus))
        )


def _values(region: str, misfit: Misfit) -> dict[str, Any]:
    payload = misfit.payload[:PAYLOAD_MAX_BYTES]
    name = misfit.name
    return registry_scope.row(
        Scope(region, misfit.tenant),
        vehicle=misfit.vehicle,
        stream=name.stream if name else None,
        sequence=name.sequence if name else None,
        # PostgreSQL keeps no NUL in a text, and a reason may quote what a vehicle sent.
        reason=misfit.reason.replace("\0", "\\0"),
        received_time_ns=misfit.received_time_ns,
        size_bytes=len(misfit.payload),
        kept_bytes=len(payload),
        payload=payload,
    )


def _entry(row: Row[Any]) -> QuarantineEntry:
    name = None if row.stream is None else BatchName(row.vehicle, row.stream, row.sequence)
    return QuarantineEntry(
        row.id, row.tenant, row.vehicle, row.reason, row.received_time_ns, row.size_bytes, name
    )
