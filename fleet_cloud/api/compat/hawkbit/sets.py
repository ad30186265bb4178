"""hawkBit's distribution sets, and their assignment to targets.

    GET, POST /rest/v1/distributionsets    GET, DELETE .../{n}    POST .../{n}/assignedTargets

Rule 1: assigning is an order without a rollout, so whoever does it may approve rollouts.
Rule 2: an order holds what its set was when it was given; what becomes of the set later changes no order.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from fairway.errors import BadInput, Conflict
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.hawkbit import orders
from fleet_cloud.api.compat.hawkbit.callers import Management, Manager
from fleet_cloud.api.compat.hawkbit.formats import answered, body_of, object_of, text_of
from fleet_cloud.api.compat.hawkbit.modules import is_number, module_of, type_name
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.ports import NotFound
from fleet_cloud.rollouts.foreign.chunks import kind_of
from fleet_cloud.rollouts.foreign.model import Assignment, Mode, Module, ModuleSet, Window
from fleet_cloud.rollouts.foreign.ports import Kind, change, found, read
from fleet_cloud.rollouts.foreign.windows import window_of
from ota.manifest import Bundle, Image

Body = Annotated[Any, Depends(body_of)]
_NS_PER_MS = 1_000_000
MADE_MAX = 100
MODULES_MAX = 100
ASSIGNED_MAX = 1000


def router(ports: HawkbitPorts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/rest/v1/distributionsets")
    desk = _Desk(ports, Management(ports))
    _serve_sets(routes, desk)
    _serve_assignment(routes, desk)
    return routes


@dataclass(frozen=True, slots=True)
class _Desk:
    """Does what managers ask of sets."""

    ports: HawkbitPorts
    door: Management

    def made(self, manager: Manager, said: dict[str, Any]) -> dict[str, Any]:
        """Make a set.  Raises BadInput, NotFound, Conflict, Unavailable."""
        name, version = text_of(said, "name", 128), text_of(said, "version", 64)
        ports, tenant = self.ports, manager.tenant
        listed = said.get("modules") or []
        if not isinstance(listed, list) or len(listed) > MODULES_MAX:
            raise BadInput(f"modules is a list of up to {MODULES_MAX}")
        numbers = [object_of(one, "a module").get("id") for one in listed]
        modules = tuple(module_of(ports, tenant, str(one)).number for one in numbers)
        number = ports.numbers.number(tenant, Kind.SET, f"{name}\n{version}")
        fresh = ModuleSet(
            number,
            name,
            version,
            type_name(said),
            text_of(said, "description", 512, ""),
            modules,
            ports.device.clock.now_ns(),
        )
        self.door.note(manager, "set.add", f"set:{name}", version=version)

        def first(kept: ModuleSet | None) -> ModuleSet:
            if kept is not None:
                raise Conflict(f"there is a set {name} {version} already: {number}")
            return fresh

        change(ports.documents, tenant, Kind.SET, str(number), first, ModuleSet)
        return self.view(tenant, fresh)

    def kept(self, tenant: str, number: str) -> ModuleSet:
        """Return the set that has a number.  Raises NotFound, Unavailable."""
        documents = self.ports.documents
        kept = found(documents, tenant, Kind.SET, number, ModuleSet) if is_number(number) else None
        if kept is None:
            raise NotFound(f"there is no distribution set {number[:40]!r}")
        return kept

    def view(self, tenant: str, kept: ModuleSet) -> dict[str, Any]:
        """Return a set in hawkBit's words."""
        modules = [
            {"id": one.number, "name": one.name, "version": one.version, "type": one.type}
            for one in self._modules(tenant, kept)
        ]
        return {
            "id": kept.number,
            "name": kept.name,
            "version": kept.version,
            "type": kept.type,
            "description": kept.description,
            "createdAt": kept.created_time_ns // _NS_PER_MS,
            "complete": bool(modules) and len(modules) == len(kept.modules),
            "deleted": False,
            "modules": modules,
        }

    def assigned(self, manager: Manager, kept: ModuleSet, wish: dict[str, Any]) -> int:
        """Order a target to install a set, and return the order's number.  Raises BadInput, Conflict ..."""
        ports, tenant = self.ports, manager.tenant
        vehicle = text_of(wish, "id", 64)
        known = ports.vehicles.vehicle(vehicle)
        if known is None or not known.may_connect or known.tenant != tenant:
            raise NotFound(f"there is no target {vehicle!r}")
        images = self._images(tenant, kept)
        order = Assignment(
            action="",
            vehicle=vehicle,
            set_number=kept.number,
            bundle=Bundle(kept.name, kept.version, tuple(image.path for image in images)),
            images=images,
            mode=_mode(wish),
            forced_from_ns=_forced_from_ns(wish),
            window=_window(wish),
            needs_consent=wish.get("confirmationRequired") is True,
            assigned_by=manager.actor,
        )
        what = f"{kept.name} {kept.version}"
        self.door.note(manager, "assignment.add", f"vehicle:{vehicle}", set=what)
        given = ports.direct.assign(tenant, order, ports.device.clock.now_ns())
        return int(orders.number_of(ports, tenant, given.action))

    def _modules(self, tenant: str, kept: ModuleSet) -> list[Module]:
        documents = self.ports.documents
        some = (found(documents, tenant, Kind.MODULE, str(one), Module) for one in kept.modules)
        return [one for one in some if one is not None and not one.is_deleted]

    def _images(self, tenant: str, kept: ModuleSet) -> tuple[Image, ...]:
        modules = self._modules(tenant, kept)
        if not modules or len(modules) < len(kept.modules):
            raise BadInput(f"the set {kept.name} {kept.version} lacks modules: it is not complete")
        images = tuple(
            Image(
                path=f"hawkbit/{module.number}/{artifact.filename}",
                length=artifact.hashes.length,
                sha256=artifact.hashes.sha256,
                kind=kind_of(module.type),
                name=module.name,
                version=module.version,
                release_counter=0,
                hardware_ids=(),
            )
            for module in modules
            for artifact in module.artifacts
        )
        if not images:
            raise BadInput(f"the set {kept.name} {kept.version} has no files: upload some first")
        return images


def _serve_sets(routes: APIRouter, desk: _Desk) -> None:
    @routes.get("")
    def listed(request: Request) -> Response:
        manager = desk.door.enter(request, Permission.RELEASES_READ)
        kept = desk.ports.documents.listed(manager.tenant, Kind.SET)
        some = [desk.view(manager.tenant, read(ModuleSet, one.content)) for one in kept]
        return answered(request, {"content": some, "total": len(some), "size": len(some)})

    @routes.post("")
    def create(request: Request, body: Body) -> Response:
        manager = desk.door.enter(request, Permission.RELEASES_WRITE)
        if not isinstance(body, list) or len(body) > MADE_MAX:
            raise BadInput(f"the body is a list of up to {MADE_MAX} sets")
        wishes = [object_of(one, "a set") for one in body]
        return answered(request, [desk.made(manager, one) for one in wishes], 201)

    @routes.get("/{number}")
    def shown(request: Request, number: str) -> Response:
        manager = desk.door.enter(request, Permission.RELEASES_READ)
        return answered(request, desk.view(manager.tenant, desk.kept(manager.tenant, number)))

    @routes.delete("/{number}")
    def remove(request: Request, number: str) -> Response:
        manager = desk.door.enter(request, Permission.RELEASES_WRITE)
        kept = desk.kept(manager.tenant, number)
        desk.door.note(manager, "set.remove", f"set:{kept.name}", version=kept.version)
        desk.ports.documents.drop(manager.tenant, Kind.SET, number)
        return Response(status_code=200)


def _serve_assignment(routes: APIRouter, desk: _Desk) -> None:
    @routes.post("/{number}/assignedTargets")
    def assign(
        request: Request,
        number: str,
        body: Body,
        offline: Annotated[bool, Query()] = False,  # noqa: FBT002 - a parameter of the query
    ) -> Response:
        manager = desk.door.enter(request, Permission.ROLLOUTS_APPROVE)
        if offline:
            raise BadInput("offline assignment is not done here: let the vehicle report it itself")
        wishes = [body] if isinstance(body, dict) else body
        if not isinstance(wishes, list) or len(wishes) > ASSIGNED_MAX:
            raise BadInput(f"the body is a list of up to {ASSIGNED_MAX} targets")
        kept = desk.kept(manager.tenant, number)
        some = [object_of(one, "a target") for one in wishes]
        given = [desk.assigned(manager, kept, one) for one in some]
        return answered(
            request,
            {
                "assigned": len(given),
                "alreadyAssigned": 0,
                "total": len(given),
                "assignedActions": [{"id": one} for one in given],
            },
        )


def _mode(wish: dict[str, Any]) -> Mode:
    said = wish.get("type") or "forced"
    if said not in list(Mode):
        raise BadInput(f"type is {said!r:.60}: it is one of {', '.join(Mode)}")
    return Mode(said)


def _forced_from_ns(wish: dict[str, Any]) -> int:
    said = wish.get("forcetime", 0) or 0
    if not isinstance(said, int) or isinstance(said, bool) or not 0 <= said < 1 << 43:
        raise BadInput(f"forcetime is {said!r:.60}: it is milliseconds since 1970")
    return said * _NS_PER_MS


def _window(wish: dict[str, Any]) -> Window | None:
    said = wish.get("maintenanceWindow")
    if said is None:
        return None
    window = object_of(said, "maintenanceWindow")
    return window_of(
        text_of(window, "schedule", 200),
        text_of(window, "duration", 16),
        text_of(window, "timezone", 16, "+00:00"),
    )
