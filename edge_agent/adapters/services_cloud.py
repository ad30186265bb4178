"""What the cloud has to do with services: it orders them, asks about them, and has their images.

    control door > ServiceOrders > supervisor, which lacks images > ImageFetch > the cloud's artifacts > shelf

Rule 1: images come from where the cloud says, or from the gRPC address that the vehicle knows; in both cases
        with its own certificate, from a server that its uplink would talk to as well.
"""

import asyncio
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from edge_agent.adapters.artifact_fetch import Artifacts, ArtifactSource, Pay, free_of_charge
from edge_agent.adapters.artifact_grpc import GrpcArtifacts
from edge_agent.adapters.campaigns_open import CampaignParts
from edge_agent.adapters.identity_files import IdentityFiles
from edge_agent.adapters.image_fetch import FetchTerms, ImageFetch, Taking, Wanting
from edge_agent.adapters.kept_files import KeptFiles
from edge_agent.adapters.service_orders import ServiceOrders, Supervised
from edge_agent.adapters.uplink_tls import PORTS, Address
from edge_agent.adapters.uplink_tls import address as read_url
from edge_agent.config import Config
from edge_agent.services.ports import Kept
from edge_agent.telemetry.lanes import paid
from fairway.clock import Clock
from fairway.errors import BadInput, Unavailable
from fairway.oci import platforms
from fairway.oci.model import Platform
from fairway.services.model import Service

FETCHING = "fetching"


class Supervisor(Supervised, Wanting, Protocol):
    """The supervisor of services: services.py."""


class CloudServices:
    """The cloud's side of services; give `orders` to the control door, and `run` it as a task."""

    def __init__(
        self,
        supervisor: Supervisor,
        shelf: Taking,
        kept: Kept,
        clock: Clock,
        fetching: "Fetching",
    ) -> None:
        """`kept` remembers what was ordered."""
        self._supervisor = supervisor
        self.orders = ServiceOrders(supervisor, kept)
        folder = fetching.folder / FETCHING
        self._artifacts = Artifacts(
            folder / "begun",
            lambda: fetching.source(self.orders.artifacts_url),
            fetching.pay,
        )
        self.images = ImageFetch(
            folder / "layouts", self._artifacts, shelf, clock, FetchTerms(fetching.here)
        )

    def hints(self, service: Service) -> tuple[str, ...]:
        """Return why a service's image is not here, where that is known."""
        trouble = self.images.troubles.get(service.image)
        return (trouble,) if trouble else ()

    async def run(self) -> None:
        """Fetch what services lack until cancelled."""
        await self.images.run(self._supervisor)


class Fetching:
    """How images are fetched."""

    def __init__(
        self,
        folder: Path,
        target: Address,
        here: Platform,
        *,
        known_url: str = "",
        pay: Pay = free_of_charge,
        opened: Callable[[Address], ArtifactSource] = GrpcArtifacts,
    ) -> None:
        """`target` is the uplink's, whose certificates and guard count; `known_url` is a gRPC address beside.

        `pay` is asked for every byte before it is read.
        """
        self.folder, self.here, self.pay = folder, here, pay
        self._target, self._known_url, self._opened = target, known_url, opened

    def source(self, said_url: str) -> ArtifactSource:
        """Return where artifacts are now; `said_url` is what the cloud said.  Raises Unavailable."""
        try:
            return self._opened(self._address(said_url or self._known_url))
        except BadInput as error:
            raise Unavailable(f"artifacts cannot be fetched: {error}") from error

    def _address(self, url: str) -> Address:
        if not url:
            if self._target.scheme.startswith("grpc"):
                return self._target
            raise BadInput(
                "this vehicle speaks MQTT, and the cloud has not said a gRPC address: set artifacts.url there"
            )
        said = read_url(url)
        if not said.scheme.startswith("grpc"):
            raise BadInput(f"{url!r} is no gRPC address")
        if self._target.is_secure and not said.is_secure:
            raise BadInput(f"{url!r} is in the clear, and the uplink is not")
        self._target.guard.check_host(said.host)
        port = said.port or PORTS[said.scheme]
        return replace(self._target, scheme=said.scheme, host=said.host, port=port)


class ConnectedServices:
    """Services of a vehicle that has a cloud: what runs them, and the cloud's side beside it."""

    def __init__(self, parts: "Parts", cloud: CloudServices) -> None:
        self.supervisor, self.parts, self.cloud = parts.supervisor, parts, cloud
        parts.supervisor.hint(cloud.hints)

    async def run(self) -> None:
        """Run services until cancelled; they run on."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.parts.run())
            tasks.create_task(self.cloud.run())

    async def until_running(self, timeout_s: float) -> None:
        """Return when all services that are to run do, or so much later at most."""
        await self.parts.until_running(timeout_s)

    async def close(self) -> None:
        """Let go; services run on."""
        await self.parts.close()


class Parts(Protocol):
    """What runs services: services_open.py."""

    supervisor: Any
    images: Any

    async def run(self) -> None:
        """Run services until cancelled."""
        ...

    async def until_running(self, timeout_s: float) -> None:
        """Return when all services that are to run do, or so much later at most."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


def connected(
    parts: Parts, config: Config, target: Address, clock: Clock, campaigns: CampaignParts
) -> ConnectedServices:
    """Return the services with their cloud, which is at `target`; call it before the agent connects."""
    assert config.services is not None
    folder = (config.services.dir or config.spool.dir.parent / "services").absolute()
    identity = config.identity.folder if config.identity is not None else None

    async def pay(size_bytes: int) -> bool:
        return await paid(campaigns.purse, size_bytes)

    fetching = Fetching(
        folder,
        target,
        platforms.of_machine(platform.machine()),
        known_url=known_grpc_url(identity),
        pay=pay,
    )
    kept = KeptFiles(folder / "kept")
    cloud = CloudServices(parts.supervisor, parts.images, kept, clock, fetching)
    campaigns.orders.services = cloud.orders
    parts.supervisor.changed = campaigns.tell
    return ConnectedServices(parts, cloud)


def known_grpc_url(identity: Path | None) -> str:
    """Return the gRPC address that enrolment noted; "" without one.  Raises BadInput."""
    return "" if identity is None else IdentityFiles(identity).read().endpoints.grpc_url
