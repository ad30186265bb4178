"""The REST API, put together: one file for each resource, problem documents for every error.

Rule 1: a route that asks a store is a plain function, so it runs in a thread and the loop stays live.
Rule 2: every route says what it needs, or that it is public: gate.py.
Rule 3: below /v1 nothing changes who belongs to the fleet; what is asked of its vehicles can be changed, and
who is let in.  The doors of compat/ change the fleet as well.
"""

from typing import Any

from fastapi import FastAPI

from fleet_cloud.api import (
    access,
    audit,
    campaign_acts,
    campaign_data,
    campaign_dry_run,
    campaigns,
    commands,
    images,
    ingest,
    live,
    operations,
    problems,
    releases,
    rollout_acts,
    rollouts,
    series,
    service_commands,
    services,
    sign_in,
    state_commands,
    state_templates,
    twins,
    vehicle_services,
    vehicle_updates,
    vehicles,
)
from fleet_cloud.api.compat import fleetwise
from fleet_cloud.api.gate import Gate
from fleet_cloud.api.limits import SizeLimits
from fleet_cloud.api.ports import ApiPorts

_DESCRIPTION = """Vehicles, their signals and how ingest is doing.  Every error is a problem document
(RFC 9457, `application/problem+json`) whose `detail` is one sentence.  Everything below `/v1` needs an API key
or a token, as `Authorization: Bearer ...`; what is not yours is not there (404)."""


def make_api(
    ports: ApiPorts, *, heartbeat_s: float = live.HEARTBEAT_S, review_s: float = live.REVIEW_S
) -> FastAPI:
    """Return the ASGI application over `ports`.

    Whoever stops it calls `app.state.hang_up()` first, or its server waits for who listens to the live feed.
    """
    app = FastAPI(
        title="Fairway fleet cloud",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # a route of ours, which says that it is public
        redirect_slashes=False,  # one path has one spelling
    )
    app.add_middleware(SizeLimits)
    app.state.gate = Gate(ports)
    problems.add(app)
    app.include_router(access.router(ports))
    app.include_router(audit.router(ports))
    app.include_router(operations.router(ports, app))
    app.include_router(vehicles.router(ports))
    # Before the series of a signal: a signal's name may contain anything.
    app.include_router(series.router(ports))
    listeners = live.Listeners(ports.feed, heartbeat_s=heartbeat_s, review_s=review_s)
    app.include_router(live.router(listeners))
    app.state.hang_up = listeners.hang_up
    app.include_router(ingest.router(ports))
    app.include_router(campaigns.router(ports))
    app.include_router(campaign_acts.router(ports))
    app.include_router(campaign_data.router(ports))
    app.include_router(campaign_dry_run.router(ports))
    app.include_router(commands.router(ports))
    app.include_router(state_commands.router(ports))
    app.include_router(state_templates.router(ports))
    app.include_router(twins.router(ports))
    app.include_router(services.router(ports))
    app.include_router(vehicle_services.router(ports))
    app.include_router(service_commands.router(ports))
    app.include_router(images.router(ports))
    if ports.releases is not None:
        app.include_router(releases.router(ports, ports.releases))
    if ports.updates is not None:
        app.include_router(rollouts.router(ports, ports.updates))
        app.include_router(rollout_acts.router(ports, ports.updates))
        app.include_router(vehicle_updates.router(ports, ports.updates))
    if ports.sign_in is not None:
        app.include_router(sign_in.router(ports, ports.sign_in))
    if ports.fleetwise is not None:
        app.include_router(fleetwise.router(ports, ports.fleetwise))
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Have the description name the answers that are given: a wrong parameter is 400 here, not 422."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        schema = made()
        for methods in schema["paths"].values():
            for operation in methods.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(name, None)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
