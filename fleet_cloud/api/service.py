"""The REST API, put together: one file for each resource, problem documents for every error.

Rule 1: a route that asks a store is a plain function, so it runs in a thread and the loop stays live.
Rule 2: routes only read; nothing here changes the fleet.
"""

from fastapi import FastAPI

from fleet_cloud.api import ingest, live, operations, problems, series, vehicles
from fleet_cloud.api.ports import ApiPorts

_DESCRIPTION = """Vehicles, their signals and how ingest is doing.  Every error is a problem document
(RFC 9457, `application/problem+json`) whose `detail` is one sentence."""


def make_api(ports: ApiPorts, *, heartbeat_s: float = live.HEARTBEAT_S) -> FastAPI:
    """Return the ASGI application over `ports`.

    Whoever stops it calls `app.state.hang_up()` first, or its server waits for who listens to the live feed.
    """
    app = FastAPI(
        title="Fairway fleet cloud",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # one path has one spelling
    )
    problems.add(app)
    app.include_router(operations.router(ports, app))
    app.include_router(vehicles.router(ports))
    # Before the series of a signal: a signal's name may contain anything.
    app.include_router(series.router(ports))
    listeners = live.Listeners(ports.feed, heartbeat_s=heartbeat_s)
    app.include_router(live.router(listeners))
    app.state.hang_up = listeners.hang_up
    app.include_router(ingest.router(ports))
    return app
