"""How often one vehicle may ask, and how often the door answered what.

Rule 1: a vehicle counts by its certificate, whoever has none by its address.
Rule 2: answers are counted by route, never by path: paths are as many as vehicles.
"""

import hashlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleet_cloud.api.device.admission import CERTIFICATE
from fleet_cloud.api.device.ports import DevicePorts, DoorNumbers
from fleet_cloud.api.limiter import Limiter, address_of
from fleet_cloud.api.ports import TooOften
from fleet_cloud.api.problems import headers_of, problem


class Rates:
    """Turns away who asks too often."""

    def __init__(self, app: ASGIApp, ports: DevicePorts) -> None:
        self._app = app
        self._vehicles = Limiter(ports.vehicle_limit, ports.clock)
        self._addresses = Limiter(ports.address_limit, ports.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (waits_s := self._waits_s(scope)):
            error = TooOften(f"too many requests: come again in {waits_s:.1f} s", wait_s=waits_s)
            await problem(429, str(error), **headers_of(error))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _waits_s(self, scope: Scope) -> float:
        certificate = scope.get("state", {}).get(CERTIFICATE)
        if certificate:
            return self._vehicles.take(hashlib.sha256(certificate).hexdigest())
        client = scope.get("client")
        return self._addresses.take(address_of(client[0]) if client else "")


class Counting:
    """Counts answers."""

    def __init__(self, app: ASGIApp, numbers: DoorNumbers) -> None:
        self._app, self._numbers = app, numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                self._numbers.requests[route, message["status"]] += 1
            await send(message)

        await self._app(scope, receive, counted)
