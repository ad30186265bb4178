"""A simulated ECU on a bus: ISO-TP, the time that answers take, and what goes wrong on demand.

    frames of the bus > request to it, or to all > answer > when it is due > frames

Rule 1: no clock: `now_ns` says what time it is, `due_ns` when there is something to send.
Rule 2: an ECU answers on the bus it was asked on, by CAN FD when it was asked by CAN FD.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from edge_agent.adapters.blocks import taken
from edge_agent.canbus.frames import BIT_RATE_SWITCH, EXTENDED, FD, Frame, FrameBlock, block_of
from edge_agent.canbus.isotp import Channel, Terms
from edge_agent.canbus.isotp_frames import FD_LENGTHS, Single, part_of
from edge_agent.diagnostics.uds import Nrc, refusal_response
from fairway.clock import NS_PER_MS
from fairway.errors import BadInput, Unavailable
from simulators.ecu import SimulatedEcu

# Later than the 50 ms that a tester waits by default and what the way may add, far below its 5 s.
SLOW_NS = 400 * NS_PER_MS
# An ECU that has more to do says so again before the tester gives up.
PENDING_NS = 600 * NS_PER_MS
_CONSECUTIVE = 2


class Fault(StrEnum):
    """What may go wrong."""

    NONE = "none"
    SILENT = "silent"  # it answers nothing
    PENDING = "pending"  # it says first that it needs longer
    SLOW = "slow"  # it begins its answer too late
    BUSY = "busy"  # it wants to be asked again, once
    SEQUENCE = "sequence"  # the second consecutive frame of an answer has a wrong number


@dataclass(frozen=True, slots=True)
class _Due:
    """A message that waits to be sent."""

    at_ns: int
    message: bytes


class _Link:
    """One way that the ECU was asked by: a bus, with CAN FD or without."""

    def __init__(self, terms: Terms) -> None:
        self.channel = Channel(terms)
        self.waiting: list[_Due] = []
        self.was_busy = False

    @property
    def due_ns(self) -> int | None:
        """When there is something to send: an answer waits for the one before it to be out."""
        waiting = [] if self.channel.is_sending else [due.at_ns for due in self.waiting]
        channel_ns = self.channel.due_ns
        return min(waiting if channel_ns is None else [*waiting, channel_ns], default=None)


class EcuNode:
    """A simulated ECU on buses."""

    def __init__(self, ecu: SimulatedEcu, fault: Fault = Fault.NONE) -> None:
        self.ecu, self._fault = ecu, fault
        kind = EXTENDED if ecu.table.is_extended else 0
        self._request_id = ecu.table.request_id | kind
        self._functional_id = ecu.table.functional_id | kind
        self._response_id = ecu.table.response_id | kind
        self._links: dict[tuple[int, int], _Link] = {}
        self.requests = 0

    @property
    def due_ns(self) -> int | None:
        """When there is something to send; None: not before somebody asks."""
        known = [link.due_ns for link in self._links.values() if link.due_ns is not None]
        return min(known, default=None)

    def take(self, frames: FrameBlock, *, now_ns: int) -> None:
        """Take what is for this ECU among frames of its buses."""
        rows = np.flatnonzero(np.isin(frames.can_id, (self._request_id, self._functional_id)))
        for frame in taken(frames, rows).frames() if len(rows) else ():
            link = self._link(frame)
            is_functional = frame.can_id == self._functional_id
            request = _single(frame.data) if is_functional else _heard(link, frame.data, now_ns)
            if request is not None:
                self.requests += 1
                self._answer(link, request, now_ns, is_functional=is_functional)

    def due(self, *, now_ns: int) -> FrameBlock | None:
        """Return the frames to send now, stamped with `now_ns` by whoever sends; None for none."""
        made: list[Frame] = []
        for (bus, flags), link in self._links.items():
            ready = [due for due in link.waiting if due.at_ns <= now_ns]
            if ready and not link.channel.is_sending:
                link.waiting.remove(ready[0])
                link.channel.start(ready[0].message, now_ns=now_ns)
            try:
                payloads = link.channel.due(now_ns=now_ns)
            except Unavailable:
                continue  # a tester that gave up is no concern of ours
            made += [
                Frame(self._response_id, self._spoilt(payload), bus=bus, flags=flags)
                for payload in payloads
            ]
        return block_of(made) if made else None

    def _link(self, frame: Frame) -> _Link:
        key = frame.bus, frame.flags & (FD | BIT_RATE_SWITCH)
        if key not in self._links:
            size = FD_LENGTHS[-1] if frame.flags & FD else Terms().frame_bytes
            terms = Terms(frame_bytes=size, padding=self.ecu.table.padding)
            self._links[key] = _Link(terms)
        return self._links[key]

    def _answer(self, link: _Link, request: bytes, now_ns: int, *, is_functional: bool) -> None:
        if self._fault is Fault.SILENT:
            return
        if self._fault is Fault.BUSY and not link.was_busy:
            link.was_busy = True
            busy = refusal_response(request[0], Nrc.BUSY_REPEAT_REQUEST)
            link.waiting.append(_Due(now_ns, busy))
            return
        link.was_busy = False
        answer = self.ecu.answer(request, is_functional=is_functional)
        if answer is None:
            return
        if self._fault is Fault.PENDING:
            pending = refusal_response(request[0], Nrc.RESPONSE_PENDING)
            link.waiting.append(_Due(now_ns, pending))
        link.waiting.append(_Due(now_ns + _DELAYS_NS.get(self._fault, 0), answer))

    def _spoilt(self, payload: bytes) -> bytes:
        is_second = payload[0] == _CONSECUTIVE << 4 | 2
        if self._fault is not Fault.SEQUENCE or not is_second:
            return payload
        return bytes([payload[0] + 1]) + payload[1:]


_DELAYS_NS: Mapping[Fault, int] = {Fault.SLOW: SLOW_NS, Fault.PENDING: PENDING_NS}


def _heard(link: _Link, data: bytes, now_ns: int) -> bytes | None:
    try:
        return link.channel.take(data, now_ns=now_ns)
    except Unavailable:
        return None  # a tester that mixes its frames up gets no answer


def _single(data: bytes) -> bytes | None:
    """Return a request to all: it always fits one frame."""
    try:
        part = part_of(data)
    except BadInput:
        return None
    return part.data if isinstance(part, Single) else None
