"""Drive time: the time by which campaigns' intervals and windows are measured, whatever the wall clock does.

    wall     12:00:00  12:00:01  09:00:02  09:00:03        somebody set the clock
    offset          0         0       +3h       +3h
    drive    12:00:00  12:00:01  12:00:02  12:00:03

Rule 1: a row's drive time is its own stamp and an offset; the stamps that leave the vehicle are the rows' own.
Rule 2: rows that were stamped before a jump and are seen after it keep the offset of before.
Rule 3: a stamp that is far from now is of a clock that is wrong (a bus adapter's own, or not set yet): what it
        stamps happens when it is seen.  Else every timer until its day would be due at once.
Rule 4: of a replayed log, drive time is the log's own: the wall clock says nothing about it.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from fairway.clock import JUMP_MIN_NS, NS_PER_S
from fairway.samples import SampleBlock

# For so long after a jump rows may come that were stamped before it: they wait in kernels, not for seconds.
BEFORE_JUMP_NS = 2 * NS_PER_S
# A row is seen milliseconds after its stamp, seconds on a machine that stood still.
FAR_NS = 5 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Now:
    """One moment on both clocks."""

    wall_ns: int
    monotonic_ns: int


class DriveTime:
    """The offset of a run with live buses."""

    def __init__(self, now: Now) -> None:
        self._start_ns = now.wall_ns - now.monotonic_ns
        self._seen_ns = self._start_ns
        self._before_ns: int | None = None
        self._jumped_ns = 0
        self.offset_ns = 0

    def look(self, now: Now) -> int:
        """Return drive time now, and notice whether the wall clock was set."""
        seen_ns = now.wall_ns - now.monotonic_ns
        if abs(seen_ns - self._seen_ns) >= JUMP_MIN_NS:
            self._before_ns, self._jumped_ns = self.offset_ns, now.monotonic_ns
            self.offset_ns -= seen_ns - self._seen_ns
            self._seen_ns = seen_ns
        return now.monotonic_ns + self._start_ns

    def monotonic_ns(self, drive_ns: int) -> int:
        """Return what the monotonic clock says at a drive time."""
        return drive_ns - self._start_ns

    def pieces(self, block: SampleBlock, now: Now) -> list[tuple[SampleBlock, int]]:
        """Return `block`, in pieces where clocks were set within it or are wrong, each with its offset."""
        if not len(block):
            return [(block, self.offset_ns)]
        drive_ns = self.look(now)
        offsets = [self.offset_ns]
        if self._before_ns is not None and now.monotonic_ns - self._jumped_ns <= BEFORE_JUMP_NS:
            offsets.append(self._before_ns)
        elif self._is_near(block, drive_ns):
            return [(block, self.offset_ns)]
        steps = np.abs(np.diff(block.time_ns)) >= JUMP_MIN_NS
        starts = [0, *(np.flatnonzero(steps) + 1).tolist(), len(block)]
        return [
            (block.take(np.arange(start, end)), _offset(block, end, offsets, drive_ns))
            for start, end in itertools.pairwise(starts)
        ]

    def _is_near(self, block: SampleBlock, drive_ns: int) -> bool:
        here_ns = drive_ns - self.offset_ns
        return (
            here_ns - FAR_NS <= int(block.time_ns.min())
            and int(block.time_ns.max()) <= here_ns + FAR_NS
        )


def _offset(block: SampleBlock, end: int, offsets: list[int], drive_ns: int) -> int:
    """Return the offset of the rows before `end`, of which the last was seen now."""
    last_ns = int(block.time_ns[end - 1])
    nearest = min(offsets, key=lambda one: abs(last_ns + one - drive_ns))
    is_near = abs(last_ns + nearest - drive_ns) <= FAR_NS
    return nearest if is_near else drive_ns - last_ns
