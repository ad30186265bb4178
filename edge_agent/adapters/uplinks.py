"""The uplink that a URL names; its library is imported when it is needed, and no other."""

from typing import Protocol

from edge_agent.adapters.uplink_tls import Address
from edge_agent.telemetry.uplink import ControlDoor, Uplink


class CloudUplink(Uplink, ControlDoor, Protocol):
    """A connection that carries telemetry and control."""


def open_uplink(target: Address, *, vehicle: str) -> CloudUplink:
    """Return the uplink to `target`, not connected yet.  Raises BadInput for certificates that cannot be."""
    if target.scheme.startswith("mqtt"):
        from edge_agent.adapters.uplink_mqtt import MqttUplink  # noqa: PLC0415

        return MqttUplink(target, vehicle=vehicle)
    from edge_agent.adapters.uplink_grpc import GrpcUplink  # noqa: PLC0415

    return GrpcUplink(target)
