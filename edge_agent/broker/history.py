"""The recent values of every signal: rings of one length, bounded by count, by age and in memory.

    signal 7   time_ns [ 50 60 70 .. 40 ]   value [ .. ]   seen_ns [ .. ]    the next goes where the oldest is

Rule 1: memory is bounded from the start: the ring's length follows from what all rings together may take.
Rule 2: pages of rings that never saw a value are never touched, so they cost nothing.
Rule 3: age counts from when a value came, on the monotonic clock: stamps of a replayed log are years old.
Rule 4: texts and arrays are kept apart, and when they are too many the oldest of all signals goes first.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.broker.values import Value, size_bytes
from fairway.clock import NS_PER_S
from fairway.samples import Floats, Ints, Times

_ROW_BYTES = 24  # a stamp, when it came, and a value
# Texts and arrays of all signals together; a text of 20 characters and its stamp count for 140.
OBJECTS_MAX_BYTES = 4 * 1024 * 1024
_OBJECT_BYTES = 120
# The end of the year 2262: times are 64-bit nanoseconds.
_LAST_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Point:
    """One value of the past; None: there was none from then on."""

    time_ns: int
    value: Value | None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A text or an array of the past."""

    order: int
    seen_ns: int
    point: Point


class History:
    """The recent values of `signals` signals."""

    def __init__(self, signals: int, *, count: int, age_s: float, max_bytes: int) -> None:
        self.count = max(0, min(count, max_bytes // (_ROW_BYTES * max(1, signals))))
        self.age_ns = round(age_s * NS_PER_S)
        self._time_ns = np.zeros((signals, self.count), np.int64)
        self._seen_ns = np.zeros((signals, self.count), np.int64)
        self._value = np.zeros((signals, self.count), np.float64)
        self._added = np.zeros(signals, np.int64)  # ever
        self._objects: dict[int, deque[_Kept]] = {}
        # Whose texts and arrays came in which order, by a running number: the first is the oldest of all.
        self._order: OrderedDict[int, int] = OrderedDict()
        self._next = 0
        self._objects_bytes = 0

    def add(
        self,
        ids: Ints,
        time_ns: Times,
        value: Floats,
        is_there: NDArray[np.bool_],
        objects: Mapping[int, Value],
        *,
        now_ns: int,
    ) -> None:
        """Keep values in the order they came; a signal may stand several times, a text only once."""
        if not self.count:
            return
        if objects:
            is_object = np.isin(ids, list(objects))
            for row in is_object.nonzero()[0].tolist():
                number = int(ids[row])
                there = objects[number] if is_there[row] else None
                self._add_object(number, Point(int(time_ns[row]), there), now_ns)
            ids, time_ns = ids[~is_object], time_ns[~is_object]
            value, is_there = value[~is_object], is_there[~is_object]
        if not bool(is_there.all()):
            value = np.where(is_there, value, np.nan)
        ranks = _ranks(ids)
        at = (self._added[ids] + ranks) % self.count
        self._time_ns[ids, at] = time_ns
        self._value[ids, at] = value
        self._seen_ns[ids, at] = now_ns
        if isinstance(ranks, int):
            self._added[ids] += 1
        else:
            np.add.at(self._added, ids, 1)

    def between(
        self, number: int, from_ns: int, to_ns: int, *, now_ns: int, most: int
    ) -> list[Point]:
        """Return the values with from_ns <= time < to_ns in their order, the newest `most` of them.

        What came longer ago than the history's age is not told.
        """
        points = self._since(number, from_ns, to_ns, now_ns - self.age_ns)
        return points[-most:] if most > 0 else []

    def recent(self, number: int, seen_ns: int, *, now_ns: int, most: int) -> list[Point]:
        """Return the values that came at `seen_ns` or later, by the monotonic clock, the newest `most`.

        What came longer ago than the history's age is not told.
        """
        seen_ns = max(seen_ns, now_ns - self.age_ns)
        points = self._since(number, 0, _LAST_NS, seen_ns)
        return points[-most:] if most > 0 else []

    def _since(self, number: int, from_ns: int, to_ns: int, seen_ns: int) -> list[Point]:
        kept = self._objects.get(number)
        if kept is None:
            return self._numbers(number, from_ns, to_ns, seen_ns)
        return [
            one.point
            for one in kept
            if from_ns <= one.point.time_ns < to_ns and one.seen_ns >= seen_ns
        ]

    def _numbers(self, number: int, from_ns: int, to_ns: int, seen_ns: int) -> list[Point]:
        added = int(self._added[number])
        at = np.arange(max(0, added - self.count), added) % max(1, self.count)
        time_ns, value = self._time_ns[number, at], self._value[number, at]
        is_in = (from_ns <= time_ns) & (time_ns < to_ns) & (self._seen_ns[number, at] >= seen_ns)
        return [
            Point(time, None if value != value else value)  # noqa: PLR0124 - NaN is no value
            for time, value in zip(time_ns[is_in].tolist(), value[is_in].tolist(), strict=True)
        ]

    def _add_object(self, number: int, point: Point, now_ns: int) -> None:
        ring = self._objects.setdefault(number, deque())
        ring.append(_Kept(self._next, now_ns, point))
        self._order[self._next] = number
        self._next += 1
        self._objects_bytes += _OBJECT_BYTES + size_bytes(point.value)
        if len(ring) > self.count:
            self._forget(ring[0].order)
        while self._objects_bytes > OBJECTS_MAX_BYTES:
            self._forget(next(iter(self._order)))

    def _forget(self, order: int) -> None:
        number = self._order.pop(order)
        self._objects_bytes -= _OBJECT_BYTES + size_bytes(
            self._objects[number].popleft().point.value
        )


def _ranks(ids: Ints) -> NDArray[np.int64] | int:
    """Return for each row how many rows before it are of its signal; 0 when none is there twice."""
    order = np.argsort(ids, kind="stable")
    inner = ids[order]
    is_first = np.ones(len(ids), np.bool_)
    is_first[1:] = inner[1:] != inner[:-1]
    if bool(is_first.all()):
        return 0
    start = np.maximum.accumulate(np.where(is_first, np.arange(len(ids)), 0))
    ranks = np.empty(len(ids), np.int64)
    ranks[order] = np.arange(len(ids)) - start
    return ranks
