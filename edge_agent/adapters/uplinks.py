"""The uplink that a URL names; its library is imported when it is needed, and no other."""

from collections.abc import Mapping
from typing import Protocol

from edge_agent.adapters.uplink_tls import Address
from edge_agent.canbus.model import Database
from edge_agent.config import Config
from edge_agent.telemetry.uplink import ControlDoor, Uplink
from fairway.clock import Clock
from fairway.errors import BadInput


class CloudUplink(Uplink, ControlDoor, Protocol):
    """A connection that carries telemetry and control."""


class Foreign(Protocol):
    """A cloud of another kind, which says what signals are."""

    @property
    def uplink(self) -> CloudUplink:
        """The way there."""
        ...

    async def databases(self) -> Mapping[str, Database]:
        """Return the database of each bus, as soon as the cloud has said it.  Raises BadInput."""
        ...

    async def changed(self) -> None:
        """Return when it has said something else."""
        ...


def open_foreign(config: Config, target: Address | None, clock: Clock) -> Foreign | None:
    """Return the cloud of another kind that the settings name; None: it is one of ours, or there is none.

    Raises BadInput for certificates that cannot be.
    """
    if config.uplink is None or config.uplink.dialect == "fairway" or target is None:
        return None
    try:
        from edge_agent.adapters.fleetwise import FleetWiseSide  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise BadInput(
            f"uplink.dialect needs the extra edge-fleetwise ({error.name} is not installed)"
        ) from error

    return FleetWiseSide(config, target, clock)


def open_uplink(target: Address, *, vehicle: str) -> CloudUplink:
    """Return the uplink to `target`, not connected yet.  Raises BadInput for certificates that cannot be."""
    if target.scheme.startswith("mqtt"):
        from edge_agent.adapters.uplink_mqtt import MqttUplink  # noqa: PLC0415

        return MqttUplink(target, vehicle=vehicle)
    from edge_agent.adapters.uplink_grpc import GrpcUplink  # noqa: PLC0415

    return GrpcUplink(target)
