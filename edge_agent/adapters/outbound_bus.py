"""The one way of the agent onto a bus: frames of the allow-lists, and no others.

    frame of [[outbound]] > in the allow-list? > the bus's own sender > noted: counter, pace
    frames to an [[ecu]]  > in the allow-list? > the bus's own sender

Rule 1: nothing else in the agent calls a bus's `send`; a test looks for it.
Rule 2: a frame that the allow-list does not name is refused here too, whoever made it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from edge_agent.canbus.frames import Frame, block_of
from edge_agent.canbus.outbound import FrameSender, Outbound
from fairway.clock import Clock
from fairway.errors import BadInput, Denied, Unavailable


class OutboundBuses:
    """Sends on the vehicle's buses."""

    def __init__(self, outbound: Outbound, clock: Clock, names: Mapping[int, str]) -> None:
        """`names` are those of the buses, by number."""
        self.outbound, self._clock, self._names = outbound, clock, names
        self._senders: dict[int, FrameSender] = {}

    def connect(self, bus: int, source: object) -> None:
        """Send on bus number `bus` by way of `source` from now on, if anything may be sent there.

        Raises BadInput when the source cannot send.
        """
        if not self.outbound.is_for(bus):
            return
        if not can_send(source):
            raise BadInput(
                f"frames cannot be sent on {self._names.get(bus, bus)}: its source only reads"
            )
        self._senders[bus] = source  # type: ignore[assignment]

    async def send(self, frame: Frame) -> None:
        """Send a frame of the allow-list.  Raises Denied, BadInput or Unavailable."""
        if not self.outbound.is_allowed(frame):
            raise Denied(
                f"no entry of the allow-list lets the frame 0x{frame.can_id & 0x1FFFFFFF:X} out"
            )
        sender = self._senders.get(frame.bus)
        if sender is None:
            raise Unavailable(f"the bus {self._names.get(frame.bus, frame.bus)} is not open")
        now_ns = self._clock.now_ns()
        stamped = Frame(frame.can_id, frame.data, now_ns, frame.bus, frame.flags)
        # Noted first: a frame that may be on the bus has used up its counter and its turn.
        self.outbound.was_sent(frame, now_ns=self._clock.monotonic_ns())
        await sender.send(block_of([stamped]))


class RequestBuses:
    """Sends requests to ECUs on the vehicle's buses."""

    def __init__(
        self, allowed: Collection[tuple[int, int]], clock: Clock, names: Mapping[int, str]
    ) -> None:
        """`allowed` are pairs of a bus and an id as frames have it, `names` those of the buses."""
        self._allowed, self._clock, self._names = frozenset(allowed), clock, names
        self._senders: dict[int, FrameSender] = {}

    def connect(self, bus: int, source: object) -> None:
        """Send on bus number `bus` by way of `source` from now on, if an ECU is there.

        Raises BadInput when the source cannot send.
        """
        if all(number != bus for number, _ in self._allowed):
            return
        if not can_send(source):
            raise BadInput(
                f"no [[ecu]] can be asked on {self._names.get(bus, bus)}: its source only reads"
            )
        self._senders[bus] = source  # type: ignore[assignment]

    async def send(self, frames: Sequence[Frame]) -> None:
        """Send frames that all go to one bus.  Raises Denied, BadInput or Unavailable."""
        for frame in frames:
            if (frame.bus, frame.can_id) not in self._allowed:
                raise Denied(f"no [[ecu]] is asked by frames 0x{frame.can_id & 0x1FFFFFFF:X}")
        bus = frames[0].bus
        sender = self._senders.get(bus)
        if sender is None:
            raise Unavailable(f"the bus {self._names.get(bus, bus)} is not open")
        now_ns = self._clock.now_ns()
        await sender.send(block_of([replace(frame, time_ns=now_ns) for frame in frames]))


def can_send(source: object) -> bool:
    """Whether a source of frames takes some, too."""
    inner = getattr(source, "source", source)  # a patient source sends if the one inside does
    return callable(getattr(inner, "send", None))
