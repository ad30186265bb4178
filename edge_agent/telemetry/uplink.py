"""The ports to the cloud: telemetry, control, and how long to wait before they are tried again.

What to send when is decided by sending.py; the loop around it is an adapter.
"""

from typing import Protocol

RECONNECT_FIRST_S = 0.5
RECONNECT_MAX_S = 60.0
# An unregistered vehicle, or a certificate nobody knows: nothing here will change it, someone there may.
DENIED_RETRY_S = 60.0


class Uplink(Protocol):
    """A connection to the cloud, made anew as often as needed.  Contract: tests/contracts/test_uplink.py."""

    async def connect(self) -> None:
        """Return once messages can be sent and heard.

        Raises Unavailable (try again later) or Denied (this vehicle is not let in).
        """
        ...

    async def send(self, request: bytes) -> None:
        """Hand over one TelemetryRequest; that it arrives, only a receipt tells.

        Raises Unavailable when the connection is lost, BadInput when it can never carry the message.
        """
        ...

    async def receive(self) -> bytes:
        """Wait for the next TelemetryResponse.  Raises Unavailable or Denied when the connection is lost."""
        ...

    async def close(self) -> None:
        """End the connection, if there is one; `connect` makes the next."""
        ...


class ControlDoor(Protocol):
    """The second conversation of a connection: campaigns.  Contract: tests/contracts/test_uplink.py."""

    async def send_control(self, request: bytes) -> None:
        """Hand over one ControlRequest; nothing tells that it arrived but what the cloud then says.

        Raises Unavailable when the connection is lost, BadInput when it can never carry the message, or the
        cloud has no such door: then this vehicle goes on without campaigns from it.
        """
        ...

    async def receive_control(self) -> bytes:
        """Wait for the next ControlResponse.  Raises as `send_control`, and Denied."""
        ...


def reconnect_after_s(attempt: int, chance: float) -> float:
    """Return how long to wait before attempt number `attempt` (from 1); `chance` in 0..1 spreads a fleet."""
    ceiling = min(RECONNECT_MAX_S, RECONNECT_FIRST_S * 2.0 ** min(attempt - 1, 16))
    return ceiling * (0.5 + 0.5 * chance)
