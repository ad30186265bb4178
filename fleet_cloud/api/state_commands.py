"""POST /v1/vehicles/{vehicle}/state-templates/{template}/...: what a vehicle is to report of its state."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from fairway.control import ActivateState, DeactivateState, SnapshotState
from fleet_cloud.api.commands import (
    ASKED,
    WAIT_MAX_S,
    CommandView,
    TemplateName,
    Wait,
    Write,
    asked,
)
from fleet_cloud.api.ports import ApiPorts
from fleet_cloud.api.vehicles import VehicleName


@dataclass(frozen=True, slots=True)
class ActivateWish:
    """For how long a template is reported; 0: until it is deactivated."""

    deactivate_after_s: Annotated[int, Field(ge=0, lt=2**32)] = 0


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of orders about state templates."""
    routes = APIRouter(prefix="/v1", tags=["commands"])

    @routes.post("/vehicles/{vehicle}/state-templates/{template}/activate", responses=ASKED)
    async def activate_template(
        caller: Write,
        vehicle: VehicleName,
        template: TemplateName,
        wish: ActivateWish,
        response: Response,
        wait: Wait = WAIT_MAX_S,
    ) -> CommandView:
        """Have a vehicle report the last known values of a template."""
        what = ActivateState(template, wish.deactivate_after_s)
        return await asked(ports, caller, vehicle, what, wait, response)

    @routes.post("/vehicles/{vehicle}/state-templates/{template}/deactivate", responses=ASKED)
    async def deactivate_template(
        caller: Write,
        vehicle: VehicleName,
        template: TemplateName,
        response: Response,
        wait: Wait = WAIT_MAX_S,
    ) -> CommandView:
        """Have a vehicle report a template no longer."""
        return await asked(ports, caller, vehicle, DeactivateState(template), wait, response)

    @routes.post("/vehicles/{vehicle}/state-templates/{template}/snapshot", responses=ASKED)
    async def snapshot_template(
        caller: Write,
        vehicle: VehicleName,
        template: TemplateName,
        response: Response,
        wait: Wait = WAIT_MAX_S,
    ) -> CommandView:
        """Have a vehicle report all values of a template once; they are in its twin then."""
        return await asked(ports, caller, vehicle, SnapshotState(template), wait, response)

    return routes
