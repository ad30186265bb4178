"""The device door over a small fleet in memory, with everything for clients of others beside it."""

import asyncio
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from fairway.clock import ManualClock
from fairway.errors import BadInput
from fleet_cloud.access.grants import Grant
from fleet_cloud.access.keys import fresh_key
from fleet_cloud.access.roles import Role
from fleet_cloud.access.tokens import NoTokens
from fleet_cloud.adapters.memory import MemoryVehicles
from fleet_cloud.adapters.memory_access import MemoryKeys
from fleet_cloud.adapters.memory_artifacts import MemoryArtifacts, MemoryHoldings
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.adapters.memory_foreign import MemoryForeign
from fleet_cloud.adapters.memory_rollouts import (
    MemoryDirector,
    MemoryImageRepository,
    MemoryOffers,
)
from fleet_cloud.api.compat.hawkbit import hawkbit_router
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.device.admission import CERTIFICATE
from fleet_cloud.api.device.ports import DevicePorts
from fleet_cloud.api.device.service import device_app
from fleet_cloud.api.gate import Gate
from fleet_cloud.rollouts.foreign.direct import DirectOffers
from fleet_cloud.rollouts.foreign.model import Assignment
from fleet_cloud.rollouts.foreign.several import SeveralOffers
from fleet_cloud.vehicles.certificates import Member
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from ota.manifest import Bundle, Image, Kind

TENANT = "acme"
IMAGE = Image("gateway/2.0.0.img", 9, "ab" * 32, Kind.SLOT, "gateway", "2.0.0", 2, ("gw-1",))
WISH = Assignment("", "VIN1", 1, Bundle("gateway", "2.0.0", (IMAGE.path,)), (IMAGE,))


@dataclass
class ShownOnly:
    """What the gate is given: keys, and no tokens of issuers."""

    keys: MemoryKeys
    clock: Any
    audit: MemoryAudit
    tokens: NoTokens = field(default_factory=NoTokens)
    fleets_of: Any = None


class PlainSealer:
    """Seals nothing, so that a test sees what is shown again."""

    def seal(self, text: str) -> str:
        return text[::-1]

    def opened(self, sealed: str) -> str | None:
        return sealed[::-1] or None


@dataclass
class ForeignSite:
    """A door, and what stands behind it."""

    clock: Any = field(default_factory=ManualClock)
    foreign: Any = field(default_factory=MemoryForeign)
    vehicles: MemoryVehicles = field(default_factory=MemoryVehicles)
    keys: MemoryKeys = field(default_factory=MemoryKeys)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    offers: MemoryOffers = field(default_factory=MemoryOffers)
    artifacts: MemoryArtifacts = field(default_factory=MemoryArtifacts)
    holdings: MemoryHoldings = field(default_factory=MemoryHoldings)
    sealer: Any = field(default_factory=PlainSealer)
    proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.direct = DirectOffers(self.foreign)
        device = DevicePorts(
            director=MemoryDirector(),
            offers=SeveralOffers(self.direct, self.offers),
            ecus=MemoryDirector(),
            repository=MemoryImageRepository(),
            artifacts=self.artifacts,
            holdings=self.holdings,
            members=self.members,
            shown=_shown,
            clock=self.clock,
        )
        gate: Any = ShownOnly(self.keys, self.clock, self.audit)
        self.ports = HawkbitPorts(
            device=device,
            gate=Gate(gate),
            documents=self.foreign,
            numbers=self.foreign,
            direct=self.direct,
            vehicles=self.vehicles,
            audit=self.audit,
            sealer=self.sealer,
            proxies=self.proxies,
        )
        self.app: FastAPI = device_app(device, [hawkbit_router(self.ports)])

    def members(self) -> dict[str, Member]:
        """Who may connect, by any certificate of their name."""
        return {
            one.id: Member(one.id, one.tenant, by_name=True)
            for one in self.vehicles.vehicles()
            if one.may_connect
        }

    def key(self, role: str = "admin", tenant: str = TENANT) -> str:
        """Make an API key, and return it."""
        kept, text = fresh_key("test", Grant(Role(role), tenant), self.clock.now_ns())
        self.keys.add(kept)
        return text

    def vehicle(self, vehicle: str, tenant: str = TENANT) -> None:
        """Register a vehicle."""
        self.vehicles.add(Vehicle(vehicle, tenant, VehicleState.ACTIVE, 1, None))

    def client(self, *, address: str = "192.0.2.1", **headers: str) -> "Client":
        """Return a client of the door, at an address."""
        return Client(self.app, address, headers)

    def manager(self, role: str = "admin", tenant: str = TENANT) -> "Client":
        """Return a client that signs in as hawkBit's users do."""
        shown = b64encode(f"somebody:{self.key(role, tenant)}".encode()).decode()
        return self.client(Authorization=f"Basic {shown}")

    def vehicle_client(self, vehicle: str, certificate: str = "") -> "Client":
        """Return a client that shows the certificate of a vehicle."""
        return Client(self.app, "192.0.2.7", {}, (certificate or vehicle).encode())


class Client:
    """Asks a door in the same process, one request after the other."""

    def __init__(
        self, app: FastAPI, address: str, headers: dict[str, str], certificate: bytes = b""
    ) -> None:
        async def with_certificate(scope: Any, receive: Any, send: Any) -> None:
            # As the door's server puts it there: api/device/server.py.
            await app({**scope, "state": {CERTIFICATE: certificate}}, receive, send)

        self._app: Any = with_certificate
        self._address, self.headers = address, headers

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask, and return the answer."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, client=(self._address, 1))
            base = "http://door.example"
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                headers = {**self.headers, **more.pop("headers", {})}
                return await client.request(method, path, headers=headers, **more)

        with asyncio.Runner() as runner:
            return runner.run(ask())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)

    def put(self, path: str, **more: Any) -> httpx.Response:
        return self.request("PUT", path, **more)

    def delete(self, path: str, **more: Any) -> httpx.Response:
        return self.request("DELETE", path, **more)


def _shown(certificate: bytes) -> tuple[str, str]:
    name = certificate.decode()
    if not name:
        raise BadInput("the client certificate names no vehicle")
    return name, "ab" * 32
