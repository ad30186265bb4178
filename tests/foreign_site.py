"""The device door over a small fleet in memory, with everything for clients of others beside it."""

from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from fairway.clock import ManualClock
from fairway.errors import BadInput
from fleet_cloud.access.grants import Grant
from fleet_cloud.access.keys import fresh_key
from fleet_cloud.access.roles import Role
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
from fleet_cloud.api.device.ports import DevicePorts
from fleet_cloud.api.device.service import device_app
from fleet_cloud.api.gate import Gate
from fleet_cloud.rollouts.foreign.direct import DirectOffers
from fleet_cloud.rollouts.foreign.several import SeveralOffers
from fleet_cloud.vehicles.certificates import Member
from fleet_cloud.vehicles.registry import Vehicle, VehicleState

TENANT = "acme"


@dataclass
class ShownOnly:
    """What the gate is given: keys, and no tokens of issuers."""

    keys: MemoryKeys
    clock: Any
    audit: MemoryAudit
    tokens: Any = None


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

    def client(self, **more: Any) -> httpx.Client:
        """Return a client of the door."""
        # Starlette's own test client, without its threads' warnings.
        from starlette.testclient import TestClient  # noqa: PLC0415

        return TestClient(self.app, base_url="http://door.example", **more)

    def manager(self, role: str = "admin", tenant: str = TENANT) -> httpx.Client:
        """Return a client that signs in as hawkBit's users do."""
        client = self.client()
        client.auth = httpx.BasicAuth("somebody", self.key(role, tenant))
        return client


def _shown(certificate: bytes) -> tuple[str, str]:
    name = certificate.decode()
    if not name:
        raise BadInput("the client certificate names no vehicle")
    return name, "ab" * 32
