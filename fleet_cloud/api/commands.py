"""Questions and orders to vehicles about campaigns, and the answers to all commands.

Rule 1: a request waits some seconds for the vehicle; who has not answered then may still: ask /v1/commands.
Rule 2: an answer is telemetry: it names values.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from fairway.control import AnswerState, ExplainCampaign, UploadPartition, What
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.campaigns import CampaignName
from fleet_cloud.api.gate import needs
from fleet_cloud.api.parameters import iso
from fleet_cloud.api.ports import ApiPorts, NotFound
from fleet_cloud.api.problems import responses
from fleet_cloud.api.vehicles import VehicleName
from fleet_cloud.api.visible import Caller, known_vehicle
from fleet_cloud.control.ports import (
    Order,
    Vehicle,
)

WAIT_MAX_S = 5.0
_LOOK_S = 0.05

Telemetry = Annotated[Caller, needs(Permission.TELEMETRY_READ)]
Write = Annotated[Caller, needs(Permission.CAMPAIGNS_WRITE)]
Wait = Annotated[
    float, Query(ge=0, le=WAIT_MAX_S, description="How long to wait for the vehicle, in seconds.")
]
TemplateName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]
ASKED: dict[int | str, dict[str, Any]] = {
    202: {"description": "The vehicle has not answered yet: see /v1/commands."},
    **responses(400, 401, 403, 404, 413, 429, 503),
}


@dataclass(frozen=True, slots=True)
class CommandView:
    """One command: open, in progress, succeeded, failed, timed out, or expired without an answer."""

    id: str
    vehicle: str
    command: str
    actor: str
    state: str
    created: str
    expires: str
    sent: bool
    reason_code: int
    sentence: str | None
    answer: Any


@dataclass(frozen=True, slots=True)
class UploadWish:
    """What is to be sent: a partition (all without), and until when it was collected (everything without)."""

    partition: Annotated[str, Field(max_length=128)] = ""
    end_time_ns: Annotated[int, Field(ge=0, lt=2**63)] = 0


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of commands."""
    routes = APIRouter(prefix="/v1", tags=["commands"])

    @routes.get("/vehicles/{vehicle}/campaigns/{name}/why", responses=ASKED)
    async def explain_campaign(
        caller: Telemetry,
        vehicle: VehicleName,
        name: CampaignName,
        response: Response,
        wait: Wait = WAIT_MAX_S,
    ) -> CommandView:
        """Ask a vehicle why a campaign sends what it sends; `answer` is its explanation."""
        return await asked(ports, caller, vehicle, ExplainCampaign(name), wait, response)

    @routes.post("/vehicles/{vehicle}/campaigns/{name}/upload", responses=ASKED)
    async def upload_partition(
        caller: Write,
        vehicle: VehicleName,
        name: CampaignName,
        wish: UploadWish,
        response: Response,
        wait: Wait = WAIT_MAX_S,
    ) -> CommandView:
        """Have a vehicle send what waits in a campaign's partition, whatever its condition says."""
        what = UploadPartition(name, wish.partition, wish.end_time_ns)
        return await asked(ports, caller, vehicle, what, wait, response)

    @routes.get("/commands/{command}", responses=responses(400, 401, 403, 404, 429, 503))
    def show_command(
        caller: Telemetry, command: Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    ) -> CommandView:
        """Show a command, and what became of it."""
        order = ports.campaigns.commands.command(caller.tenants, command)
        if order is None or not caller.sees(*order.vehicle):
            raise NotFound(f"no command has the id {command}")
        return _view(order, ports.clock.now_ns())

    return routes


async def asked(
    ports: ApiPorts, caller: Caller, vehicle: str, what: What, wait_s: float, response: Response
) -> CommandView:
    """Give a command, wait for its answer for a while, and return what became of it so far."""
    order = await asyncio.to_thread(_given, ports, caller, vehicle, what)
    return await awaited(ports, order, wait_s, response)


async def awaited(ports: ApiPorts, order: Order, wait_s: float, response: Response) -> CommandView:
    """Wait for the answer to a command for a while, and return what became of it so far."""
    for _ in range(int(wait_s / _LOOK_S)):
        if order.is_over:
            break
        await asyncio.sleep(_LOOK_S)
        order = await asyncio.to_thread(_looked_up, ports, order)
    response.status_code = 200 if order.is_over else 202
    return _view(order, ports.clock.now_ns())


def _given(ports: ApiPorts, caller: Caller, vehicle: str, what: What) -> Order:
    found = known_vehicle(ports.vehicles, vehicle, caller)
    order = ports.campaigns.commanding.give(
        Vehicle(found.tenant, found.id),
        what,
        actor=caller.principal.actor,
        now_ns=ports.clock.now_ns(),
    )
    ports.campaigns.poke()
    return order


def _looked_up(ports: ApiPorts, order: Order) -> Order:
    return ports.campaigns.commands.command([order.vehicle.tenant], order.id) or order


def _view(order: Order, now_ns: int) -> CommandView:
    answer = order.answer
    state = "expired" if order.expires_time_ns <= now_ns else "open"
    if answer is not None and (order.is_over or state == "open"):
        state = answer.state.name.lower()
    return CommandView(
        id=order.id,
        vehicle=order.vehicle.name,
        command=type(order.what).__name__,
        actor=order.actor,
        state=state,
        created=iso(order.created_time_ns),
        expires=iso(order.expires_time_ns),
        sent=order.is_sent,
        reason_code=answer.reason_code if answer else 0,
        sentence=answer.sentence or None if answer else None,
        answer=_content(answer.json)
        if answer and answer.state is not AnswerState.IN_PROGRESS
        else None,
    )


def _content(text: str) -> Any:
    """Return what an answer says; whoever sends no JSON is told as it spoke."""
    try:
        return json.loads(text, parse_constant=lambda _: None) if text else None
    except (ValueError, RecursionError):
        return text
