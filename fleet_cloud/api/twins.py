"""A vehicle's twin, and what is known of a vehicle beside its name."""

import math
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from fairway.errors import Denied
from fleet_cloud.access.grants import may
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.campaigns import ACTS
from fleet_cloud.api.gate import needs
from fleet_cloud.api.parameters import iso
from fleet_cloud.api.ports import ApiPorts
from fleet_cloud.api.problems import responses
from fleet_cloud.api.vehicles import VehicleName
from fleet_cloud.api.visible import Caller, known_vehicle
from fleet_cloud.audit.acts import Act
from fleet_cloud.control.ports import (
    Vehicle,
)
from fleet_cloud.control.targets import (
    Facts,
    checked_facts,
)

_Telemetry = Annotated[Caller, needs(Permission.TELEMETRY_READ)]
_See = Annotated[Caller, needs(Permission.VEHICLES_READ)]
_Know = Annotated[Caller, needs(Permission.VEHICLES_WRITE)]
_READS = responses(401, 403, 404, 429, 503)


@dataclass(frozen=True, slots=True)
class TwinValue:
    """The last known value of one signal, when it was so in the vehicle, and which template told."""

    signal: str
    value: float | bool | str | None
    time: str
    time_ns: int
    template: str


@dataclass(frozen=True, slots=True)
class TwinView:
    """What is last known of a vehicle, in order of name."""

    vehicle: str
    values: list[TwinValue]


@dataclass(frozen=True, slots=True)
class FactsView:
    """What is known of a vehicle beside its name; it is replaced whole."""

    attributes: dict[str, bool | float | Annotated[str, Field(max_length=256)]]
    fleets: list[str]


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of twins and facts."""
    routes = APIRouter(prefix="/v1/vehicles", tags=["vehicles"])
    plan = ports.campaigns.plan

    @routes.get("/{vehicle}/twin", responses=_READS)
    def show_twin(caller: _Telemetry, vehicle: VehicleName) -> TwinView:
        """Show what is last known of a vehicle, by the state templates it reports."""
        found = known_vehicle(ports.vehicles, vehicle, caller)
        return TwinView(
            found.id,
            [
                TwinValue(one.name, _jsonable(one.value), iso(one.time_ns), one.time_ns, template)
                for one, template in ports.campaigns.said.twin(Vehicle(found.tenant, found.id))
            ],
        )

    @routes.get("/{vehicle}/facts", responses=_READS)
    def show_facts(caller: _See, vehicle: VehicleName) -> FactsView:
        """Show a vehicle's attributes and fleets."""
        found = known_vehicle(ports.vehicles, vehicle, caller)
        return _facts(plan.facts(Vehicle(found.tenant, found.id)))

    @routes.put("/{vehicle}/facts", responses=ACTS)
    def put_facts(caller: _Know, vehicle: VehicleName, wish: FactsView) -> FactsView:
        """Replace a vehicle's attributes and fleets; campaigns are aimed by them."""
        found = known_vehicle(ports.vehicles, vehicle, caller)
        facts = checked_facts(Facts(wish.attributes, frozenset(wish.fleets)))
        before = plan.facts(Vehicle(found.tenant, found.id)).fleets
        for fleet in sorted(before ^ facts.fleets):
            if not may(caller.principal, caller.permission, found.tenant, fleet):
                raise Denied(f"the fleet {fleet} is not yours to put vehicles into, or take out of")
        ports.audit.write(
            Act("vehicle.facts", caller.principal.actor, f"vehicle:{found.id}", found.tenant)
        )
        plan.put_facts(Vehicle(found.tenant, found.id), facts)
        ports.campaigns.poke()
        return _facts(facts)

    return routes


def _facts(facts: Facts) -> FactsView:
    return FactsView(dict(facts.attributes), sorted(facts.fleets))


def _jsonable(value: float | bool | str) -> float | bool | str | None:  # noqa: FBT001 - a value
    is_finite = not isinstance(value, float) or math.isfinite(value)
    return value if is_finite else None
