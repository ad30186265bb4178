"""A cloud's door of artifacts over real mutual TLS, and a vehicle that may come in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_agent.adapters.artifact_grpc import GrpcArtifacts
from edge_agent.adapters.uplink_tls import Address
from fairway.clock import SystemClock
from fairway.oci.model import digest_of
from fleet_cloud.adapters.artifacts_fs import FileArtifacts
from fleet_cloud.adapters.fleet import Fleet
from fleet_cloud.adapters.grpc import GrpcDoor
from fleet_cloud.adapters.grpc_artifacts import ArtifactDoor
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from tests.issued import keys_of

CLOCK = SystemClock()


@dataclass
class Place:
    """What stands behind the door."""

    registry: Registry
    fleet: Fleet
    artifacts: FileArtifacts
    address: Address

    def put(self, data: bytes, tenant: str = "acme") -> str:
        """Keep an artifact of a tenant, and return its digest."""
        digest = digest_of(data)
        receiving = self.artifacts.receive(digest)
        receiving.write(data)
        self.registry.holdings.hold(tenant, digest, receiving.finish(), 1)
        return digest

    def source(self) -> GrpcArtifacts:
        """Return what the vehicle fetches from."""
        return GrpcArtifacts(self.address)


@asynccontextmanager
async def artifact_place(folder: Path) -> AsyncIterator[Place]:
    """Open a door for the vehicle VIN1 of the tenant acme."""
    pki, registry = FilePki(folder / "pki"), memory_registry()
    pki.ensure([], CLOCK.now_ns())
    pki.add_tenant("acme", CLOCK.now_ns())
    registry.vehicles.add(Vehicle("VIN1", "acme", VehicleState.ACTIVE, CLOCK.now_ns(), None))
    keys = keys_of(pki, folder, "VIN1", tenant="acme")
    registry.certificates.record(keys.record)
    fleet = Fleet(registry.vehicles, registry.certificates, CLOCK)
    fleet.refresh()
    artifacts = FileArtifacts(folder / "artifacts")
    door = GrpcDoor(
        intake=Intake(1000),
        clock=CLOCK,
        members=lambda: fleet.members,
        services=[
            ArtifactDoor(
                artifacts=artifacts, holdings=registry.holdings, members=lambda: fleet.members
            ).service()
        ],
    )
    port = await door.start(
        "127.0.0.1:0", ca=pki.anchors, certificate=pki.server, key=pki.server_key
    )
    address = Address("grpcs", "127.0.0.1", port, pki.ca, keys.certificate, keys.key)
    try:
        yield Place(registry, fleet, artifacts, address)
    finally:
        await door.stop()
