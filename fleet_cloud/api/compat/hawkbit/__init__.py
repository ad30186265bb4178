"""The door for clients of Eclipse hawkBit: its device API (DDI), and a part of its management API."""

from fastapi import APIRouter

from fleet_cloud.api.compat.hawkbit import (
    artifacts,
    confirmation,
    ddi,
    management,
    modules,
    sets,
    targets,
)
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts


def hawkbit_router(ports: HawkbitPorts) -> APIRouter:
    """Return the routes of both."""
    routes = APIRouter()
    for part in (ddi, confirmation, artifacts, targets, modules, sets, management):
        routes.include_router(part.router(ports), include_in_schema=False)
    return routes
