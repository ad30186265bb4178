"""Conditions over a whole block at once: the same results as moment by moment, by columns.

    rows of its signals > moments ---.
    windows > their ends ------------+--> points in time, in order > columns of the inputs > results
    held conditions > when due ------'

Rule 1: what has no feedback is computed ahead: values, windows, rates, held conditions.  What asks what its
        campaign has sent (isNull), or runs a custom function, goes moment by moment (runner.py).
Rule 2: afterwards the inputs are as if every row had been looked at in turn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairway.campaign.inputs import Held, Level, Rate, Watch, Windows
from fairway.campaign.moments import Moments, Positions
from fairway.campaign.windows import Summary
from fairway.expression import campaign as language
from fairway.expression.campaign import Column, Type, Value
from fairway.samples import Kind, Times

Bools = NDArray[np.bool_]
TYPES = {Kind.NUMBER: Type.NUMBER, Kind.BOOL: Type.BOOL, Kind.TEXT: Type.TEXT}


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a block by stream."""

    moments: Moments
    of: Mapping[int, Positions]  # stream -> its rows, in order; only where there are some
    kind_of: Callable[[int], Kind]  # of a stream
    until_ns: int


@dataclass(frozen=True, slots=True)
class Points:
    """When a condition is evaluated, in order; timers come before the moments of their time."""

    drive_ns: Times
    row: Positions  # the first row after it
    is_timer: Bools


@dataclass(frozen=True, slots=True)
class Results:
    """Whether a condition is true at each of its points."""

    points: Points
    is_true: Bools


@dataclass(frozen=True, slots=True)
class _Ended:
    """The windows of one signal that ended, and the two that were the newest from then on."""

    drive_ns: Times
    last: list[Summary | None]  # the first is what was there before
    previous: list[Summary | None]


@dataclass(frozen=True, slots=True)
class _Holding:
    """A condition that is held, at each base point; the first element is what was before them."""

    is_true: Bools
    is_defined: Bools
    since_ns: Times
    due_ns: Times  # when it has been held for long enough, if that changes something


def evaluate(watch: Watch, rows: Rows) -> Results:
    """Return the results of a condition over a block, and leave its inputs as they are after it."""
    run = _Run(rows)
    for windows in watch.windows:
        run.end_windows(windows)
    run.base = points = run.base_points(watch)
    for held in watch.helds:
        run.hold(held)
    if watch.helds:
        due_ns = np.concatenate([one.due_ns for one in run.holding.values()])
        points, run.latest = _merged(run.base, run.timers(due_ns))
    if not len(points.drive_ns):
        return Results(points, np.zeros(0, np.bool_))
    column = run.column(watch.top, points)
    run.leave(watch, points, column)
    return Results(points, _truth(column, len(points.drive_ns)))


class _Run:
    """One condition over one block."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.base = _NO_POINTS
        self.latest: Positions | None = None  # of each point: the base points until it
        self.ended: dict[int, _Ended] = {}
        self.holding: dict[int, _Holding] = {}

    def timers(self, drive_ns: Times) -> Points:
        """Return points of time between moments."""
        times = np.unique(drive_ns)
        row = np.searchsorted(self.rows.moments.drive_ns, times, side="left")
        return Points(times, row, np.ones(len(times), np.bool_))

    def base_points(self, watch: Watch) -> Points:
        """Return the moments with a sample of the condition, and the ends of its windows."""
        here = self.rows.moments
        some = [self.rows.of[stream] for stream in watch.streams if stream in self.rows.of]
        moment = np.unique(here.moment[np.concatenate(some)]) if some else np.empty(0, np.intp)
        at = Points(
            here.drive_ns[here.first[moment]], here.last[moment], np.zeros(len(moment), np.bool_)
        )
        if not self.ended:
            return at
        ends = np.concatenate([one.drive_ns for one in self.ended.values()])
        return _merged(at, self.timers(ends))[0]

    def end_windows(self, windows: Windows) -> None:
        """Take the samples of a signal into its windows, and end those that end."""
        rows = self.rows.of.get(windows.stream, _NO_ROWS)
        here, window = self.rows.moments, windows.window
        times, values = here.drive_ns[rows], here.block.value[rows]
        ended: list[int] = []
        last, previous, at = [window.last], [window.previous], 0
        while True:
            due_ns = window.due_ns
            if due_ns is None and at == len(rows):
                break
            # What comes when all is empty begins a window wherever the grid has got to.
            until_ns = int(times[at]) + 1 if due_ns is None else due_ns
            end = int(np.searchsorted(times, until_ns, side="left"))
            if end > at:
                window.add_all(int(times[at]), values[at:end])
                at = end
            if due_ns is None:
                continue
            if due_ns > self.rows.until_ns:
                break
            window.end()
            ended.append(due_ns)
            last.append(window.last)
            previous.append(window.previous)
        self.ended[id(windows)] = _Ended(np.array(ended, np.int64), last, previous)
        windows.show()

    def hold(self, held: Held) -> None:
        """Find out when a condition is true, since when, and when that is long enough."""
        base, known = self.base, held.since_ns is not None
        since_ns = held.since_ns or 0
        column = self.column(held.level, base)
        count = len(base.drive_ns)
        true = np.concatenate([[known], _truth(column, count)])
        defined = np.concatenate([[held.was_defined], np.broadcast_to(column.defined, count)])
        times = np.concatenate([[since_ns], base.drive_ns])
        starts = np.append(known, true[1:] & ~true[:-1])
        since = times[np.maximum.accumulate(np.where(starts, np.arange(count + 1), 0))]
        self.holding[id(held)] = _Holding(
            true, defined, since, self._due(held, np.flatnonzero(starts), true, times)
        )

    def _due(self, held: Held, starts: Positions, true: Bools, times: Times) -> Times:
        if held.since_ns is not None and not held.is_due:
            starts = starts[starts > 0]  # that one is over
        due_ns = times[starts] + held.duration_ns
        falses = np.flatnonzero(~true)
        after = np.append(falses, len(true))[np.searchsorted(falses, starts)]
        end_ns = np.append(times, np.iinfo(np.int64).max)[after]
        # What ends it by a sample of that very time comes after the timer; by a timer, is a point already.
        lasts = end_ns >= due_ns
        found: Times = due_ns[(due_ns <= self.rows.until_ns) & lasts]
        return found

    def column(self, level: Level, points: Points) -> Column:
        """Return the values of an expression at `points`."""
        given = []
        helds = {held.slot: held for held in level.helds}
        for slot, read in enumerate(level.expression.inputs):
            source = level.sources.get(slot)
            if slot in helds:
                given.append(self._held(helds[slot], points))
            elif isinstance(source, Rate):
                given.append(self._rate(source, points))
            elif isinstance(source, Windows):
                assert isinstance(read, language.Window)
                given.append(self._window(source, read, points))
            elif isinstance(source, int):
                given.append(self._variable(source, level.values[slot], points))
            else:
                nothing = np.zeros(len(points.row))
                given.append(Column(nothing, nothing != 0, Type.UNKNOWN))
        return level.columns(given)

    def _variable(self, stream: int, before: Value | None, points: Points) -> Column:
        rows = self.rows.of.get(stream, _NO_ROWS)
        kind, block = self.rows.kind_of(stream), self.rows.moments.block
        values = block.value[rows]
        if kind is Kind.TEXT:
            texts = np.array([*block.texts, before or ""], object)
            known = np.concatenate([[len(block.texts)], values.astype(np.intp)])
            return _at(texts[known], before is not None, rows, points, Type.TEXT)
        if kind is Kind.BOOL:
            values = (values != 0).astype(np.float64)
        known = np.concatenate([[0.0 if before is None else float(before)], values])
        return _at(known, before is not None, rows, points, TYPES[kind])

    def _rate(self, rate: Rate, points: Points) -> Column:
        rows = self.rows.of.get(rate.stream, _NO_ROWS)
        rates, is_defined, _ = self.rates(rate)
        index = np.searchsorted(rows, points.row, side="left")
        return Column(rates[index], is_defined[index], Type.NUMBER)

    def rates(self, rate: Rate) -> tuple[NDArray[np.float64], Bools, Positions]:
        """Return the rate after each row of a signal, the first element being what was before."""
        rows = self.rows.of.get(rate.stream, _NO_ROWS)
        here, before = self.rows.moments, rate.values[rate.slot]
        is_first = rate.time_ns is None
        times = np.concatenate([[rate.time_ns or 0], here.drive_ns[rows]])
        values = np.concatenate([[rate.value], here.block.value[rows]])
        apart_ns = np.diff(times)
        is_new = apart_ns > 0
        is_new[:1] &= not is_first
        with np.errstate(all="ignore"):
            found = np.diff(values) / (apart_ns / 1e9)
        rates = np.concatenate([[0.0 if before is None else float(before)], found])
        newest = np.maximum.accumulate(
            np.concatenate([[0], np.where(is_new, np.arange(1, len(times)), 0)])
        )
        return rates[newest], (newest > 0) | (before is not None), rows

    def _window(self, windows: Windows, read: language.Window, points: Points) -> Column:
        ended = self.ended[id(windows)]
        shown = ended.previous if read.previous else ended.last
        values = [0.0 if one is None else getattr(one, read.function) for one in shown]
        index = np.searchsorted(ended.drive_ns, points.drive_ns, side="right")
        return Column(
            np.array(values)[index],
            np.array([one is not None for one in shown])[index],
            Type.NUMBER,
        )

    def _held(self, held: Held, points: Points) -> Column:
        assert self.latest is not None
        holding = self.holding[id(held)]
        is_true = holding.is_true[self.latest]
        is_long = points.drive_ns >= holding.since_ns[self.latest] + held.duration_ns
        return Column(
            (is_true & is_long).astype(np.float64), holding.is_defined[self.latest], Type.BOOL
        )

    def leave(self, watch: Watch, points: Points, column: Column) -> None:
        """Leave the inputs as they are after the last row and timer."""
        for level in (watch.top, *(held.level for held in watch.helds)):
            for slot, source in level.sources.items():
                if isinstance(source, Rate):
                    self._leave_rate(source)
                elif isinstance(source, int) and source in self.rows.of:
                    level.values[slot] = self._value(source, int(self.rows.of[source][-1]))
        now_ns = int(points.drive_ns[-1])
        for held in watch.helds:
            holding = self.holding[id(held)]
            held.since_ns = int(holding.since_ns[-1]) if holding.is_true[-1] else None
            held.was_defined = bool(holding.is_defined[-1])
            held.is_due = held.since_ns is not None and now_ns < held.since_ns + held.duration_ns
            is_held = held.since_ns is not None and not held.is_due
            watch.top.values[held.slot] = is_held if held.was_defined else None
        watch.evaluated_ns = now_ns
        watch.result = _value(column)

    def _leave_rate(self, rate: Rate) -> None:
        rates, is_defined, rows = self.rates(rate)
        if not len(rows):
            return
        here = self.rows.moments
        rate.values[rate.slot] = float(rates[-1]) if is_defined[-1] else None
        rate.time_ns, rate.value = int(here.drive_ns[rows[-1]]), float(here.block.value[rows[-1]])

    def _value(self, stream: int, row: int) -> Value:
        block, kind = self.rows.moments.block, self.rows.kind_of(stream)
        value = float(block.value[row])
        if kind is Kind.TEXT:
            return block.texts[int(value)]
        return value != 0.0 if kind is Kind.BOOL else value


_NO_ROWS = np.empty(0, np.intp)
_NO_POINTS = Points(np.empty(0, np.int64), _NO_ROWS, np.empty(0, np.bool_))


def _merged(base: Points, timers: Points) -> tuple[Points, Positions]:
    """Return base points and timers in order, and of each how many base points come until it."""
    drive_ns = np.concatenate([base.drive_ns, timers.drive_ns])
    row = np.concatenate([base.row, timers.row])
    is_timer = np.concatenate([base.is_timer, timers.is_timer])
    order = np.lexsort((row, drive_ns))
    # A timer may be among both; lexsort is stable, so the one of the base comes first.
    again = (np.diff(drive_ns[order]) == 0) & (np.diff(row[order]) == 0)
    order = order[np.append(True, ~again)[: len(order)]]
    latest = np.cumsum(order < len(base.drive_ns))
    return Points(drive_ns[order], row[order], is_timer[order]), latest


def _at(
    values: NDArray[np.float64] | NDArray[np.object_],
    was_defined: bool,  # noqa: FBT001
    rows: Positions,
    points: Points,
    kind: Type,
) -> Column:
    index = np.searchsorted(rows, points.row, side="left")
    return Column(values[index], (index > 0) | was_defined, kind)


def _truth(column: Column, count: int) -> Bools:
    if column.type is Type.TEXT:
        return np.zeros(count, np.bool_)
    return np.broadcast_to(column.defined & (column.values != 0), count)


def _value(column: Column) -> Value | None:
    if not column.defined[-1]:
        return None
    value = column.values[-1]
    if column.type is Type.TEXT:
        return str(value)
    return bool(value) if column.type is Type.BOOL else float(value)
