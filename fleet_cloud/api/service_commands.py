"""Questions and orders to vehicles about services.

Rule 1: a request waits some seconds for the vehicle; who has not answered then may still: ask /v1/commands.
Rule 2: a command inside a service needs a permission that is given for that alone, and the vehicle's own
        consent; both refusals, and the command line, are in the audit log.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from fairway.control import (
    ExecuteInService,
    ExplainService,
    FetchServiceLogs,
    RestartService,
    ServiceWhat,
    StopService,
)
from fairway.errors import BadInput, Conflict
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.commands import ASKED, WAIT_MAX_S, CommandView, Wait, awaited
from fleet_cloud.api.gate import needs
from fleet_cloud.api.ports import ApiPorts
from fleet_cloud.api.problems import responses
from fleet_cloud.api.services import Read, ServiceName, Write
from fleet_cloud.api.vehicles import VehicleName
from fleet_cloud.api.visible import Caller, known_vehicle
from fleet_cloud.control.ports import Order, Vehicle

LINES_MAX = 10_000
_AUDITED_CHARACTERS = 1000
_Execute = Annotated[Caller, needs(Permission.SERVICES_EXECUTE)]
_ASKED = {**ASKED, **responses(400, 401, 403, 404, 409, 413, 429, 503)}


@dataclass(frozen=True, slots=True)
class ExecuteWish:
    """A command line, and when it is ended by force (the vehicle decides without)."""

    argv: Annotated[
        list[Annotated[str, Field(max_length=4096)]], Field(min_length=1, max_length=64)
    ]
    timeout_s: Annotated[int, Field(ge=0, le=60)] = 0


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of commands to services."""
    routes = APIRouter(prefix="/v1/vehicles/{vehicle}/services/{service}", tags=["services"])

    async def asked(
        caller: Caller,
        vehicle: str,
        what: ServiceWhat,
        wait_s: float,
        response: Response,
        **details: str,
    ) -> CommandView:
        details = {"service": what.service} | details
        order = await asyncio.to_thread(_given, ports, caller, vehicle, what, details)
        return await awaited(ports, order, wait_s, response)

    @routes.get("/logs", responses=_ASKED)
    async def fetch_logs(
        caller: Read,
        vehicle: VehicleName,
        service: ServiceName,
        response: Response,
        lines: Annotated[int, Query(ge=1, le=LINES_MAX)] = 100,
        wait: Wait = WAIT_MAX_S,
    ) -> CommandView:
        """Ask a vehicle for the newest lines of a service; `answer` has them as `lines`."""
        return await asked(caller, vehicle, FetchServiceLogs(service, lines), wait, response)

    @routes.get("/why", responses=_ASKED)
    async def explain_service(
        caller: Read,
        vehicle: VehicleName,
        service: ServiceName,
        response: Response,
        wait: Wait = WAIT_MAX_S,
    ) -> CommandView:
        """Ask a vehicle why a service stands as it does; `answer` is its explanation."""
        return await asked(caller, vehicle, ExplainService(service), wait, response)

    @routes.post("/restart", responses=_ASKED)
    async def restart_service(
        caller: Write,
        vehicle: VehicleName,
        service: ServiceName,
        response: Response,
        wait: Wait = WAIT_MAX_S,
    ) -> CommandView:
        """Have a vehicle start a service anew, also one that was stopped."""
        return await asked(caller, vehicle, RestartService(service), wait, response)

    @routes.post("/stop", responses=_ASKED)
    async def stop_service(
        caller: Write,
        vehicle: VehicleName,
        service: ServiceName,
        response: Response,
        wait: Wait = WAIT_MAX_S,
    ) -> CommandView:
        """Have a vehicle stop a service until it is restarted, or another version of it is wanted."""
        return await asked(caller, vehicle, StopService(service), wait, response)

    @routes.post("/execute", responses=_ASKED)
    async def execute_in_service(
        caller: _Execute,
        vehicle: VehicleName,
        service: ServiceName,
        wish: ExecuteWish,
        response: Response,
        wait: Wait = WAIT_MAX_S,
    ) -> CommandView:
        """Run a command inside a service, if the vehicle's own settings allow that; usually they do not."""
        if any("\0" in one for one in wish.argv) or not wish.argv[0]:
            raise BadInput("argv: begin with a program, and leave zero bytes out")
        what = ExecuteInService(service, tuple(wish.argv), wish.timeout_s)
        argv = " ".join(wish.argv)[:_AUDITED_CHARACTERS]
        return await asked(caller, vehicle, what, wait, response, argv=argv)

    return routes


def _given(
    ports: ApiPorts, caller: Caller, vehicle: str, what: ServiceWhat, details: Mapping[str, str]
) -> Order:
    found = known_vehicle(ports.vehicles, vehicle, caller)
    of = Vehicle(found.tenant, found.id)
    if ports.services.statuses.said(of) is None:
        raise Conflict(f"{found.id} has not said that it runs services: there is nobody to ask")
    actor, now_ns = caller.principal.actor, ports.clock.now_ns()
    order = ports.campaigns.commanding.give(of, what, actor=actor, now_ns=now_ns, details=details)
    ports.campaigns.poke()
    return order
