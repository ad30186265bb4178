"""The cloud's device door over real mutual TLS, with memory behind it, and a vehicle that may come in."""

import hashlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fastapi import APIRouter

from edge_agent.adapters.update_http import UpdateServer, door_of, update_server
from edge_agent.adapters.uplink_tls import Address
from edge_agent.updates.fetching import Patience
from fairway.clock import SystemClock
from fleet_cloud.adapters.data_dir import listening
from fleet_cloud.adapters.fleet import Fleet
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.memory_artifacts import MemoryArtifacts
from fleet_cloud.adapters.memory_rollouts import (
    MemoryDirector,
    MemoryImageRepository,
    MemoryOffers,
)
from fleet_cloud.adapters.peer_certificates import vehicle_shown
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.api.device.ports import DevicePorts, Places
from fleet_cloud.api.device.server import DoorTls, door
from fleet_cloud.api.device.service import device_app
from fleet_cloud.artifacts.ports import Artifacts
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from tests.issued import Keys, keys_of

CLOCK = SystemClock()
# Tests wait for nothing that is not there.
QUICK = Patience(
    speed_window_s=2.0, silence_max_s=5.0, tries_max=4, wait_first_s=0.01, wait_max_s=0.02
)
TENANT, VEHICLE = "acme", "VIN1"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class UpdatePlace:
    """What stands behind the door, and who may come in."""

    url: str
    pki: FilePki
    folder: Path
    registry: Registry
    fleet: Fleet
    keys: Keys
    ports: DevicePorts
    artifacts: Artifacts
    director: MemoryDirector
    offers: MemoryOffers
    repository: MemoryImageRepository

    @property
    def address(self) -> Address:
        """How the vehicle shows who it is."""
        return Address("https", "-", 0, self.pki.ca, self.keys.certificate, self.keys.key)

    def put(self, data: bytes, tenant: str = TENANT) -> str:
        """Keep bytes of a tenant, and return their SHA-256."""
        name = sha256(data)
        receiving = self.artifacts.receive(f"sha256:{name}")
        receiving.write(data)
        self.registry.holdings.hold(tenant, f"sha256:{name}", receiving.finish(), 1)
        return name

    def server(self, patience: Patience = QUICK, storage_ca: Path | None = None) -> UpdateServer:
        """Return what the vehicle has of this door."""
        return update_server(
            lambda: door_of(self.url, self.address, storage_ca=storage_ca), CLOCK, patience
        )

    def context(self, keys: Keys | None) -> ssl.SSLContext:
        """Return how any HTTP client comes in with a certificate, or without one."""
        context = ssl.create_default_context(cafile=str(self.pki.ca))
        if keys is not None:
            context.load_cert_chain(keys.certificate, keys.key)
        return context


@asynccontextmanager
async def update_place(
    folder: Path,
    *,
    artifacts: Artifacts | None = None,
    places: Places | None = None,
    beside: Callable[[DevicePorts], Sequence[APIRouter]] = lambda _: (),
    change: Callable[[DevicePorts], DevicePorts] = lambda ports: ports,
) -> AsyncIterator[UpdatePlace]:
    """Open a door for the vehicle VIN1 of the tenant acme."""
    pki, registry = FilePki(folder / "pki"), memory_registry()
    pki.ensure([], CLOCK.now_ns())
    pki.add_tenant(TENANT, CLOCK.now_ns())
    registry.vehicles.add(Vehicle(VEHICLE, TENANT, VehicleState.ACTIVE, CLOCK.now_ns(), None))
    keys = keys_of(pki, folder, VEHICLE, tenant=TENANT)
    registry.certificates.record(keys.record)
    fleet = Fleet(registry.vehicles, registry.certificates, CLOCK)
    fleet.refresh()
    director, offers, repository = MemoryDirector(), MemoryOffers(), MemoryImageRepository()
    kept: Artifacts = artifacts or MemoryArtifacts()
    ports = DevicePorts(
        director=director,
        offers=offers,
        ecus=director,
        repository=repository,
        artifacts=kept,
        holdings=registry.holdings,
        members=lambda: fleet.members,
        shown=lambda der: vehicle_shown(ssl.DER_cert_to_PEM_cert(der).encode(), region=pki.region),
        clock=CLOCK,
        places=places,
    )
    ports = change(ports)
    opened = listening("127.0.0.1", 0)
    url = f"https://localhost:{opened.getsockname()[1]}"
    tls = DoorTls(pki.server, pki.server_key, pki.anchors)
    app = device_app(ports, beside(ports))
    async with door(app, opened, tls=tls, numbers=ports.numbers, ended=lambda: None):
        yield UpdatePlace(
            url, pki, folder, registry, fleet, keys, ports, kept, director, offers, repository
        )


def without_certificate(address: Address) -> Address:
    """Return an address of nobody."""
    return replace(address, certificate=None, key=None)
