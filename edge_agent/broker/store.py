"""The current value of every signal, as columns; what is put comes back as what has changed.

    block of samples > runs in which no signal stands twice > columns, history > changes for subscribers

Rule 1: no I/O and no clock: `now` says when values arrive, on the monotonic clock; stamps are the values' own.
Rule 2: `continuous` signals change with every value, others when their value differs (KUKSA's change types).
Rule 3: a value that fails its check leaves the last good one, and its signal is invalid until a good one comes.
Rule 4: stale is found when asked: late by STALE_AFTER_INTERVALS of its interval, or its provider is gone.
Rule 5: a signal that stands several times in a block is told of each time where somebody listens.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from edge_agent.broker.changes import Changes
from edge_agent.broker.history import History
from edge_agent.broker.signals import Signals
from edge_agent.broker.values import Value
from fairway.clock import NS_PER_S
from fairway.samples import Floats, Ints, Kind, SampleBlock, Times

# A frame may be late, and the one after it be lost, before its values are called stale.
STALE_AFTER_INTERVALS = 3
# Clocks, looks at buses and garbage collection take their time: nothing is stale before.
STALE_MIN_NS = NS_PER_S
# A bus that is awake says something several times a second.
SILENT_NS = 5 * NS_PER_S
# Nobody: the signal was never set.
NO_PROVIDER = -1
# Plain numbers: NumPy looks for methods of an enum's members, and that costs more than the comparison.
_NOT_AVAILABLE, _VALID = 0, 1
# How much of a new gap the expected interval takes over.
_SMOOTHING = 8


class Quality(IntEnum):
    """How good a value is."""

    NOT_AVAILABLE = 0  # never set, or its provider said that there is none
    VALID = 1
    STALE = 2
    INVALID = 3  # the last thing its provider said failed the check; the value is the one before


@dataclass(frozen=True, slots=True)
class State:
    """Everything that is known of a signal now."""

    value: Value | None
    quality: Quality
    time_ns: int  # of the value
    source_time_ns: int  # what its provider said; 0 when it said nothing
    provider: int  # number in Providers, NO_PROVIDER when never set


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """Values of one provider at one moment, each signal once; None says that there is no value."""

    ids: Ints
    time_ns: Times
    source_time_ns: Times
    value: Floats
    is_there: NDArray[np.bool_]
    objects: Mapping[int, Value]

    def __len__(self) -> int:
        return len(self.ids)


class Store:
    """The current values of all signals."""

    def __init__(self, signals: Signals, history: History) -> None:
        count = len(signals)
        self.signals, self.history = signals, history
        self._time_ns = np.zeros(count, np.int64)
        self._source_ns = np.zeros(count, np.int64)
        self._seen_ns = np.zeros(count, np.int64)
        self._value = np.full(count, np.nan)
        self._objects: dict[int, Value] = {}
        self._quality = np.zeros(count, np.uint8)
        self._provider = np.full(count, NO_PROVIDER, np.int32)
        self._interval_ns = np.zeros(count, np.float64)  # expected; 0: nothing is
        self._declared_ns = np.zeros(count, np.float64)
        self._is_timed = ~signals.is_on_change
        self._gone: set[int] = set()
        self._heard_ns: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.signals)

    def put(self, arrived: Arrived, *, provider: int | Ints, now_ns: int) -> Changes | None:
        """Take values, and return what has changed, or None."""
        if not len(arrived):
            return None
        ids = arrived.ids
        was_there = self._quality[ids] != _NOT_AVAILABLE
        has_changed = self._differs(arrived) | (was_there != arrived.is_there)
        has_changed |= ~self.signals.is_on_change[ids]
        self._expect(ids, was_there, now_ns)
        self._seen_ns[ids] = now_ns
        self._time_ns[ids], self._source_ns[ids] = arrived.time_ns, arrived.source_time_ns
        self._value[ids] = arrived.value
        self._objects.update(arrived.objects)
        self._quality[ids] = arrived.is_there  # NOT_AVAILABLE is 0, VALID is 1
        self._provider[ids] = provider
        if self._gone:
            self._gone -= set(np.unique(provider).tolist())
        self.history.add(
            ids, arrived.time_ns, arrived.value, arrived.is_there, arrived.objects, now_ns=now_ns
        )
        if bool(has_changed.all()):
            return Changes(ids, arrived.time_ns, arrived.value, arrived.is_there, arrived.objects)
        if not bool(has_changed.any()):
            return None
        return Changes(
            ids[has_changed],
            arrived.time_ns[has_changed],
            arrived.value[has_changed],
            arrived.is_there[has_changed],
            arrived.objects,
        )

    def put_block(
        self,
        block: SampleBlock,
        numbers: Ints,
        *,
        providers: Ints,
        now_ns: int,
        is_watched: NDArray[np.bool_] | None = None,
    ) -> list[Changes]:
        """Take a block of samples over a table of the signals `numbers`, said by `providers`.

        Stamps are those of frames.
        Rows of signals that nobody watches count with their last one; all are kept in the history.
        """
        if not len(block):
            return []
        ids = numbers[block.signal]
        found: list[Changes] = []
        for rows in self._runs(ids, is_watched):
            part = block if rows is None else block.take(rows)
            arrived = _arrived(part, ids if rows is None else ids[rows], self.signals)
            changes = self.put(arrived, provider=providers[part.signal], now_ns=now_ns)
            if changes is not None:
                found.append(changes)
        return found

    def expect(self, ids: Ints, interval_ns: int | Times) -> None:
        """Note how often values of these signals are to come; 0 where they come when they change."""
        self._declared_ns[ids] = interval_ns
        self._interval_ns[ids] = interval_ns
        self._is_timed[ids] = np.asarray(interval_ns) > 0

    def invalidate(self, ids: Ints) -> None:
        """Note that the last thing said of these signals failed its check."""
        self._quality[ids] = Quality.INVALID

    def is_gone(self, provider: int) -> None:
        """Note that a provider says nothing any more; its first value brings it back."""
        self._gone.add(provider)

    def heard(self, provider: int, *, now_ns: int) -> None:
        """Note that a provider is there, whatever it says: from then on its silence counts."""
        self._heard_ns[provider] = now_ns

    def is_silent(self, provider: int, *, now_ns: int) -> bool:
        """Return whether a provider was heard, and is no more."""
        heard_ns = self._heard_ns.get(provider)
        return heard_ns is not None and now_ns - heard_ns > SILENT_NS

    def withdrawn(self, provider: int, time_ns: int, *, now_ns: int) -> Changes | None:
        """Note that a provider has no values for its signals now, and return what that changes."""
        is_its = (self._provider == provider) & (self._quality != _NOT_AVAILABLE)
        ids = is_its.nonzero()[0].astype(np.int32)
        return self.put(nothing(ids, time_ns), provider=provider, now_ns=now_ns)

    def quality(self, ids: Ints, *, now_ns: int) -> NDArray[np.uint8]:
        """Return the Quality of each signal now."""
        quality = self._quality[ids].copy()
        late_ns = np.maximum(self._interval_ns[ids] * STALE_AFTER_INTERVALS, STALE_MIN_NS)
        is_stale = self._is_timed[ids] & (self._interval_ns[ids] > 0)
        is_stale &= now_ns - self._seen_ns[ids] > late_ns
        silent = {one for one in self._heard_ns if self.is_silent(one, now_ns=now_ns)}
        if gone := self._gone | silent:
            is_stale |= np.isin(self._provider[ids], list(gone))
        quality[is_stale & (quality == _VALID)] = Quality.STALE
        return quality

    def states(self, numbers: Sequence[int], *, now_ns: int) -> list[State]:
        """Return what is known of these signals."""
        ids = np.array(numbers, np.int32)
        columns = zip(
            numbers,
            self.quality(ids, now_ns=now_ns).tolist(),
            self._time_ns[ids].tolist(),
            self._source_ns[ids].tolist(),
            self._provider[ids].tolist(),
            strict=True,
        )
        return [
            State(self.value(number), Quality(quality), time_ns, source_ns, provider)
            for number, quality, time_ns, source_ns, provider in columns
        ]

    def state(self, number: int, *, now_ns: int) -> State:
        """Return what is known of one signal."""
        return self.states([number], now_ns=now_ns)[0]

    def seen_ns(self, number: int) -> int:
        """Return when a signal was said last, on the monotonic clock; 0: never."""
        return int(self._seen_ns[number])

    def is_timed(self, number: int) -> bool:
        """Whether a signal comes again and again, and not only when it changes."""
        return bool(self._is_timed[number])

    def value(self, number: int) -> Value | None:
        """Return the value of one signal; None when there is none."""
        if self._quality[number] == _NOT_AVAILABLE or self._provider[number] == NO_PROVIDER:
            return None
        return value_of(self.signals, number, float(self._value[number]), self._objects)

    def current(self, ids: Ints) -> Changes:
        """Return the values of these signals, whether or not they have one."""
        is_there = self._quality[ids] != _NOT_AVAILABLE
        is_there &= self._provider[ids] != NO_PROVIDER
        objects = {
            number: self._objects[number] for number in ids.tolist() if number in self._objects
        }
        return Changes(ids, self._time_ns[ids], self._value[ids], is_there, objects)

    def _differs(self, arrived: Arrived) -> NDArray[np.bool_]:
        differs: NDArray[np.bool_] = self._value[arrived.ids] != arrived.value
        if arrived.objects:
            is_object = ~self.signals.is_number[arrived.ids]
            for row in is_object.nonzero()[0].tolist():
                number = int(arrived.ids[row])
                differs[row] = self._objects.get(number) != arrived.objects.get(number)
        return differs

    def _runs(
        self, ids: Ints, is_watched: NDArray[np.bool_] | None
    ) -> Iterator[NDArray[np.intp] | None]:
        """Yield rows in runs in which no signal stands twice; None for all rows at once."""
        rows = np.arange(len(ids))
        order = np.argsort(ids, kind="stable")
        is_again = ids[order[1:]] == ids[order[:-1]]
        if not bool(is_again.any()):
            yield None
            return
        again = ids[order[1:][is_again]]
        is_told = True if is_watched is None else bool(is_watched[again].any())
        if not is_told and bool(self.signals.is_number[again].all()):
            yield None  # nobody is told of what comes between; the last one counts, the history has all
            return
        before = np.full(len(ids), -1)
        before[order[1:][is_again]] = order[:-1][is_again]
        start = 0
        while start < len(ids):
            stands_again = (before[start:] >= start).nonzero()[0]
            end = start + int(stands_again[0]) if len(stands_again) else len(ids)
            yield rows[start:end]
            start = end

    def _expect(self, ids: Ints, was_there: NDArray[np.bool_], now_ns: int) -> None:
        """Learn how often timed signals come: never less than was declared."""
        learns = was_there & self._is_timed[ids]
        if not bool(learns.any()):
            return
        ids = ids[learns]
        gap_ns = (now_ns - self._seen_ns[ids]).astype(np.float64)
        known = self._interval_ns[ids]
        smooth = np.where(known > 0, known + (gap_ns - known) / _SMOOTHING, gap_ns)
        self._interval_ns[ids] = np.maximum(smooth, self._declared_ns[ids])


def nothing(ids: Ints, time_ns: int) -> Arrived:
    """Return what says that these signals have no value."""
    times = np.full(len(ids), time_ns, np.int64)
    return Arrived(
        ids,
        times,
        np.zeros_like(times),
        np.full(len(ids), np.nan),
        np.zeros(len(ids), np.bool_),
        {},
    )


def value_of(signals: Signals, number: int, value: float, objects: Mapping[int, Value]) -> Value:
    """Return a value as its signal's data type has it."""
    datatype = signals[number].datatype
    if not signals.is_number[number]:
        return objects[number]
    if datatype == "boolean":
        return value != 0.0
    return value if datatype in ("float", "double") else int(value)


def _arrived(block: SampleBlock, ids: Ints, signals: Signals) -> Arrived:
    """Return the rows of a block, none of them twice, as what arrived."""
    value, objects = block.value, dict[int, Value]()
    is_object = ~signals.is_number[ids]
    if bool(is_object.any()):
        value = value.copy()
        for row in is_object.nonzero()[0].tolist():
            is_text = block.table[int(block.signal[row])].kind is Kind.TEXT
            raw = int(value[row])
            objects[int(ids[row])] = block.texts[raw] if is_text else raw
            value[row] = np.nan
    return Arrived(ids, block.time_ns, block.time_ns, value, np.ones(len(ids), np.bool_), objects)
