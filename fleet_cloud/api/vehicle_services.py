"""What vehicles are to run and what they say of it, by vehicle and by service.

Rule 1: what a vehicle says is there for whoever may see the vehicle.
"""

from typing import Annotated

from fastapi import APIRouter, Query

from fleet_cloud.api.parameters import iso
from fleet_cloud.api.ports import ApiPorts
from fleet_cloud.api.problems import responses
from fleet_cloud.api.service_views import (
    StatusPage,
    VehicleServices,
    VehicleStatus,
    chosen_view,
    status_view,
)
from fleet_cloud.api.services import DesiredId, Read, seen_desired
from fleet_cloud.api.vehicles import VehicleName
from fleet_cloud.api.visible import known_vehicle
from fleet_cloud.control.ports import PAGE_MAX, Vehicle
from fleet_cloud.services.model import Said
from fleet_cloud.services.reach import of_vehicle

_READS = responses(400, 401, 403, 404, 429, 503)


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of statuses."""
    routes = APIRouter(prefix="/v1", tags=["services"])
    statuses = ports.services.statuses

    @routes.get("/vehicles/{vehicle}/services", responses=_READS)
    def show_vehicle_services(caller: Read, vehicle: VehicleName) -> VehicleServices:
        """Show what a vehicle is to run, which desires meet in it, and what it says it runs."""
        found = known_vehicle(ports.vehicles, vehicle, caller)
        of = Vehicle(found.tenant, found.id)
        chosen = of_vehicle(ports.services.desired, ports.campaigns.plan, of)
        said = statuses.said(of)
        return VehicleServices(
            vehicle=found.id,
            runs_services=said is not None,
            revision=said.revision if said else None,
            received=iso(said.received_time_ns) if said else None,
            desired=[chosen_view(one) for one in chosen],
            services=[status_view(one) for one in said.services] if said else [],
        )

    @routes.get("/services/{id}/vehicles", responses=_READS)
    def list_service_vehicles(
        caller: Read,
        id: DesiredId,  # noqa: A002 - as it is in the path
        after: Annotated[str, Query(description="`next` of the page before.", max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> StatusPage:
        """List the vehicles that tell of this service, whichever desire they have it from."""
        kept = seen_desired(ports, caller, id)
        found: list[Said] = []
        is_last = False
        while len(found) < limit and not is_last:
            page = statuses.of_service(kept.tenant, kept.name, after=after, limit=limit)
            is_last = len(page) < limit
            seen = [one for one in page if caller.sees(*one.vehicle)]
            found += seen[: limit - len(found)]
            after = page[-1].vehicle.name if page else after
        whole = caller.whole_tenants
        sees_all = whole is None or kept.tenant in whole
        counts = statuses.counts(kept.tenant, kept.name) if sees_all else {}
        return StatusPage(
            [
                VehicleStatus(
                    one.vehicle.name, iso(one.received_time_ns), status_view(one.services[0])
                )
                for one in found
            ],
            [
                {"version": version, "state": state, "vehicles": count}
                for (version, state), count in sorted(counts.items())
            ],
            found[-1].vehicle.name if len(found) == limit else None,
        )

    return routes
