"""hawkBit's targets and their actions: vehicles, and what was assigned to them.

    GET, POST /rest/v1/targets                      GET, DELETE /rest/v1/targets/{id}
    GET /rest/v1/targets/{id}/attributes            GET /rest/v1/targets/{id}/actions
    GET, DELETE .../actions/{n}                     GET .../actions/{n}/status

Rule 1: making a target registers a vehicle, and removing one takes it out of the fleet: one fleet, two APIs.
Rule 2: a target's token is shown when it is made, and again only where the operator wants that.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from fairway.errors import BadInput, Conflict
from fairway.update import UpdateEvent
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.hawkbit import orders
from fleet_cloud.api.compat.hawkbit.admission import token_hash
from fleet_cloud.api.compat.hawkbit.callers import Management, Manager
from fleet_cloud.api.compat.hawkbit.formats import answered, body_of, object_of, text_of
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.ports import NotFound
from fleet_cloud.rollouts.foreign.feedback import action_status, messages_of, type_of
from fleet_cloud.rollouts.foreign.model import Target
from fleet_cloud.rollouts.foreign.ports import Kind
from fleet_cloud.rollouts.foreign.settings import token_of
from fleet_cloud.vehicles.registry import Vehicle, VehicleState, checked_vehicle_name

Body = Annotated[Any, Depends(body_of)]
Offset = Annotated[int, Query(ge=0, le=1 << 31)]
Limit = Annotated[int, Query(ge=1, le=500)]
_NS_PER_MS = 1_000_000
# Made in one request; hawkBit has no limit, and a body of a MiB has one.
TARGETS_MAX = 1000


def router(ports: HawkbitPorts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/rest/v1/targets")
    desk = _Desk(ports, Management(ports))
    _serve_targets(routes, desk)
    _serve_target(routes, desk)
    _serve_actions(routes, desk)
    return routes


@dataclass(frozen=True, slots=True)
class _Desk:
    """Does what managers ask of targets."""

    ports: HawkbitPorts
    door: Management

    def made(self, manager: Manager, said: dict[str, Any]) -> dict[str, Any]:
        """Register a vehicle, and return it as a target.  Raises BadInput, Conflict, Unavailable."""
        vehicle = checked_vehicle_name(text_of(said, "controllerId", 64))
        name = text_of(said, "name", 128, vehicle)
        token = said.get("securityToken")
        token = secrets.token_hex(16) if token is None else token_of(token)
        ports, now_ns = self.ports, self.ports.device.clock.now_ns()
        self.door.note(manager, "vehicle.add", f"vehicle:{vehicle}")
        ports.vehicles.add(Vehicle(vehicle, manager.tenant, VehicleState.ACTIVE, now_ns, None))
        ports.documents.drop(manager.tenant, Kind.TARGET, vehicle)  # of one that was removed before
        ports.documents.drop(manager.tenant, Kind.INSTALLED, vehicle)
        ports.change_target(
            manager.tenant,
            vehicle,
            name=name,
            token_sha256=token_hash(token),
            token_sealed=ports.sealer.seal(token) if ports.sealer is not None else "",
            created_time_ns=now_ns,
        )
        return {**self.view(manager, vehicle), "securityToken": token}

    def view(self, manager: Manager, vehicle: str) -> dict[str, Any]:
        """Return a target.  Raises NotFound, Unavailable."""
        kept = self.known(manager, vehicle)
        target = self.ports.target(manager.tenant, vehicle)
        sealer = self.ports.sealer
        token = sealer.opened(target.token_sealed) if sealer and target.token_sealed else None
        made = (target.created_time_ns or kept.registered_time_ns) // _NS_PER_MS
        seen = target.seen_time_ns // _NS_PER_MS
        return {
            "controllerId": vehicle,
            "name": target.name or vehicle,
            "createdAt": made,
            "lastModifiedAt": max(made, seen),
            "updateStatus": self._status(manager, vehicle, target),
            "requestAttributes": target.wants_attributes,
            "autoConfirmActive": target.auto_confirm is not None,
            **({"securityToken": token} if token is not None else {}),
            **({"lastControllerRequestAt": seen} if seen else {}),
        }

    def known(self, manager: Manager, vehicle: str) -> Vehicle:
        """Return a vehicle of the manager's tenant.  Raises NotFound, Unavailable."""
        found = self.ports.vehicles.vehicle(vehicle) if len(vehicle) <= 64 else None
        if found is None or not found.may_connect or found.tenant != manager.tenant:
            raise NotFound(f"there is no target {vehicle[:64]!r}")
        return found

    def removed(self, manager: Manager, vehicle: str) -> None:
        """Take a vehicle out of the fleet.  Raises NotFound, Unavailable."""
        self.known(manager, vehicle)
        ports = self.ports
        self.door.note(manager, "vehicle.remove", f"vehicle:{vehicle}")
        ports.vehicles.remove(vehicle)
        ports.documents.drop(manager.tenant, Kind.TARGET, vehicle)
        ports.documents.drop(manager.tenant, Kind.INSTALLED, vehicle)
        ports.direct.forget(manager.tenant, vehicle)

    def _status(self, manager: Manager, vehicle: str, target: Target) -> str:
        now_ns = self.ports.device.clock.now_ns()
        if self.ports.device.offers.offer(manager.tenant, vehicle, now_ns) is not None:
            return "pending"
        ended = self.ports.direct.ended(manager.tenant, vehicle)
        if ended:
            _, status = action_status(ended[0].events, is_cancelled=False)
            return {"finished": "in_sync", "error": "error"}.get(status, "registered")
        return "registered" if target.seen_time_ns else "unknown"


def _serve_targets(routes: APIRouter, desk: _Desk) -> None:
    @routes.get("")
    def listed(request: Request, offset: Offset = 0, limit: Limit = 50) -> Response:
        manager = desk.door.enter(request, Permission.VEHICLES_READ)
        targets = [
            vehicle.id
            for vehicle in _vehicles(desk.ports)
            if vehicle.tenant == manager.tenant and vehicle.may_connect
        ]
        some = [desk.view(manager, one) for one in targets[offset : offset + limit]]
        return answered(request, {"content": some, "total": len(targets), "size": len(some)})

    @routes.post("")
    def create(request: Request, body: Body) -> Response:
        manager = desk.door.enter(request, Permission.VEHICLES_WRITE)
        if not isinstance(body, list) or len(body) > TARGETS_MAX:
            raise BadInput(f"the body is a list of up to {TARGETS_MAX} targets")
        wishes = [object_of(one, "a target") for one in body]
        return answered(request, [desk.made(manager, one) for one in wishes], 201)


def _serve_target(routes: APIRouter, desk: _Desk) -> None:
    @routes.get("/{vehicle}")
    def shown(request: Request, vehicle: str) -> Response:
        manager = desk.door.enter(request, Permission.VEHICLES_READ)
        return answered(request, desk.view(manager, vehicle))

    @routes.delete("/{vehicle}")
    def remove(request: Request, vehicle: str) -> Response:
        desk.removed(desk.door.enter(request, Permission.VEHICLES_WRITE), vehicle)
        return Response(status_code=200)

    @routes.get("/{vehicle}/attributes")
    def attributes(request: Request, vehicle: str) -> Response:
        manager = desk.door.enter(request, Permission.VEHICLES_READ)
        desk.known(manager, vehicle)
        return answered(request, dict(desk.ports.target(manager.tenant, vehicle).attributes))


def _serve_actions(routes: APIRouter, desk: _Desk) -> None:
    ports = desk.ports

    @routes.get("/{vehicle}/actions")
    def actions(request: Request, vehicle: str, offset: Offset = 0, limit: Limit = 50) -> Response:
        manager = desk.door.enter(request, Permission.ROLLOUTS_READ)
        desk.known(manager, vehicle)
        tenant = manager.tenant
        listed = [
            *ports.direct.waiting(tenant, vehicle)[::-1],
            *ports.direct.ended(tenant, vehicle),
        ]
        some = [
            _action(ports, tenant, one.action, one.events, is_cancelled=one.is_cancelled)
            for one in listed[offset : offset + limit]
        ]
        return answered(request, {"content": some, "total": len(listed), "size": len(some)})

    @routes.get("/{vehicle}/actions/{number}")
    def action(request: Request, vehicle: str, number: str) -> Response:
        manager = desk.door.enter(request, Permission.ROLLOUTS_READ)
        found, events, is_cancelled = _looked_up(desk, manager, vehicle, number)
        view = _action(ports, manager.tenant, found, events, is_cancelled=is_cancelled)
        return answered(request, view)

    @routes.get("/{vehicle}/actions/{number}/status")
    def statuses(
        request: Request, vehicle: str, number: str, offset: Offset = 0, limit: Limit = 50
    ) -> Response:
        manager = desk.door.enter(request, Permission.ROLLOUTS_READ)
        _, events, _ = _looked_up(desk, manager, vehicle, number)
        # hawkBit's own order, whatever is asked for: the newest first.
        listed = [_status(event, place) for place, event in enumerate(events, start=1)][::-1]
        some = listed[offset : offset + limit]
        return answered(request, {"content": some, "total": len(listed), "size": len(some)})

    @routes.delete("/{vehicle}/actions/{number}")
    def cancel(
        request: Request, vehicle: str, number: str, *, force: Annotated[bool, Query()] = False
    ) -> Response:
        manager = desk.door.enter(request, Permission.ROLLOUTS_WRITE)
        desk.known(manager, vehicle)
        found = orders.action_of(ports, manager.tenant, number)
        if ports.direct.assignment(manager.tenant, vehicle, found) is None:
            raise NotFound(f"the action {number} is not one that was assigned here")
        desk.door.note(
            manager, "assignment.cancel", f"vehicle:{vehicle}", order=found, force=str(force)
        )
        now_ns = ports.device.clock.now_ns()
        try:
            ports.direct.cancel(manager.tenant, vehicle, found, now_ns, force=force)
        except BadInput as error:
            raise Conflict(str(error)) from error
        return Response(status_code=204)


def _looked_up(
    desk: _Desk, manager: Manager, vehicle: str, number: str
) -> tuple[str, tuple[UpdateEvent, ...], bool]:
    """Return an order of a vehicle, what was said of it, and whether it is to be given up."""
    desk.known(manager, vehicle)
    ports = desk.ports
    action = orders.action_of(ports, manager.tenant, number)
    direct = ports.direct.assignment(manager.tenant, vehicle, action)
    if direct is not None:
        return action, direct.events, direct.is_cancelled
    events = ports.device.offers.history(manager.tenant, vehicle, action)
    if not events:
        raise NotFound(f"there is no action {number} of {vehicle}")
    return action, events, False


def _action(
    ports: HawkbitPorts,
    tenant: str,
    action: str,
    events: Sequence[UpdateEvent],
    *,
    is_cancelled: bool,
) -> dict[str, Any]:
    kind, status = action_status(events, is_cancelled=is_cancelled)
    return {
        "id": int(orders.number_of(ports, tenant, action)),
        "type": kind,
        "status": status,
        "detailStatus": type_of(events[-1]) if events else "running",
        "createdAt": events[0].time_ns // _NS_PER_MS if events else 0,
        "lastModifiedAt": events[-1].time_ns // _NS_PER_MS if events else 0,
    }


def _status(event: UpdateEvent, place: int) -> dict[str, Any]:
    at = event.time_ns // _NS_PER_MS
    return {
        "id": place,
        "type": type_of(event),
        "messages": messages_of(event),
        "reportedAt": at,
        "timestamp": at,
    }


def _vehicles(ports: HawkbitPorts) -> list[Vehicle]:
    found: list[Vehicle] = []
    while page := ports.vehicles.vehicles(after=found[-1].id if found else ""):
        found += page
    return found
