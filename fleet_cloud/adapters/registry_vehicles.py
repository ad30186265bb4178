"""The fleet of a region in SQL.

Rule 1: within a region an id is one vehicle, whose tenant may change while it is removed: topics carry the
id alone.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Row, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fairway.errors import BadInput, Conflict
from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_schema import counters, tenants, vehicles
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.vehicles.registry import (
    VEHICLES_MAX_PAGE,
    FleetChanges,
    Vehicle,
    VehicleState,
)

REVISION = "fleet_revision"


class SqlVehicles:
    """Keeps the fleet in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def vehicle(self, vehicle: str) -> Vehicle | None:
        with self._database.reading() as connection:
            wanted = registry_scope.in_region(vehicles, self._region, vehicles.c.id == vehicle)
            row = connection.execute(wanted).first()
        return None if row is None else _vehicle(row)

    def vehicles(self, *, after: str = "", limit: int = VEHICLES_MAX_PAGE) -> list[Vehicle]:
        wanted = (
            registry_scope.in_region(vehicles, self._region, vehicles.c.id > after)
            .order_by(vehicles.c.id)
            .limit(min(limit, VEHICLES_MAX_PAGE))
        )
        with self._database.reading() as connection:
            return [_vehicle(row) for row in connection.execute(wanted)]

    def add(self, vehicle: Vehicle) -> None:
        with self._database.writing() as connection:
            revision = next_revision(connection, self._region)
            tenant = {
                "region": self._region,
                "id": vehicle.tenant,
                "created_time_ns": vehicle.registered_time_ns,
            }
            connection.execute(self._insert(tenants).values(tenant).on_conflict_do_nothing())
            values = registry_scope.row(
                Scope(self._region, vehicle.tenant),
                id=vehicle.id,
                state=VehicleState.ACTIVE.value,
                registered_time_ns=vehicle.registered_time_ns,
                last_seen_time_ns=vehicle.last_seen_time_ns,
                certificate_sha256=vehicle.certificate_sha256,
                certificate_expires_time_ns=vehicle.certificate_expires_time_ns,
                revision=revision,
            )
            again = {
                name: values[name]
                for name in values
                if name not in ("region", "id", "last_seen_time_ns")
            }
            added = connection.execute(
                self._insert(vehicles)
                .values(values)
                .on_conflict_do_update(
                    index_elements=["region", "id"],
                    set_=again,
                    where=vehicles.c.state != VehicleState.ACTIVE.value,
                )
                .returning(vehicles.c.id)
            ).first()
            if added is None:
                raise Conflict(
                    f"the vehicle {vehicle.id} is registered already: remove it first to register it anew"
                )

    def remove(self, vehicle: str) -> None:
        with self._database.writing() as connection:
            revision = next_revision(connection, self._region)
            done = connection.execute(
                registry_scope.changed_each(
                    vehicles,
                    self._region,
                    vehicles.c.id == vehicle,
                    vehicles.c.state == VehicleState.ACTIVE.value,
                ).values(state=VehicleState.REMOVED.value, revision=revision)
            )
            if done.rowcount == 0:
                raise BadInput(f"no vehicle called {vehicle} is registered")

    def changes(self, after_revision: int) -> FleetChanges:
        with self._database.reading() as connection:
            newest = connection.execute(
                select(counters.c.value).where(
                    counters.c.region == self._region, counters.c.name == REVISION
                )
            ).scalar()
            if newest is None or newest == after_revision:
                return FleetChanges((), after_revision)
            changed = registry_scope.in_region(
                vehicles,
                self._region,
                vehicles.c.revision > after_revision,
                vehicles.c.revision <= newest,
            )
            rows = connection.execute(changed.order_by(vehicles.c.id)).all()
        return FleetChanges(tuple(_vehicle(row) for row in rows), newest)

    def seen(self, times_ns: Sequence[tuple[str, int]]) -> None:
        if not times_ns:
            return
        later = func.coalesce(vehicles.c.last_seen_time_ns, 0) < bindparam("heard_ns")
        note = registry_scope.changed_each(
            vehicles, self._region, vehicles.c.id == bindparam("heard_of"), later
        ).values(last_seen_time_ns=bindparam("heard_ns"))
        # In one order everywhere, so that two processes never wait for each other's rows in a circle.
        rows = [{"heard_of": vehicle, "heard_ns": time_ns} for vehicle, time_ns in sorted(times_ns)]
        with self._database.writing() as connection:
            connection.execute(note, rows)


def next_revision(connection: Connection, region: str) -> int:
    """Move a region's revision on; the row stays locked, so revisions become visible in order."""
    is_ours = (counters.c.region == region, counters.c.name == REVISION)
    step = update(counters).where(*is_ours).values(value=counters.c.value + 1)
    moved = connection.execute(step.returning(counters.c.value)).scalar()
    if moved is None:  # the first act of a region
        connection.execute(counters.insert().values(region=region, name=REVISION, value=1))
        return 1
    return int(moved)


def tenant_of(connection: Connection, region: str, vehicle: str) -> str | None:
    """Return whose a vehicle is, removed or not; None when it never was."""
    wanted = registry_scope.in_region(vehicles, region, vehicles.c.id == vehicle)
    found: str | None = connection.execute(wanted.with_only_columns(vehicles.c.tenant)).scalar()
    return found


def _vehicle(row: Row[tuple[object, ...]]) -> Vehicle:
    return Vehicle(
        id=row.id,
        tenant=row.tenant,
        state=VehicleState(row.state),
        registered_time_ns=row.registered_time_ns,
        last_seen_time_ns=row.last_seen_time_ns,
        certificate_sha256=row.certificate_sha256,
        certificate_expires_time_ns=row.certificate_expires_time_ns,
    )
