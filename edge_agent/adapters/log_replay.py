"""A log as a bus: played in real time, faster, or as fast as it can be read.

    due(frame) = start of play + (its stamp - first stamp) / speed

Rule 1: every wait ends at an absolute deadline: a late wake-up delays one block, never the next (no drift).
Rule 2: the stamps are those of the log; only when frames are handed out depends on the speed.
Rule 3: a stamp that jumps (a clock was set while recording) moves the schedule, it does not stop the play.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from edge_agent.adapters.blocks import sliced
from edge_agent.adapters.log_formats import open_log
from edge_agent.adapters.log_model import LogReport
from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.source import LIVE_BLOCK_MAX_FRAMES
from fairway.clock import NS_PER_S, Clock, SystemClock
from fairway.errors import BadInput

Sleep = Callable[[float], Awaitable[object]]

# Buses written by different threads interleave within this; a stamp further back means the clock was set.
BACKWARD_MAX_NS = 1 * NS_PER_S

# A parked car is silent for minutes; a longer hole is two drives in one file, or a clock that was set.
PAUSE_MAX_NS = 600 * NS_PER_S


class LogReplay:
    """A log file as a frame source; `speed` is a factor, or None for as fast as possible."""

    def __init__(
        self,
        path: Path,
        channels: Mapping[str, int] | None = None,
        *,
        speed: float | None = None,
        start_at: int = 0,
        clock: Clock | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Open `path`, leaving out its first `start_at` frames.  Raises BadInput."""
        if speed is not None and not 0.001 <= speed <= 1_000_000:
            raise BadInput(f"a replay speed of {speed:g} is not between 0.001 and 1000000")
        self._reader = open_log(path, channels)
        self._blocks: Iterator[FrameBlock] = iter(self._reader)
        self._speed = speed
        self._skip = start_at
        self._position = 0
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._pending: FrameBlock | None = None
        self._due_ns: np.ndarray[tuple[int], np.dtype[np.int64]] = np.empty(0, np.int64)
        self._schedule: _Schedule | None = None
        self._is_closed = False

    @property
    def dropped(self) -> int:
        """Always 0: a log waits."""
        return 0

    @property
    def position(self) -> int:
        """Frames handed out since the beginning of the log, the ones left out included."""
        return self._position

    @property
    def report(self) -> LogReport:
        """What was read and what could not be."""
        return self._reader.report

    @property
    def unlisted(self) -> Mapping[str, int]:
        """Frames of each channel that is no bus of ours."""
        return self._reader.channels.unlisted

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The names of the buses seen so far, by number."""
        return self._reader.channels.names()

    async def receive(self) -> FrameBlock | None:
        if self._pending is None and not self._load():
            self.close()
            return None
        block = self._pending
        assert block is not None
        if self._speed is None:
            # Whoever shares the event loop has a turn between blocks.
            await self._sleep(0)
            self._pending = None
        else:
            block = await self._when_due(block)
        self._position += len(block)
        return block

    def close(self) -> None:
        self._is_closed = True
        self._pending = None
        self._reader.close()

    def _load(self) -> bool:
        """Read the next block that is not wholly left out; False at the end."""
        while not self._is_closed:
            block = next(self._blocks, None)
            if block is None:
                return False
            if self._position + len(block) <= self._skip:
                self._position += len(block)
                continue
            if self._position < self._skip:
                block = sliced(block, self._skip - self._position, len(block))
                self._position = self._skip
            self._pending = block
            if self._speed is not None:
                if self._schedule is None:
                    self._schedule = _Schedule(self._speed, self._clock.monotonic_ns())
                self._due_ns = self._schedule.due_ns(block)
            return True
        return False

    async def _when_due(self, block: FrameBlock) -> FrameBlock:
        """Wait for the first frame of `block` and return those due by then; the rest stays pending."""
        while (wait_ns := int(self._due_ns[0]) - self._clock.monotonic_ns()) > 0:
            await self._sleep(wait_ns / NS_PER_S)
        due = int(np.searchsorted(self._due_ns, self._clock.monotonic_ns(), side="right"))
        due = min(due, LIVE_BLOCK_MAX_FRAMES)
        if due == len(block):
            self._pending = None
            return block
        self._pending = sliced(block, due, len(block))
        self._due_ns = self._due_ns[due:]
        return sliced(block, 0, due)


class _Schedule:
    """When each frame is due, on the monotonic clock."""

    def __init__(self, speed: float, start_ns: int) -> None:
        self._speed = speed
        self._at_ns = start_ns  # when the frame before was due ...
        self._stamp_ns: int | None = None  # ... and its stamp

    def due_ns(self, block: FrameBlock) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return when each frame of the next block is due; never falling."""
        before = int(block.time_ns[0]) if self._stamp_ns is None else self._stamp_ns
        step = np.diff(block.time_ns, prepend=np.int64(before))
        step[(step < -BACKWARD_MAX_NS) | (step > PAUSE_MAX_NS)] = 0
        # Sum in log time first and scale once: rounding does not add up within a block.
        elapsed = np.cumsum(step)
        due = self._at_ns + (elapsed / self._speed).astype(np.int64)
        self._at_ns += round(int(elapsed[-1]) / self._speed)
        self._stamp_ns = int(block.time_ns[-1])
        return np.maximum.accumulate(due)
