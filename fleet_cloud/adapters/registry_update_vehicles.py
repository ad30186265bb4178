"""What is kept of vehicles as wholes: their reports, whether they take notices, and what did not hold.

Rule 1: what somebody floods us with overwrites nothing of others.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_rollout_tables import update_evidence, update_vehicles
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.control.ports import PAGE_MAX

# Of a vehicle.
EVIDENCE_MAX = 100


class SqlUpdateVehicles:
    """Keeps what vehicles say as wholes."""

    def __init__(self, database: Database, region: str) -> None:
        self._database, self._region = database, region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def keep_evidence(
        self, tenant: str, vehicle: str, why: str, content: bytes, now_ns: int
    ) -> None:
        """Keep a report that does not hold.  Raises Unavailable."""
        scope, c = Scope(self._region, tenant), update_evidence.c
        row = registry_scope.row(
            scope, vehicle=vehicle, time_ns=now_ns, why=why[:500], content=content
        )
        of_it = registry_scope.chosen(update_evidence, scope, c.vehicle == vehicle)
        with self._database.writing() as connection:
            connection.execute(update_evidence.insert().values(row))
            oldest = of_it.with_only_columns(c.id).order_by(c.id.desc()).offset(EVIDENCE_MAX)
            last = connection.execute(oldest.limit(1)).scalar()
            if last is not None:
                connection.execute(
                    registry_scope.removed(
                        update_evidence, scope, c.vehicle == vehicle, c.id <= last
                    )
                )

    def evidence(self, tenant: str, vehicle: str) -> list[tuple[int, str, bytes]]:
        """Return (time, why, content) of reports that did not hold, newest first."""
        c = update_evidence.c
        wanted = registry_scope.chosen(
            update_evidence, Scope(self._region, tenant), c.vehicle == vehicle
        )
        with self._database.reading() as connection:
            rows = connection.execute(wanted.order_by(c.id.desc()))
            return [(row.time_ns, row.why, bytes(row.content)) for row in rows]

    def rxswin(self, tenant: str, vehicle: str) -> Mapping[str, str]:
        """Return the RXSWINs that a vehicle reported last.  Raises Unavailable."""
        wanted = registry_scope.chosen(
            update_vehicles, Scope(self._region, tenant), update_vehicles.c.vehicle == vehicle
        )
        with self._database.reading() as connection:
            row = connection.execute(wanted).first()
        return {} if row is None else dict(json.loads(row.rxswin))

    def all_rxswin(
        self, tenant: str, *, after: str = "", limit: int = PAGE_MAX
    ) -> list[tuple[str, Mapping[str, str]]]:
        c = update_vehicles.c
        wanted = registry_scope.chosen(
            update_vehicles,
            Scope(self._region, tenant),
            c.vehicle > after,
            c.reported_time_ns > 0,
        )
        with self._database.reading() as connection:
            rows = connection.execute(wanted.order_by(c.vehicle).limit(limit))
            return [(row.vehicle, dict(json.loads(row.rxswin))) for row in rows]

    def note_listening(self, said: Mapping[tuple[str, str], bool]) -> None:
        """Note which vehicles, by tenant and id, take notices of updates.  Raises Unavailable."""
        with self._database.writing() as connection:
            for (tenant, vehicle), is_listening in sorted(said.items()):
                scope = Scope(self._region, tenant)
                self.put(connection, scope, vehicle, is_listening=is_listening)

    def listening(self, tenant: str, vehicles: Collection[str]) -> set[str]:
        """Return those that take notices of updates.  Raises Unavailable."""
        c = update_vehicles.c
        wanted = registry_scope.chosen(
            update_vehicles,
            Scope(self._region, tenant),
            c.vehicle.in_(sorted(vehicles)),
            c.is_listening,
        )
        with self._database.reading() as connection:
            return set(connection.execute(wanted.with_only_columns(c.vehicle)).scalars())

    def put(self, connection: Connection, scope: Scope, vehicle: str, **values: Any) -> None:
        """Keep some of what is known of a vehicle, in a transaction that is under way."""
        first: dict[str, Any] = {
            "configuration": "",
            "counter": -1,
            "reported_time_ns": 0,
            "report": b"",
            "rxswin": "{}",
            "is_listening": False,
        }
        row = registry_scope.row(scope, vehicle=vehicle, **{**first, **values})
        put = self._insert(update_vehicles).values(row)
        connection.execute(
            put.on_conflict_do_update(index_elements=["region", "tenant", "vehicle"], set_=values)
        )
