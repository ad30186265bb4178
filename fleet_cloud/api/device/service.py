"""The device door, put together: Uptane for vehicles, and beside it whatever else vehicles speak.

    sizes > rates > counted > who speaks > routes

Rule 1: what comes too large or too often is turned away before anything else looks at it.
Rule 2: foreign protocols bring routers of their own, over the same ports: one listener, one set of limits.
"""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from starlette.types import Scope

from fleet_cloud.api import problems
from fleet_cloud.api.device import uptane
from fleet_cloud.api.device.ports import DevicePorts
from fleet_cloud.api.device.rates import Counting, Rates
from fleet_cloud.api.limits import SizeLimits
from fleet_cloud.artifacts.ports import ARTIFACT_MAX_BYTES

# A report of 256 ECUs with their signatures, or 256 events, one of them with the log of a boot that failed.
BODY_MAX_BYTES = 1 << 20
_UPLOADS = "/rest/v1/softwaremodules/"


def device_app(ports: DevicePorts, beside: Sequence[APIRouter] = ()) -> FastAPI:
    """Return the ASGI application over `ports`; `beside` are routers of foreign protocols.

    Its server puts the certificate of whoever speaks into each request's scope: admission.py.
    """
    app = FastAPI(
        title="Fairway updates",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(Counting, numbers=ports.numbers)
    app.add_middleware(Rates, ports=ports)
    app.add_middleware(SizeLimits, most=_most)
    problems.add(app)
    app.include_router(uptane.router(ports))
    for router in beside:
        app.include_router(router)
    app.state.hang_up = lambda: None
    return app


def _most(scope: Scope) -> int:
    if scope["method"] == "POST" and scope["path"].startswith(_UPLOADS):
        return ARTIFACT_MAX_BYTES
    return BODY_MAX_BYTES
