"""A block of samples as moments in drive time: what the engine's rules see as happening at once.

    row      0     1     2     3     4
    time_ns  10    10    10    9     12        group of the signal   7  7  0  0  7
    moment   0     0     1     2     3         drive time (offset 0) 10 10 10 10 12

Rule 1: rows that follow each other with one time and one group (one CAN frame) are one moment, until a
        signal comes again; the order of the signals does not matter.  A row of group 0 is its own moment.
Rule 2: drive time is the row's time plus the offset the caller gives, and never goes back: what comes late
        counts as now.
Rule 3: frames are never cut: then moments do not depend on how rows are cut into blocks, nor on which
        campaigns look.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairway.samples import Ints, SampleBlock, Times

Positions = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Moments:
    """A block in drive time, cut into moments."""

    block: SampleBlock
    drive_ns: Times  # of each row
    moment: Positions  # number of the moment of each row
    first: Positions  # of each moment: its first row
    last: Positions  # of each moment: the row after its last
    offset_ns: int
    end_ns: int  # drive time after the block

    def row_at(self, drive_ns: int) -> int:
        """Return the first row that does not come before `drive_ns`: timers fire before it."""
        return int(np.searchsorted(self.drive_ns, drive_ns, side="left"))

    def wall_ns(self, drive_ns: int) -> int:
        """Return the stamp of something that happened at `drive_ns` between two rows."""
        return drive_ns - self.offset_ns


def moments(block: SampleBlock, group: Ints, *, offset_ns: int, now_ns: int) -> Moments:
    """Return `block` as moments; `group` is that of each signal, `now_ns` the drive time before the block."""
    count = len(block)
    if count == 0:
        none = np.empty(0, np.intp)
        return Moments(block, block.time_ns, none, none, none, offset_ns, now_ns)
    drive_ns = np.maximum.accumulate(np.maximum(block.time_ns + offset_ns, now_ns))
    groups = group[block.signal]
    begins = np.ones(count, np.bool_)
    begins[1:] = (block.time_ns[1:] != block.time_ns[:-1]) | (groups[1:] != groups[:-1])
    begins[1:] |= groups[1:] == 0
    _begin_where_a_signal_returns(block.signal, begins)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], count)
    moment = np.cumsum(begins) - 1
    return Moments(block, drive_ns, moment, first, last, offset_ns, int(drive_ns[-1]))


def _begin_where_a_signal_returns(signal: Ints, begins: NDArray[np.bool_]) -> None:
    if not np.any((signal[1:] <= signal[:-1]) & ~begins[1:]):
        return  # ascending in every run: none comes twice
    order = np.argsort(signal, kind="stable")
    before = np.full(len(signal), -1, np.intp)
    again = signal[order[1:]] == signal[order[:-1]]
    before[order[1:][again]] = order[:-1][again]
    run = np.maximum.accumulate(np.where(begins, np.arange(len(signal)), 0))
    start = -1
    for row in np.flatnonzero(before >= run).tolist():
        # A cut made for an earlier row of the run may have parted the two already.
        if before[row] >= max(int(run[row]), start):
            begins[row] = True
            start = row
