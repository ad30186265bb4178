"""What vehicles are made of, and what their ECUs hold as they reported last, in SQL.

    registered > known          others than known > waiting > accepted by a person > known

Rule 1: the first to tell of a vehicle's ECUs is the vehicle itself, over its own connection; whoever tells of
others later (a workshop, or somebody who exchanged one) waits for a person.
Rule 2: what a report says is believed when its signatures hold and its counters have grown: what does not hold
is kept as evidence.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.dialects import postgresql, sqlite

from fairway.errors import Conflict
from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_records import SqlRecords
from fleet_cloud.adapters.registry_rollout_tables import (
    ecu_wishes,
    ecus,
    rollout_vehicles,
    update_vehicles,
)
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.adapters.registry_update_vehicles import SqlUpdateVehicles
from fleet_cloud.control.ports import PAGE_MAX
from fleet_cloud.rollouts.ecus import EcuState, Waiting, checked
from fleet_cloud.rollouts.ports import RegisteredEcu
from fleet_cloud.rollouts.records import REPORTS, Fact
from fleet_cloud.rollouts.solver import EcuKnown, configuration
from ota.report import Installed, VehicleReport
from ota.report_json import VEHICLE


class SqlEcus:
    """Knows the ECUs of a region's vehicles."""

    def __init__(self, database: Database, region: str, records: SqlRecords) -> None:
        self._database, self._region, self._records = database, region, records
        self._vehicles = SqlUpdateVehicles(database, region)
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def register(
        self, tenant: str, vehicle: str, ecus: Sequence[RegisteredEcu], now_ns: int
    ) -> None:
        some, scope = checked(ecus), Scope(self._region, tenant)
        with self._database.writing() as connection:
            known = _registered(connection, scope, vehicle)
            if known == some:
                return
            if not known:
                self._put(connection, scope, vehicle, some, now_ns)
                self._note(connection, scope, vehicle, "ecus", some, "vehicle", now_ns)
                return
            self._wait(connection, scope, vehicle, some, now_ns)
        raise Conflict(
            f"{vehicle} had other ECUs before: somebody has to accept these (fleet-cloud rollout ecus --accept)"
        )

    def ecus(self, tenant: str, vehicle: str) -> tuple[RegisteredEcu, ...]:
        with self._database.reading() as connection:
            return _registered(connection, Scope(self._region, tenant), vehicle)

    def states(self, tenant: str, vehicle: str) -> list[EcuState]:
        """Return the ECUs of a vehicle with what they said last.  Raises Unavailable."""
        wanted = registry_scope.chosen(
            ecus, Scope(self._region, tenant), ecus.c.vehicle == vehicle
        ).order_by(ecus.c.serial)
        with self._database.reading() as connection:
            return [_state(row) for row in connection.execute(wanted)]

    def waiting(self, tenants: Collection[str] | None, limit: int = PAGE_MAX) -> list[Waiting]:
        """Return what waits to be accepted, oldest first.  Raises Unavailable."""
        wanted = registry_scope.in_region(ecu_wishes, self._region)
        if tenants is not None:
            wanted = wanted.where(ecu_wishes.c.tenant.in_(sorted(tenants)))
        ordered = wanted.order_by(ecu_wishes.c.time_ns, ecu_wishes.c.vehicle).limit(limit)
        with self._database.reading() as connection:
            return [
                Waiting(row.tenant, row.vehicle, _wished(row.ecus), row.time_ns)
                for row in connection.execute(ordered)
            ]

    def accept(self, tenant: str, vehicle: str, by: str, now_ns: int) -> tuple[RegisteredEcu, ...]:
        """Have the ECUs that wait be those of the vehicle.  Raises Conflict when none wait, Unavailable."""
        scope = Scope(self._region, tenant)
        waits = registry_scope.chosen(ecu_wishes, scope, ecu_wishes.c.vehicle == vehicle)
        with self._database.writing() as connection:
            row = connection.execute(waits.with_for_update()).first()
            if row is None:
                raise Conflict(f"no ECUs of {vehicle} wait to be accepted")
            some = _wished(row.ecus)
            before = {
                one.known.serial: one
                for one in map(_state, connection.execute(_of(scope, vehicle)))
            }
            of_it = (ecus.c.vehicle == vehicle,)
            connection.execute(registry_scope.removed(ecus, scope, *of_it))
            self._put(connection, scope, vehicle, some, now_ns, before)
            connection.execute(
                registry_scope.removed(ecu_wishes, scope, ecu_wishes.c.vehicle == vehicle)
            )
            self._configure(connection, scope, vehicle)
            self._note(connection, scope, vehicle, "ecus", some, by, now_ns)
        return some

    def put_first(
        self,
        connection: Connection,
        scope: Scope,
        vehicle: str,
        some: Sequence[RegisteredEcu],
        now_ns: int,
    ) -> None:
        """Make ECUs known of a vehicle that had told of none, in a transaction that is under way."""
        self._put(connection, scope, vehicle, some, now_ns)
        self._note(connection, scope, vehicle, "ecus", some, "vehicle", now_ns)

    def counters(self, connection: Connection, scope: Scope, vehicle: str) -> dict[str, int]:
        """Return the last counter of each ECU, and of the vehicle's own reports."""
        locked = _of(scope, vehicle).with_for_update()
        found = {row.serial: row.counter for row in connection.execute(locked)}
        wanted = registry_scope.chosen(update_vehicles, scope, update_vehicles.c.vehicle == vehicle)
        row = connection.execute(wanted).first()
        found[VEHICLE] = -1 if row is None else row.counter
        return found

    def take(
        self,
        connection: Connection,
        scope: Scope,
        report: VehicleReport,
        signed: bytes,
        now_ns: int,
        series: str,
    ) -> None:
        """Keep a report that holds, in a transaction that is under way."""
        before = {row.serial: row for row in connection.execute(_of(scope, report.vehicle))}
        attacks = {one.serial: [a.value for a in one.attacks] for one in report.ecus if one.attacks}
        news = []
        for one in report.ecus:
            held = one.installed
            row = before[one.serial]
            if held is not None and held.sha256 != row.sha256:
                news.append([one.serial, row.path, row.sha256, held.path, held.sha256])
            it = registry_scope.changed(
                ecus, scope, ecus.c.vehicle == report.vehicle, ecus.c.serial == one.serial
            )
            connection.execute(
                it.values(
                    counter=one.counter,
                    hardware_id=one.hardware_id or row.hardware_id,
                    path=held.path if held else "",
                    length=held.length if held else 0,
                    sha256=held.sha256 if held else "",
                    release_counter=held.release_counter if held else 0,
                    attacks=",".join(attacks.get(one.serial, [])),
                )
            )
        self._vehicles.put(
            connection,
            scope,
            report.vehicle,
            counter=report.counter,
            reported_time_ns=now_ns,
            report=signed,
            rxswin=json.dumps(dict(report.rxswin), sort_keys=True),
        )
        facts = []
        if news:
            self._configure(connection, scope, report.vehicle)
            details: dict[str, Any] = {"ecus": news, "action": report.action}
            facts.append(
                Fact(report.vehicle, "installed", {**details, "rxswin": dict(report.rxswin)})
            )
        if attacks:
            facts.append(Fact(report.vehicle, "attack", {"ecus": attacks}))
        self._records.write(connection, scope, series, facts, now_ns)

    def wait(self, tenant: str, vehicle: str, some: Sequence[RegisteredEcu], now_ns: int) -> None:
        """Have other ECUs than are known wait for a person.  Raises Unavailable."""
        with self._database.writing() as connection:
            self._wait(connection, Scope(self._region, tenant), vehicle, some, now_ns)

    def _wait(
        self,
        connection: Connection,
        scope: Scope,
        vehicle: str,
        some: Sequence[RegisteredEcu],
        now_ns: int,
    ) -> None:
        text = json.dumps([asdict(one) for one in some])
        put = self._insert(ecu_wishes).values(
            registry_scope.row(scope, vehicle=vehicle, ecus=text, time_ns=now_ns)
        )
        wished = registry_scope.chosen(ecu_wishes, scope, ecu_wishes.c.vehicle == vehicle)
        row = connection.execute(wished).first()
        if row is not None and row.ecus == text:
            return
        connection.execute(
            put.on_conflict_do_update(
                index_elements=["region", "tenant", "vehicle"],
                set_={"ecus": text, "time_ns": now_ns},
            )
        )
        self._note(connection, scope, vehicle, "ecus_asked", some, "vehicle", now_ns)

    def _note(  # noqa: PLR0913, PLR0917 - a record has that many parts
        self,
        connection: Connection,
        scope: Scope,
        vehicle: str,
        what: str,
        some: Sequence[RegisteredEcu],
        by: str,
        now_ns: int,
    ) -> None:
        said = [[one.serial, one.hardware_id, bool(one.public_key)] for one in some]
        fact = Fact(vehicle, what, {"ecus": said, "by": by})
        self._records.write(connection, scope, REPORTS, [fact], now_ns)

    def _put(
        self,
        connection: Connection,
        scope: Scope,
        vehicle: str,
        some: Sequence[RegisteredEcu],
        now_ns: int,
        before: Mapping[str, EcuState] | None = None,
    ) -> None:
        rows = []
        for one in some:
            known = (before or {}).get(one.serial)
            held = known.installed if known else None
            is_same_key = known is not None and known.known.public_key == one.public_key
            rows.append(
                registry_scope.row(
                    scope,
                    vehicle=vehicle,
                    serial=one.serial,
                    hardware_id=one.hardware_id,
                    public_key=one.public_key,
                    is_primary=one.is_primary,
                    registered_time_ns=now_ns,
                    counter=known.counter if known and is_same_key else -1,
                    path=held.path if held else "",
                    length=held.length if held else 0,
                    sha256=held.sha256 if held else "",
                    release_counter=held.release_counter if held else 0,
                    attacks="",
                )
            )
        connection.execute(ecus.insert(), rows)
        self._configure(connection, scope, vehicle)

    def _configure(self, connection: Connection, scope: Scope, vehicle: str) -> None:
        """Name the vehicle's configuration anew, and look again at what could not be offered to it."""
        rows = connection.execute(_of(scope, vehicle)).all()
        known = [EcuKnown(row.serial, row.hardware_id, _installed(row)) for row in rows]
        self._vehicles.put(connection, scope, vehicle, configuration=configuration(known))
        c = rollout_vehicles.c
        held = registry_scope.changed(
            rollout_vehicles, scope, c.vehicle == vehicle, c.standing == "held"
        )
        connection.execute(held.values(standing="planned", held=""))


def _of(scope: Scope, vehicle: str) -> Any:
    return registry_scope.chosen(ecus, scope, ecus.c.vehicle == vehicle).order_by(ecus.c.serial)


def _registered(connection: Connection, scope: Scope, vehicle: str) -> tuple[RegisteredEcu, ...]:
    return tuple(_known(row) for row in connection.execute(_of(scope, vehicle)))


def _known(row: Row[Any]) -> RegisteredEcu:
    return RegisteredEcu(row.serial, row.hardware_id, row.public_key, bool(row.is_primary))


def _installed(row: Row[Any]) -> Installed | None:
    if not row.sha256:
        return None
    return Installed(row.path, row.length, row.sha256, row.release_counter)


def _state(row: Row[Any]) -> EcuState:
    attacks = tuple(filter(None, row.attacks.split(",")))
    return EcuState(row.vehicle, _known(row), _installed(row), row.counter, attacks)


def _wished(text: str) -> tuple[RegisteredEcu, ...]:
    return tuple(RegisteredEcu(**one) for one in json.loads(text))
