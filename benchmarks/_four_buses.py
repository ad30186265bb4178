"""The load of AWS IoT FleetWise's own load test: four buses, each beyond 80 % of 500 kbit/s.

Every message of the database at its cycle time, 3,691 frames/s and 10,636 signals/s a bus, made once and
played in a ring.  Counters and measurements wander as on a road; flags and enumerations change now and then.

Rule 1: frames go out when they are due, in slices of a millisecond, by absolute deadlines: a late slice carries
        what is due by then, and says so, and the next is not late for it.
"""

import asyncio
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge_agent.adapters.blocks import sliced
from edge_agent.canbus import database
from edge_agent.canbus.encode import Encoder
from edge_agent.canbus.frames import EXTENDED, Frame, FrameBlock, block_of
from edge_agent.canbus.model import Message, Number, Signal
from simulators.bus import Bus

BUSES = 4
SLICE_MS = 1
# All cycle times of the database divide it, and the walks have a way to go before they jump back.
RING_MS = 10_000
NS_PER_MS = 1_000_000

# A flag changes every 50th frame; wider numbers move by 1/200 of their range.
FLAG_MAX_BITS = 3
FLAG_CHANGES = 0.02
STEP_SHARE = 1 / 200


@dataclass
class Load:
    """The frames of RING_MS, and how far they have been sent."""

    ring: FrameBlock
    slices: list[FrameBlock]  # one for each SLICE_MS
    latest_ms: float = 0.0  # how late the latest slice was
    sent_slices: int = 0
    start_ns: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def due_slices(self) -> int:
        """Return how many slices should have been sent by now."""
        return (time.monotonic_ns() - self.start_ns) // (SLICE_MS * NS_PER_MS)

    @property
    def frames_per_s(self) -> float:
        return len(self.ring) / RING_MS * 1000

    def restart(self) -> None:
        """Begin anew."""
        self.sent_slices, self.latest_ms, self.stopping = 0, 0.0, asyncio.Event()

    async def play(self, bus: Bus) -> None:
        """Send in real time until `stopping`."""
        self.start_ns = start_ns = time.monotonic_ns()
        while not self.stopping.is_set():
            passed_ns = time.monotonic_ns() - start_ns
            due = self.due_slices()
            late_ms = passed_ns / NS_PER_MS - self.sent_slices * SLICE_MS
            self.latest_ms = max(self.latest_ms, late_ms)
            while self.sent_slices < due:
                slice_ = self.slices[self.sent_slices % len(self.slices)]
                stamp = np.full(len(slice_), time.time_ns(), np.int64)
                await bus.send(dataclasses.replace(slice_, time_ns=stamp))
                self.sent_slices += 1
            next_ns = start_ns + (due + 1) * SLICE_MS * NS_PER_MS
            await asyncio.sleep(max(0.0, (next_ns - time.monotonic_ns()) / 1e9))


def four_buses(path: Path) -> Load:
    """Return the load of the database at `path`."""
    messages = database.load(path).messages
    frames = [
        frame
        for bus in range(BUSES)
        for number, message in enumerate(messages)
        if message.cycle_time_ms
        for frame in _sent(message, message.cycle_time_ms, bus, number)
    ]
    frames.sort(key=lambda frame: (frame.time_ns, frame.bus))
    ring = block_of(frames)
    at = np.searchsorted(ring.time_ns, np.arange(0, RING_MS + 1, SLICE_MS) * NS_PER_MS).tolist()
    return Load(ring, [sliced(ring, start, end) for start, end in pairwise(at)])


def _sent(message: Message, cycle_ms: int, bus: int, number: int) -> list[Frame]:
    """Return the frames of one message on one bus; senders do not start together."""
    random = np.random.default_rng([bus, number])
    count = RING_MS // cycle_ms
    walks = {signal.name: _walk(signal, count, random) for signal in message.signals}
    encode: Callable[..., bytes] = Encoder(message, ranges="bits").encode
    can_id = message.frame_id | (EXTENDED if message.is_extended else 0)
    phase_ns = int(random.integers(0, cycle_ms)) * NS_PER_MS
    return [
        Frame(
            can_id,
            encode({name: walk[turn] for name, walk in walks.items()}),
            turn * cycle_ms * NS_PER_MS + phase_ns,
            bus,
        )
        for turn in range(count)
    ]


def _walk(signal: Signal, count: int, random: np.random.Generator) -> list[float]:
    top = 2 ** (signal.length - (signal.number is Number.SIGNED)) - 1
    bottom = -top - 1 if signal.number is Number.SIGNED else 0
    if signal.length <= FLAG_MAX_BITS:
        changes = np.cumsum(random.random(count) < FLAG_CHANGES)
        raw = bottom + changes % (top - bottom + 1)
    else:
        span = top - bottom
        raw = np.cumsum(np.rint(random.normal(0, max(1.0, span * STEP_SHARE), count)))
        # Folded back at both ends.
        raw = bottom + np.abs((raw + span / 2) % (2 * span) - span)
    return (np.clip(np.rint(raw), bottom, top) * signal.scale + signal.offset).tolist()
