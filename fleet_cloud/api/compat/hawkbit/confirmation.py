"""hawkBit's confirmation of orders, by the driver or by whoever speaks for the vehicle.

    GET  .../confirmationBase                                  whether orders are confirmed by themselves
    POST .../confirmationBase/(de)activateAutoConfirm
    GET  .../confirmationBase/{id}, POST .../feedback          an order that waits; confirmed, or denied

Rule 1: denied is not the end: the order waits on, until it is confirmed, or given up by whoever gave it.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from fairway.errors import BadInput
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.api.compat.hawkbit import orders
from fleet_cloud.api.compat.hawkbit.ddi import PREFIX, Door
from fleet_cloud.api.compat.hawkbit.formats import answered, body_of, object_of, text_of
from fleet_cloud.api.compat.hawkbit.orders import Standing
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.ports import NotFound
from fleet_cloud.api.problems import problem
from fleet_cloud.rollouts.foreign.feedback import details_of
from fleet_cloud.rollouts.foreign.model import AutoConfirm
from fleet_cloud.rollouts.ports import Offer

Body = Annotated[Any, Depends(body_of)]
_NAME_MAX_CHARS, _REMARK_MAX_CHARS = 64, 512


async def optional_body(request: Request) -> Any:
    """Return what a request says, an empty object when it says nothing.  Raises BadInput."""
    return await body_of(request) if await request.body() else {}


def router(ports: HawkbitPorts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix=f"{PREFIX}/confirmationBase")
    door = Door(ports)
    _serve_auto(routes, door)
    _serve_orders(routes, door)
    return routes


def _serve_auto(routes: APIRouter, door: Door) -> None:
    @routes.get("")
    def base(request: Request, tenant: str, controller: str) -> Response:
        return answered(request, _base(door, door.enter(request, tenant, controller)))

    @routes.post("/activateAutoConfirm")
    def activate(
        request: Request,
        tenant: str,
        controller: str,
        body: Annotated[Any, Depends(optional_body)],
    ) -> Response:
        at, said = door.enter(request, tenant, controller), object_of(body)
        by = AutoConfirm(
            text_of(said, "initiator", _NAME_MAX_CHARS, ""),
            text_of(said, "remark", _REMARK_MAX_CHARS, ""),
            at.now_ns,
        )
        door.ports.change_target(at.peer.tenant, controller, auto_confirm=by)
        return Response(status_code=200)

    @routes.post("/deactivateAutoConfirm")
    def deactivate(request: Request, tenant: str, controller: str) -> Response:
        at = door.enter(request, tenant, controller)
        door.ports.change_target(at.peer.tenant, controller, auto_confirm=None)
        return Response(status_code=200)


def _serve_orders(routes: APIRouter, door: Door) -> None:
    @routes.get("/{number}")
    def order(request: Request, tenant: str, controller: str, number: str) -> Response:
        at = door.enter(request, tenant, controller)
        offer = _waiting(door, at, number)
        says = orders.deployment(door.ports, at, offer)
        orders.told_once(door.ports, at, offer)
        return answered(request, {"id": number, "confirmation": says})

    @routes.post("/{number}/feedback")
    def feedback(
        request: Request, tenant: str, controller: str, number: str, body: Body
    ) -> Response:
        at = door.enter(request, tenant, controller)
        said = object_of(body)
        word, details = said.get("confirmation"), details_of(said.get("details"))
        if word not in ("confirmed", "denied"):
            raise BadInput(f"confirmation is {word!r:.60}: it is confirmed or denied")
        action = orders.action_of(door.ports, at.peer.tenant, number)
        is_own = at.offer is not None and at.offer.action == action
        if is_own and not at.waits_for_consent:
            return problem(410, f"the action {number} waits for no confirmation any more")
        offer = _waiting(door, at, number)
        _take(door, at, offer, is_confirmed=word == "confirmed", details=details)
        return Response(status_code=200)


def _take(
    door: Door, at: Standing, offer: Offer, *, is_confirmed: bool, details: tuple[str, ...]
) -> None:
    ports, peer = door.ports, at.peer
    fault = None if is_confirmed else Fault.CONSENT
    sentence = "\n".join(("Confirmed" if is_confirmed else "Denied", *details))
    stage = Stage.OFFERED if is_confirmed else Stage.CONSENT
    event = UpdateEvent(offer.action, at.now_ns, at.now_ns, stage, fault=fault, sentence=sentence)
    orders.tell(ports, at, event)
    if is_confirmed:
        ports.change_target(peer.tenant, peer.vehicle, confirmed=offer.action)


def _waiting(door: Door, at: Standing, number: str) -> Offer:
    offer = orders.offered(door.ports, at, number)
    if offer.is_cancelled or not at.waits_for_consent:
        raise NotFound(f"the action {number} waits for no confirmation")
    return offer


def _base(door: Door, at: Standing) -> dict[str, Any]:
    auto = at.target.auto_confirm
    base = f"{at.base}/confirmationBase"
    links: dict[str, Any] = {}
    if at.offer is not None and at.waits_for_consent and not at.offer.is_cancelled:
        number = orders.number_of(door.ports, at.peer.tenant, at.offer.action)
        links["confirmationBase"] = {"href": f"{base}/{number}?c={orders.state_tag(at.offer)}"}
    if auto is None:
        links["activateAutoConfirm"] = {"href": f"{base}/activateAutoConfirm"}
        return {"autoConfirm": {"active": False}, "_links": links}
    links["deactivateAutoConfirm"] = {"href": f"{base}/deactivateAutoConfirm"}
    says = {
        "active": True,
        "initiator": auto.initiator,
        "remark": auto.remark,
        "activatedAt": auto.time_ns // 1_000_000,
    }
    return {"autoConfirm": says, "_links": links}
