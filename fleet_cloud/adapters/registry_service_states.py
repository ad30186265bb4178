"""What vehicles say of their services, in SQL.

Rule 1: a check-in replaces the one before, whole, as for campaigns: registry_check_ins.py.
"""

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, func
from sqlalchemy.dialects import postgresql, sqlite

from fairway.control import ServiceDenial, ServiceStatus
from fairway.identity import Scope
from fairway.services.states import State, Sub
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_service_tables import service_check_ins, service_states
from fleet_cloud.adapters.registry_sql import Database, chunks
from fleet_cloud.control.ports import PAGE_MAX, REPORTED_MAX, Vehicle
from fleet_cloud.services.model import Said


class SqlServiceStatuses:
    """Keeps what vehicles say of services in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        insert = (sqlite.insert if database.is_sqlite else postgresql.insert)(service_check_ins)
        self._note = insert.on_conflict_do_update(
            index_elements=["region", "tenant", "vehicle"],
            set_={
                name: getattr(insert.excluded, name) for name in ("revision", "received_time_ns")
            },
        )

    def note_services(self, said: Sequence[Said], without: Collection[Vehicle]) -> None:
        by_vehicle = {one.vehicle: one for one in said}
        ordered = [by_vehicle[vehicle] for vehicle in sorted(by_vehicle)]
        heads = [
            registry_scope.row(
                Scope(self._region, one.vehicle.tenant),
                vehicle=one.vehicle.name,
                revision=min(one.revision, REPORTED_MAX),
                received_time_ns=one.received_time_ns,
            )
            for one in ordered
        ]
        told = [
            self._row(one.vehicle, status)
            for one in ordered
            for status in {status.name: status for status in one.services}.values()
        ]
        with self._database.writing() as connection:
            if heads:
                connection.execute(self._note, heads)
            if without:
                connection.execute(_FORGET_HEAD, self._bound(without))
            connection.execute(_FORGET, self._bound([*by_vehicle, *without]))
            if told:
                connection.execute(service_states.insert(), told)

    def said(self, vehicle: Vehicle) -> Said | None:
        scope = Scope(self._region, vehicle.tenant)
        with self._database.reading() as connection:
            head = connection.execute(
                registry_scope.chosen(
                    service_check_ins, scope, service_check_ins.c.vehicle == vehicle.name
                )
            ).first()
            told = connection.execute(
                registry_scope.chosen(
                    service_states, scope, service_states.c.vehicle == vehicle.name
                ).order_by(service_states.c.service)
            ).all()
        if head is None:
            return None
        statuses = tuple(_status(one) for one in told)
        return Said(vehicle, head.revision, statuses, head.received_time_ns)

    def with_services(self, vehicles: Collection[Vehicle]) -> set[Vehicle]:
        names: dict[str, list[str]] = {}
        for vehicle in vehicles:
            names.setdefault(vehicle.tenant, []).append(vehicle.name)
        found = set[Vehicle]()
        with self._database.reading() as connection:
            for tenant, of_it in names.items():
                for some in chunks(of_it):
                    wanted = registry_scope.chosen(
                        service_check_ins,
                        Scope(self._region, tenant),
                        service_check_ins.c.vehicle.in_(some),
                    ).with_only_columns(service_check_ins.c.vehicle)
                    found |= {Vehicle(tenant, one.vehicle) for one in connection.execute(wanted)}
        return found

    def of_service(
        self, tenant: str, name: str, *, after: str = "", limit: int = PAGE_MAX
    ) -> list[Said]:
        scope = Scope(self._region, tenant)
        wanted = (
            registry_scope.chosen(
                service_states,
                scope,
                service_states.c.service == name,
                service_states.c.vehicle > after,
            )
            .order_by(service_states.c.vehicle)
            .limit(min(limit, PAGE_MAX))
        )
        with self._database.reading() as connection:
            told = {one.vehicle: _status(one) for one in connection.execute(wanted)}
            heads = connection.execute(
                registry_scope.chosen(
                    service_check_ins, scope, service_check_ins.c.vehicle.in_(sorted(told))
                ).order_by(service_check_ins.c.vehicle)
            ).all()
        return [
            Said(
                Vehicle(tenant, head.vehicle),
                head.revision,
                (told[head.vehicle],),
                head.received_time_ns,
            )
            for head in heads
        ]

    def counts(self, tenant: str, name: str) -> Mapping[tuple[str, str], int]:
        c = service_states.c
        wanted = registry_scope.chosen(
            service_states, Scope(self._region, tenant), c.service == name
        ).with_only_columns(c.version, c.state, func.count())
        with self._database.reading() as connection:
            found = connection.execute(wanted.group_by(c.version, c.state)).all()
        return {(version, state): int(count) for version, state, count in found}

    def _bound(self, vehicles: Collection[Vehicle]) -> list[dict[str, str]]:
        return [
            {"of_region": self._region, "of_tenant": one.tenant, "of_vehicle": one.name}
            for one in sorted(vehicles)
        ]

    def _row(self, vehicle: Vehicle, status: ServiceStatus) -> dict[str, Any]:
        return registry_scope.row(
            Scope(self._region, vehicle.tenant),
            vehicle=vehicle.name,
            service=status.name,
            version=_text(status.version),
            state=status.state.value,
            sub=status.sub.value,
            why=_text(status.why),
            is_ready=status.is_ready,
            restarts=min(status.restarts, REPORTED_MAX),
            last_good=_text(status.last_good),
            bad=json.dumps(status.bad),
            image=_text(status.image),
            is_isolated=status.is_isolated,
            denials=json.dumps([dataclasses.asdict(one) for one in status.denials]),
            denied=min(status.denied, REPORTED_MAX),
        )


_FORGET = registry_scope.removed_each(
    service_states, service_states.c.vehicle == bindparam("of_vehicle")
)
_FORGET_HEAD = registry_scope.removed_each(
    service_check_ins, service_check_ins.c.vehicle == bindparam("of_vehicle")
)


def _text(text: str) -> str:
    return text.replace("\0", "\\0")  # PostgreSQL keeps no NUL in a text


def _status(found: Row[Any]) -> ServiceStatus:
    return ServiceStatus(
        found.service,
        found.version,
        State(found.state),
        Sub(found.sub),
        found.why,
        bool(found.is_ready),
        found.restarts,
        found.last_good,
        tuple(json.loads(found.bad)),
        found.image,
        bool(found.is_isolated),
        tuple(ServiceDenial(**one) for one in json.loads(found.denials)),
        found.denied,
    )
