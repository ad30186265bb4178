"""The uplink that a URL names; its library is imported when it is needed, and no other."""

from edge_agent.adapters.uplink_tls import Address
from edge_agent.telemetry.uplink import Uplink


def open_uplink(target: Address, *, vehicle: str) -> Uplink:
    """Return the uplink to `target`, not connected yet.  Raises BadInput for certificates that cannot be."""
    if target.scheme.startswith("mqtt"):
        from edge_agent.adapters.uplink_mqtt import MqttUplink  # noqa: PLC0415

        return MqttUplink(target, vehicle=vehicle)
    from edge_agent.adapters.uplink_grpc import GrpcUplink  # noqa: PLC0415

    return GrpcUplink(target)
