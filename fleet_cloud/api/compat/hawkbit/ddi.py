"""hawkBit's Direct Device Integration: what a vehicle is to do, and what it says of it.

    GET  /{tenant}/controller/v1/{controller}                      what there is, and when to ask again
    PUT  .../configData                                            attributes
    GET  .../deploymentBase/{id}, POST .../feedback                an order
    GET  .../cancelAction/{id},   POST .../feedback                an order to be given up
    GET  .../installedBase/{id},  PUT  .../installedBase           what was done; what it has without an order

Rule 1: a vehicle sees its own orders only; another's number is answered like one that never was.
Rule 2: what it says of a closed order is answered 410 and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from fairway.clock import NS_PER_S
from fairway.errors import BadInput
from fairway.update import Stage, UpdateEvent
from fleet_cloud.api.compat.hawkbit import orders
from fleet_cloud.api.compat.hawkbit.admission import admit
from fleet_cloud.api.compat.hawkbit.formats import answered, body_of, object_of, text_of
from fleet_cloud.api.compat.hawkbit.orders import Standing
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.ports import NotFound
from fleet_cloud.api.problems import problem
from fleet_cloud.rollouts.foreign import settings
from fleet_cloud.rollouts.foreign.feedback import cancelled, deployed, feedback_of
from fleet_cloud.rollouts.foreign.model import (
    ATTRIBUTE_MAX_CHARS,
    ATTRIBUTES_MAX,
    InstalledSet,
    Target,
)
from fleet_cloud.rollouts.foreign.ports import Kind, change
from fleet_cloud.rollouts.ports import Offer

PREFIX = "/{tenant}/controller/v1/{controller}"
# "Last asked" is for people: one write a minute for a vehicle that asks often is enough.
_SEEN_STEP_NS = 60 * NS_PER_S

Body = Annotated[Any, Depends(body_of)]


def router(ports: HawkbitPorts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix=PREFIX)
    door = Door(ports)
    _serve_base(routes, door)
    _serve_deployments(routes, door)
    _serve_cancellations(routes, door)
    _serve_installed(routes, door)
    return routes


class Door:
    """Answers a vehicle that has been let in."""

    def __init__(self, ports: HawkbitPorts) -> None:
        self.ports = ports

    def enter(self, request: Request, tenant: str, controller: str) -> Standing:
        """Return how things stand with who speaks.  Raises NotSignedIn, TooOften, Unavailable."""
        peer = admit(self.ports, request, tenant, controller)
        return orders.standing(self.ports, request, peer, tenant)

    def base(self, at: Standing) -> dict[str, Any]:
        """Return what there is for a vehicle."""
        ports, tenant = self.ports, at.peer.tenant
        if at.now_ns - at.target.seen_time_ns > _SEEN_STEP_NS:
            created = at.target.created_time_ns or at.now_ns
            ports.change_target(
                tenant, at.peer.vehicle, seen_time_ns=at.now_ns, created_time_ns=created
            )
        polling = {"sleep": ports.setting(tenant, settings.POLLING)}
        return {"config": {"polling": polling}, "_links": dict(self._links(at))}

    def _links(self, at: Standing) -> Mapping[str, Any]:
        ports, offer, links = self.ports, at.offer, {}
        if offer is not None:
            number = orders.number_of(ports, at.peer.tenant, offer.action)
            tag = orders.state_tag(offer)
            if offer.is_cancelled:
                links["cancelAction"] = {"href": f"{at.base}/cancelAction/{number}"}
            elif at.waits_for_consent:
                links["confirmationBase"] = {"href": f"{at.base}/confirmationBase/{number}?c={tag}"}
            else:
                links["deploymentBase"] = {"href": f"{at.base}/deploymentBase/{number}?c={tag}"}
        if at.target.wants_attributes:
            links["configData"] = {"href": f"{at.base}/configData"}
        installed = orders.installed_set(ports, at.peer)
        if installed is not None:
            number = orders.number_of(ports, at.peer.tenant, installed.action)
            links["installedBase"] = {"href": f"{at.base}/installedBase/{number}"}
        return links

    def take(self, at: Standing, number: str, body: Any, *, is_cancel: bool) -> Response:
        """Take what a vehicle says of an order.  Raises BadInput, NotFound, Unavailable."""
        ports, peer = self.ports, at.peer
        action = orders.action_of(ports, peer.tenant, number)
        history = ports.device.offers.history(peer.tenant, peer.vehicle, action)
        is_offered = at.offer is not None and at.offer.action == action
        if not history and not is_offered:
            raise NotFound(f"the action {number[:40]!r} is not this vehicle's")
        feedback = feedback_of(body)
        if orders.is_closed(ports, peer, action, history):
            return problem(410, f"the action {number} is closed: nothing more can be said of it")
        if is_cancel and not (is_offered and at.offer is not None and at.offer.is_cancelled):
            raise NotFound(f"the action {number} is not to be given up")
        event = (cancelled if is_cancel else deployed)(feedback, action, at.now_ns)
        orders.tell(ports, at, event)
        if event.stage is Stage.COMMITTED and at.offer is not None and is_offered:
            self._note_installed(at, at.offer, event)
        return Response(status_code=200)

    def _note_installed(self, at: Standing, offer: Offer, event: UpdateEvent) -> None:
        done = InstalledSet(offer.action, offer.bundle, offer.images, event.time_ns)
        vehicle, tenant = at.peer.vehicle, at.peer.tenant
        change(self.ports.documents, tenant, Kind.INSTALLED, vehicle, lambda _: done, InstalledSet)


def _serve_base(routes: APIRouter, door: Door) -> None:
    @routes.get("")
    def base(request: Request, tenant: str, controller: str) -> Response:
        return answered(request, door.base(door.enter(request, tenant, controller)))

    @routes.put("/configData")
    def attributes(request: Request, tenant: str, controller: str, body: Body) -> Response:
        at = door.enter(request, tenant, controller)
        said, mode = attributes_of(body)

        def changed(kept: Target | None) -> Target:
            target = kept or Target(controller, created_time_ns=at.now_ns)
            return with_attributes(target, said, mode)

        change(door.ports.documents, at.peer.tenant, Kind.TARGET, controller, changed, Target)
        return Response(status_code=200)


def _serve_deployments(routes: APIRouter, door: Door) -> None:
    @routes.get("/deploymentBase/{number}")
    def deployment(
        request: Request,
        tenant: str,
        controller: str,
        number: str,
        wanted: Annotated[int, Query(alias="actionHistory", ge=-1, le=1000)] = 0,
    ) -> Response:
        at, ports = door.enter(request, tenant, controller), door.ports
        offer = orders.offered(ports, at, number)
        if offer.is_cancelled or at.waits_for_consent:
            raise NotFound(f"the action {number} is not to be done now")
        says = orders.deployment(ports, at, offer)
        orders.told_once(ports, at, offer)
        history = ports.device.offers.history(at.peer.tenant, controller, offer.action)
        found = {"id": number, "deployment": says, **orders.history_part(history, wanted)}
        return answered(request, found)

    @routes.post("/deploymentBase/{number}/feedback")
    def feedback(
        request: Request, tenant: str, controller: str, number: str, body: Body
    ) -> Response:
        at = door.enter(request, tenant, controller)
        return door.take(at, number, body, is_cancel=False)


def _serve_cancellations(routes: APIRouter, door: Door) -> None:
    @routes.get("/cancelAction/{number}")
    def cancellation(request: Request, tenant: str, controller: str, number: str) -> Response:
        at = door.enter(request, tenant, controller)
        if not orders.offered(door.ports, at, number).is_cancelled:
            raise NotFound(f"the action {number} is not to be given up")
        return answered(request, {"id": number, "cancelAction": {"stopId": number}})

    @routes.post("/cancelAction/{number}/feedback")
    def feedback(
        request: Request, tenant: str, controller: str, number: str, body: Body
    ) -> Response:
        at = door.enter(request, tenant, controller)
        return door.take(at, number, body, is_cancel=True)


def _serve_installed(routes: APIRouter, door: Door) -> None:
    @routes.get("/installedBase/{number}")
    def installed(
        request: Request,
        tenant: str,
        controller: str,
        number: str,
        wanted: Annotated[int, Query(alias="actionHistory", ge=-1, le=1000)] = 0,
    ) -> Response:
        at, ports = door.enter(request, tenant, controller), door.ports
        found = orders.installed_set(ports, at.peer)
        action = orders.action_of(ports, at.peer.tenant, number)
        if found is None or found.action != action:
            raise NotFound(f"the action {number} is not what this vehicle installed last")
        says = orders.installed_deployment(ports, at, found)
        history = ports.device.offers.history(at.peer.tenant, controller, action)
        part = orders.history_part(history, wanted)
        return answered(request, {"id": number, "deployment": says, **part})

    @routes.put("/installedBase")
    def report(request: Request, tenant: str, controller: str, body: Body) -> Response:
        at, said = door.enter(request, tenant, controller), object_of(body)
        has = (text_of(said, "name", 128), text_of(said, "version", 64))
        door.ports.change_target(at.peer.tenant, controller, reported=has)
        return Response(status_code=200)


def attributes_of(body: Any) -> tuple[dict[str, str], str]:
    """Return the attributes that a client sends, and what is to become of the others.  Raises BadInput."""
    said = object_of(body)
    mode = said.get("mode") or "merge"
    if mode not in ("merge", "replace", "remove"):
        raise BadInput(f"mode is {mode!r:.60}: it is merge, replace or remove")
    data = object_of(said.get("data") or {}, "data")
    if len(data) > ATTRIBUTES_MAX:
        raise BadInput(f"a target has {ATTRIBUTES_MAX} attributes at most")
    return {
        _attribute(key, "the name of an attribute"): _attribute(value, f"the attribute {key:.40}")
        for key, value in data.items()
    }, mode


def with_attributes(target: Target, said: Mapping[str, str], mode: str) -> Target:
    """Return a target with what it says of itself.  Raises BadInput."""
    match mode:
        case "replace":
            after = dict(said)
        case "remove":
            after = {key: value for key, value in target.attributes.items() if key not in said}
        case _:
            after = {**target.attributes, **said}
    if len(after) > ATTRIBUTES_MAX:
        raise BadInput(f"a target has {ATTRIBUTES_MAX} attributes at most")
    return replace(target, attributes=after, wants_attributes=False)


def _attribute(text: Any, what: str) -> str:
    if not isinstance(text, str) or len(text) > ATTRIBUTE_MAX_CHARS or not text.isprintable():
        raise BadInput(f"{what} is no text of {ATTRIBUTE_MAX_CHARS} characters at most")
    return text
