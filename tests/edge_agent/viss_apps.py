"""A small vehicle behind a real VISS door, and clients of it by WebSocket and HTTP."""

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from edge_agent.adapters.kuksa_service import Service
from edge_agent.adapters.onboard_grpc import Tls
from edge_agent.adapters.onboard_listen import Listen
from edge_agent.adapters.tokens import Verifier, load_keys
from edge_agent.adapters.viss_http import VissDoor
from edge_agent.adapters.viss_service import Viss
from edge_agent.broker.claims import Expected
from edge_agent.broker.counts import OnboardCounts
from edge_agent.broker.vehicle import VehicleData
from fairway.clock import SystemClock
from tests.edge_agent.vehicle_api import vehicle
from tests.onboard_apps import Issuer

ALL = "read actuate provide"


class Client:
    """Requests over one WebSocket; responses by their id, events as they come."""

    def __init__(self, socket: ClientConnection, token: str | None) -> None:
        self.socket, self.token, self.events, self._next = socket, token, list[dict[str, Any]](), 0

    async def ask(self, action: str, **more: Any) -> dict[str, Any]:
        """Return the response to a request."""
        self._next += 1
        said = {"action": action, "requestId": str(self._next)} | more
        if self.token is not None:
            said.setdefault("authorization", self.token)
        return await self.send(json.dumps(said))

    async def send(self, text: str) -> dict[str, Any]:
        """Return what comes back that is no event."""
        await self.socket.send(text)
        while True:
            said = await self._read()
            if said.get("action") != "subscription":
                return said
            self.events.append(said)

    async def event(self, within_s: float = 5) -> dict[str, Any]:
        """Return the next event."""
        async with asyncio.timeout(within_s):
            return self.events.pop(0) if self.events else await self._read()

    async def values(self, count: int) -> list[Any]:
        """Return the values of the next events, each of one signal."""
        return [(await self.event())["data"]["dp"]["value"] for _ in range(count)]

    async def is_quiet(self, for_s: float = 0.3) -> bool:
        """Whether nothing comes for so long."""
        try:
            self.events.append(await self.event(for_s))
        except TimeoutError:
            return True
        return False

    async def _read(self) -> dict[str, Any]:
        return json.loads(await self.socket.recv())


@dataclass(slots=True)
class VissApi:
    """A vehicle that is served."""

    data: VehicleData
    where: str  # host:port
    issuer: Issuer
    counts: OnboardCounts

    @asynccontextmanager
    async def client(
        self, scope: str | None = ALL, version: str | None = "VISSv3", **token: Any
    ) -> AsyncIterator[Client]:
        """Connect; without a scope there is no token."""
        shown = None if scope is None else self.issuer.token(scope, **token)
        subprotocols: Any = [version] if version else None
        async with connect(f"ws://{self.where}", subprotocols=subprotocols, proxy=None) as socket:
            assert socket.subprotocol == version
            yield Client(socket, shown)

    async def http(
        self, path: str, scope: str | None = ALL, *, body: Any = None, filtered: Any = None
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the response of a GET, or of a POST when there is a body."""
        query = "" if filtered is None else "?filter=" + urllib.parse.quote(json.dumps(filtered))
        request = urllib.request.Request(f"http://{self.where}{path}{query}")
        if scope is not None:
            request.add_header("Authorization", f"Bearer {self.issuer.token(scope)}")
        if body is not None:
            request.data = json.dumps(body).encode()
        return await asyncio.to_thread(_opened, request)


def _opened(request: urllib.request.Request) -> tuple[int, dict[str, Any]]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@asynccontextmanager
async def served_by_viss(
    folder: Path,
    data: VehicleData | None = None,
    revoked: Path | None = None,
    tls: Tls | None = None,
) -> AsyncIterator[VissApi]:
    """Serve a vehicle."""
    data = vehicle() if data is None else data
    issuer, clock, counts = Issuer(folder / "issuer"), SystemClock(), OnboardCounts()
    expected = Expected(frozenset({"kuksa.val"}))
    verifier = Verifier(load_keys([issuer.public]), expected, clock, revoked=revoked)
    viss = Viss(Service(data, clock), verifier, counts)
    door = VissDoor(Listen("tls" if tls else "tcp", host="127.0.0.1", port=0), viss, tls)
    where = await door.start()
    try:
        yield VissApi(data, where.partition("://")[2], issuer, counts)
    finally:
        await door.stop()
