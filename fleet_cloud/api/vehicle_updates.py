"""/v1/vehicles/{vehicle}/updates, /v1/ecus, /v1/rxswin: what vehicles hold, and why nothing else."""

from typing import Annotated

from fastapi import APIRouter, Query

from fleet_cloud.access.grants import may
from fleet_cloud.api.ports import ApiPorts, UpdatePorts
from fleet_cloud.api.problems import responses
from fleet_cloud.api.rollout_views import (
    EcuPage,
    EcuView,
    RxswinCount,
    RxswinReport,
    RxswinType,
    VehicleUpdate,
    VehicleUpdates,
    ecu_view,
    event_view,
    vehicle_view,
    waiting_view,
)
from fleet_cloud.api.rollouts import Approve, Read, Records
from fleet_cloud.api.tenants import TenantName, tenant_meant
from fleet_cloud.api.vehicles import VehicleName
from fleet_cloud.api.visible import known_vehicle
from fleet_cloud.audit.acts import Act
from fleet_cloud.rollouts.ecus import EcuState, by_type

# A console shows some; who wants more follows rollouts.
UPDATES_MAX = 20
EVENTS_SHOWN = 100


def router(ports: ApiPorts, updates: UpdatePorts) -> APIRouter:
    """Return the routes of what vehicles hold."""
    routes = APIRouter(prefix="/v1", tags=["rollouts"])

    @routes.get("/vehicles/{vehicle}/updates", responses=responses(400, 401, 403, 404, 429, 503))
    def vehicle_updates(caller: Read, vehicle: VehicleName) -> VehicleUpdates:
        """Show the updates of a vehicle, newest first: how each stands, why, and what the vehicle said."""
        known = known_vehicle(ports.vehicles, vehicle, caller)
        found = updates.standings.of_vehicle(known.tenant, known.id, limit=UPDATES_MAX)
        shown = []
        for kept, one in found:
            said = updates.offers.history(known.tenant, known.id, one.action)
            shown.append(
                VehicleUpdate(
                    kept.id,
                    kept.name,
                    kept.state.value,
                    kept.wish.bundle,
                    kept.content.bundle.version,
                    vehicle_view(one),
                    [event_view(event) for event in said[-EVENTS_SHOWN:]],
                )
            )
        rxswin = dict(updates.rxswin.rxswin(known.tenant, known.id))
        return VehicleUpdates(known.id, shown, rxswin)

    @routes.get("/ecus", responses=responses(400, 401, 403, 404, 429, 503))
    def list_ecus(
        caller: Read, vehicle: Annotated[str, Query(pattern=r"^[\w.-]{0,64}$")] = ""
    ) -> EcuPage:
        """List the ECUs of a vehicle with what they hold, and those that wait to be accepted."""
        some: list[EcuView] = []
        if vehicle:
            known = known_vehicle(ports.vehicles, vehicle, caller)
            some = [ecu_view(one) for one in updates.ecus.states(known.tenant, known.id)]
        waiting = [
            waiting_view(one)
            for one in updates.ecus.waiting(caller.tenants)
            if caller.sees(one.tenant, one.vehicle) and vehicle in ("", one.vehicle)
        ]
        return EcuPage(some, waiting)

    @routes.post(
        "/ecus/{vehicle}/accept", responses=responses(400, 401, 403, 404, 409, 413, 429, 503)
    )
    def accept_ecus(caller: Approve, vehicle: VehicleName) -> EcuPage:
        """Have the ECUs that wait be those of the vehicle."""
        known = known_vehicle(ports.vehicles, vehicle, caller)
        actor = caller.principal.actor
        ports.audit.write(Act("ecus.accept", actor, f"vehicle:{known.id}", known.tenant))
        some = updates.ecus.accept(known.tenant, known.id, actor, ports.clock.now_ns())
        return EcuPage([ecu_view(EcuState(known.id, one, None, -1, ())) for one in some], [])

    @routes.get("/rxswin", responses=responses(400, 401, 403, 429, 503))
    def rxswin(
        caller: Records,
        tenant: TenantName = "",
        by: Annotated[str, Query(pattern=r"^[A-Za-z_][\w.-]{0,63}$")] = "model",
    ) -> RxswinReport:
        """Count the RXSWINs (UN R156) that vehicles reported last, by type: the attribute that `by` names."""
        of = tenant_meant(caller, tenant)
        if not may(caller.principal, caller.permission, of):
            return RxswinReport(by, [])
        held, after = [], ""
        while page := updates.rxswin.all_rxswin(of, after=after):
            held += page
            after = page[-1][0]
        known = ports.campaigns.plan.all_facts(of)
        types = {name: str(facts.attributes.get(by, "")) for name, facts in known.items()}
        return RxswinReport(
            by,
            [
                RxswinType(
                    kind,
                    [
                        RxswinCount(name, version, count)
                        for (name, version), count in sorted(counts.items())
                    ],
                )
                for kind, counts in sorted(by_type(types, held).items())
            ],
        )

    return routes
