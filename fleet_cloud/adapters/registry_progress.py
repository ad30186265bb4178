"""What campaigns have brought, in SQL.

Rule 1: it is counted in the transaction that settles a batch, and only when that settles it: once.
Rule 2: an event that goes on in another batch is one event, with the samples of both.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func
from sqlalchemy.dialects import postgresql, sqlite

from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_campaign_tables import (
    campaign_events,
    campaign_progress,
    campaign_streams,
)
from fleet_cloud.adapters.registry_sql import Database, chunks, many
from fleet_cloud.campaigns.ports import Happened, Progress, place_of
from fleet_cloud.control.ports import PAGE_MAX
from fleet_cloud.ingest.records import BatchKey, Collected

_Key = tuple[str, str, str]  # tenant, campaign, vehicle
_EventKey = tuple[Any, ...]  # the values of these columns
_EVENT_KEY = ("tenant", "sync_id", "vehicle", "time_ns", "id")


class ProgressWriter:
    """Counts what batches bring, inside a transaction of the ledger."""

    def __init__(self, database: Database, region: str) -> None:
        self._region = region
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._open_stream = insert(campaign_streams).on_conflict_do_nothing()
        self._add_event = insert(campaign_events).on_conflict_do_nothing()
        self._add_and_tell = self._add_event.returning(
            *(campaign_events.c[name] for name in _EVENT_KEY)
        )
        self._counts_rows = database.is_sqlite
        more = insert(campaign_progress)
        self._count = more.on_conflict_do_update(
            index_elements=["region", "tenant", "sync_id", "vehicle"],
            set_={
                **{
                    name: campaign_progress.c[name] + getattr(more.excluded, name)
                    for name in ("events", "samples", "received_bytes")
                },
                "last_time_ns": more.excluded.last_time_ns,
            },
        )
        events = campaign_events.c
        self._go_on = registry_scope.changed_each(
            campaign_events,
            region,
            *(events[name] == bindparam(f"of_{name}") for name in _EVENT_KEY),
        ).values(samples=events.samples + bindparam("more"))

    def count(self, connection: Connection, collected: Mapping[BatchKey, Collected]) -> None:
        """Count batches that have just been settled."""
        if not collected:
            return
        begun = self._events(connection, collected)
        rows: dict[_Key, dict[str, Any]] = {}
        streams = set()
        for key, one in collected.items():
            of = (key.tenant, one.campaign.sync_id, key.name.vehicle)
            row = rows.setdefault(
                of, self._row(of, events=0, samples=0, received_bytes=0, last_time_ns=0)
            )
            row["samples"] += one.samples
            row["received_bytes"] += one.received_bytes
            row["last_time_ns"] = max(row["last_time_ns"], one.received_time_ns)
            streams.add((of, key.name.stream, one.campaign.partition))
        for of, count in begun.items():
            rows[of]["events"] = count
        many(connection, self._count, [rows[of] for of in sorted(rows)])
        many(
            connection,
            self._open_stream,
            [self._row(of, stream=stream, partition=part) for of, stream, part in sorted(streams)],
        )

    def _events(
        self, connection: Connection, collected: Mapping[BatchKey, Collected]
    ) -> dict[_Key, int]:
        """Keep the events of batches, and return how many of them are new."""
        rows: dict[_EventKey, dict[str, Any]] = {}
        for key, one in collected.items():
            of = (key.tenant, one.campaign.sync_id, key.name.vehicle)
            whose = self._row(of)
            for event in one.campaign.events:
                name = (*of, event.time_ns, event.id)
                if name in rows:
                    rows[name]["samples"] += event.samples
                    continue
                rows[name] = whose | {
                    "time_ns": event.time_ns,
                    "id": event.id,
                    "samples": event.samples,
                    "dtcs": json.dumps(event.dtcs) if event.dtcs else "[]",
                    "dtcs_missing": event.dtcs_missing.replace("\0", "\\0"),
                }
        if not rows:
            return {}
        fresh = self._added(connection, rows)
        begun: dict[_Key, int] = {}
        for tenant, sync_id, vehicle, *_ in fresh:
            of = (tenant, sync_id, vehicle)
            begun[of] = begun.get(of, 0) + 1
        going_on = [
            {f"of_{part}": value for part, value in zip(_EVENT_KEY, name, strict=True)}
            | {"more": rows[name]["samples"]}
            for name in sorted(rows.keys() - fresh)
        ]
        if going_on:
            many(connection, self._go_on, going_on)
        return begun

    def _added(
        self, connection: Connection, rows: Mapping[_EventKey, dict[str, Any]]
    ) -> Collection[_EventKey]:
        """Add events, and return which were not there yet."""
        ordered = [rows[name] for name in sorted(rows)]
        if self._counts_rows:
            # To be told which ones costs several times as much as adding them, and nearly always it is all.
            point = connection.begin_nested()
            if many(connection, self._add_event, ordered) == len(ordered):
                point.commit()
                return rows.keys()
            point.rollback()
        return {tuple(one) for one in connection.execute(self._add_and_tell, ordered)}

    def _row(self, of: _Key, **values: Any) -> dict[str, Any]:
        tenant, sync_id, vehicle = of
        return registry_scope.row(
            Scope(self._region, tenant), sync_id=sync_id, vehicle=vehicle, **values
        )


class SqlProgress:
    """Tells what campaigns have brought."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region

    def total(self, tenant: str, sync_id: str) -> Progress:
        c = campaign_progress.c
        sums = [
            func.coalesce(func.sum(c[name]), 0) for name in ("events", "samples", "received_bytes")
        ]
        wanted = self._chosen(campaign_progress, tenant, sync_id).with_only_columns(
            *sums, func.coalesce(func.max(c.last_time_ns), 0)
        )
        with self._database.reading() as connection:
            return Progress("", *(int(number) for number in connection.execute(wanted).one()))

    def of_vehicles(
        self, tenant: str, sync_id: str, vehicles: Collection[str]
    ) -> dict[str, Progress]:
        found = {}
        with self._database.reading() as connection:
            for some in chunks(sorted(vehicles)):
                wanted = self._chosen(campaign_progress, tenant, sync_id).where(
                    campaign_progress.c.vehicle.in_(some)
                )
                for one in connection.execute(wanted):
                    found[one.vehicle] = Progress(
                        one.vehicle, one.events, one.samples, one.received_bytes, one.last_time_ns
                    )
        return found

    def events(
        self, tenant: str, sync_id: str, *, vehicle: str = "", before: str = "", limit: int = 100
    ) -> list[Happened]:
        c = campaign_events.c
        wanted = self._chosen(campaign_events, tenant, sync_id)
        if vehicle:
            wanted = wanted.where(c.vehicle == vehicle)
        if before:
            time_ns, named, number = place_of(before)
            wanted = wanted.where(
                (c.time_ns < time_ns)
                | ((c.time_ns == time_ns) & (c.vehicle < named))
                | ((c.time_ns == time_ns) & (c.vehicle == named) & (c.id < number))
            )
        newest = wanted.order_by(c.time_ns.desc(), c.vehicle.desc(), c.id.desc())
        with self._database.reading() as connection:
            return [
                _happened(one) for one in connection.execute(newest.limit(min(limit, PAGE_MAX)))
            ]

    def trim_events(self, tenant: str, sync_id: str, keep: int) -> None:
        c, scope = campaign_events.c, Scope(self._region, tenant)
        oldest = (
            self._chosen(campaign_events, tenant, sync_id)
            .with_only_columns(c.time_ns)
            .order_by(c.time_ns.desc())
            .offset(keep - 1)
            .limit(1)
        )
        with self._database.writing() as connection:
            time_ns = connection.execute(oldest).scalar()
            if time_ns is not None:  # those of one moment stay together
                connection.execute(
                    registry_scope.removed(
                        campaign_events, scope, c.sync_id == sync_id, c.time_ns < time_ns
                    )
                )

    def streams(self, tenant: str, sync_id: str, vehicle: str) -> list[tuple[str, str]]:
        wanted = self._chosen(campaign_streams, tenant, sync_id).where(
            campaign_streams.c.vehicle == vehicle
        )
        with self._database.reading() as connection:
            found = connection.execute(wanted.order_by(campaign_streams.c.stream))
            return [(one.stream, one.partition) for one in found]

    def every_stream(self, tenant: str, vehicle: str) -> list[str]:
        scope, c = Scope(self._region, tenant), campaign_streams.c
        wanted = registry_scope.chosen(campaign_streams, scope, c.vehicle == vehicle)
        with self._database.reading() as connection:
            found = connection.execute(wanted.with_only_columns(c.stream).order_by(c.stream))
            return [one.stream for one in found]

    def _chosen(self, table: Any, tenant: str, sync_id: str) -> Any:
        return registry_scope.chosen(table, Scope(self._region, tenant), table.c.sync_id == sync_id)


def _happened(found: Row[Any]) -> Happened:
    return Happened(
        found.vehicle,
        found.id,
        found.time_ns,
        found.samples,
        tuple(json.loads(found.dtcs)),
        found.dtcs_missing,
    )
