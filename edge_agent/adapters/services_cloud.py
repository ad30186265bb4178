"""What the cloud has to do with services: it orders them, asks about them, and has their images.

    control door > ServiceOrders > supervisor, which lacks images > ImageFetch > the cloud's artifacts > shelf

Rule 1: images come from where the cloud says, or from the gRPC address that the vehicle knows; in both cases
        with its own certificate, from a server that its uplink would talk to as well.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from edge_agent.adapters.artifact_fetch import Artifacts, ArtifactSource, Pay, free_of_charge
from edge_agent.adapters.artifact_grpc import GrpcArtifacts
from edge_agent.adapters.identity_files import IdentityFiles
from edge_agent.adapters.image_fetch import FetchTerms, ImageFetch, Taking, Wanting
from edge_agent.adapters.service_orders import ServiceOrders, Supervised
from edge_agent.adapters.uplink_tls import PORTS, Address
from edge_agent.adapters.uplink_tls import address as read_url
from edge_agent.services.ports import Kept
from fairway.clock import Clock
from fairway.errors import BadInput, Unavailable
from fairway.oci.model import Platform

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
                "this vehicle speaks MQTT and knows no gRPC address: set artifacts.url in the cloud"
            )
        said = read_url(url)
        if not said.scheme.startswith("grpc"):
            raise BadInput(f"{url!r} is no gRPC address")
        if self._target.is_secure and not said.is_secure:
            raise BadInput(f"{url!r} is in the clear, and the uplink is not")
        self._target.guard.check_host(said.host)
        port = said.port or PORTS[said.scheme]
        return replace(self._target, scheme=said.scheme, host=said.host, port=port)


def known_grpc_url(identity: Path | None) -> str:
    """Return the gRPC address that enrolment noted; "" without one.  Raises BadInput."""
    return "" if identity is None else IdentityFiles(identity).read().endpoints.grpc_url
