"""Several signals of one leaf, brought together whole or not at all.

    a and b in one frame        every frame that has both gives a value
    a and b in two frames       a1 a2 b1      b2 a3      b3 ...
                                      (a2,b1)    (a3,b2)        each value is used at most once

Rule 1: parts of one frame belong together; nothing else is looked at.
Rule 2: parts of different frames belong together when each has come since the last value was made and
        the oldest is at most `max_age_ns` older than the one that completes them; an older one waits for
        its next frame.
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus.mapping_rules import Rule
from fairway.expression.columns import compiled


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """Decoded rows of signals that are parts, in their order; `position` is the row in the whole block."""

    position: NDArray[np.intp]
    signal: NDArray[np.int32]
    raw: NDArray[np.int64]
    value: NDArray[np.float64]
    frame: NDArray[np.int32]
    time_ns: NDArray[np.int64]

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Arrivals":
        """Return the chosen rows."""
        return Arrivals(
            self.position[rows],
            self.signal[rows],
            self.raw[rows],
            self.value[rows],
            self.frame[rows],
            self.time_ns[rows],
        )


class Join:
    """The parts of one leaf, and what of them has come."""

    def __init__(self, row: int, rule: Rule) -> None:
        assert rule.formula is not None
        self.row = row
        self._numbers = np.array([part.number for part in rule.parts], np.int32)
        self._greatest_raw = np.array(rule.greatest_raw, np.int64)
        self._names = rule.formula.names
        self._evaluate = compiled(rule.formula.node)
        self._max_age_ns = rule.max_age_ns
        first = rule.parts[0]
        self._is_one_frame = all(
            part.bus == first.bus
            and part.message is first.message
            and part.signal.multiplex == first.signal.multiplex
            for part in rule.parts
        )
        self._order = np.argsort(self._numbers, kind="stable")
        # What has come since the last value: part -> (value, time_ns).
        self._waiting: dict[int, tuple[float, int]] = {}

    def completed(self, arrivals: Arrivals) -> tuple[NDArray[np.intp], NDArray[np.float64]] | None:
        """Return where values are complete (positions of their last parts) and the values, or None."""
        mine = arrivals.take(np.isin(arrivals.signal, self._numbers))
        if not len(mine.position):
            return None
        part = self._order[np.searchsorted(self._numbers[self._order], mine.signal)]
        usable = mine.raw <= self._greatest_raw[part]
        if not bool(usable.all()):
            mine, part = mine.take(usable), part[usable]
        if self._is_one_frame:
            position, columns = self._by_frame(mine, part)
        else:
            position, columns = self._by_arrival(mine, part)
        if not len(position):
            return None
        return position, self._evaluate(dict(zip(self._names, columns, strict=True)))

    def _by_frame(
        self, mine: Arrivals, part: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], list[NDArray[np.float64]]]:
        rows = [np.flatnonzero(part == number) for number in range(len(self._numbers))]
        frames = [mine.frame[of] for of in rows]
        if any(not np.array_equal(frames[0], other) for other in frames[1:]):
            whole = reduce(np.intersect1d, frames)
            rows = [
                of[np.searchsorted(frame, whole)] for of, frame in zip(rows, frames, strict=True)
            ]
        position = np.max(np.stack([mine.position[of] for of in rows]), axis=0)
        return position, [mine.value[of] for of in rows]

    def _by_arrival(
        self, mine: Arrivals, part: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], list[NDArray[np.float64]]]:
        # One of few loops over samples: what counts depends on what counted before, and only the parts of
        # this one leaf pass here, a few per block.
        position, values = [], []
        waiting = self._waiting
        rows = zip(
            mine.position.tolist(),
            part.tolist(),
            mine.value.tolist(),
            mine.time_ns.tolist(),
            strict=True,
        )
        for at, number, value, time_ns in rows:
            waiting[number] = (value, time_ns)
            if len(waiting) < len(self._numbers):
                continue
            late = [n for n, (_, then) in waiting.items() if abs(time_ns - then) > self._max_age_ns]
            for n in late:
                del waiting[n]
            if not late:
                position.append(at)
                values.append([waiting[n][0] for n in range(len(self._numbers))])
                waiting.clear()
        columns = np.array(values, np.float64).reshape(-1, len(self._numbers))
        return np.array(position, np.intp), list(columns.T)
