"""A second campaign engine, as naive as can be: one campaign, millisecond by millisecond, all history kept.

It is written from the rules, not from the engine: what is defined as "the newest", "since", "in the window" is
looked up in the whole history each time it is asked for.
"""

import itertools
import math
from typing import Any

from fairway.campaign.model import Campaign, ConditionalFetch, ConditionBased, TriggerMode
from fairway.expression import campaign as language
from fairway.expression.campaign import Expression, parse, scalar
from tests.fairway.campaign.drives import MS, TABLE, Row

GRID_MS = 50
Values = dict[str, list[tuple[int, int, Any]]]  # signal -> drive ms, wall ms, value


def moments_of(rows: list[Row]) -> list[list[Row]]:
    """Return rows as moments: one time and one frame, until a signal comes again."""
    found: list[list[Row]] = []
    for row in rows:
        name, time_ms, _ = row
        group = TABLE[TABLE.number(name)].group
        last = found[-1] if found else []
        is_same = bool(last) and group != 0 and last[0][1] == time_ms
        is_same = is_same and TABLE[TABLE.number(last[0][0])].group == group
        if is_same and name not in [other for other, *_ in last]:
            last.append(row)
        else:
            found.append([row])
    return found


class Condition:
    """A condition, and what is remembered of it."""

    def __init__(self, expression: Expression, tolerance: float) -> None:
        self.expression = expression
        self.since: dict[Any, int] = {}  # held input -> ms since when it is true
        self.result: Any = None
        self.signals = set(expression.signals)
        self.functions: dict[Expression, Any] = {}
        self.reads = [
            node.input
            for node, _ in language.walk(expression.tree)
            if isinstance(node, language.Read)
        ]
        self.asks = any(isinstance(one, language.IsNull | language.Custom) for one in self.reads)
        self.windows = [one for one in self.reads if isinstance(one, language.Window)]
        self.helds = [one for one in self.reads if isinstance(one, language.Held)]
        below = [one.condition for one in self.helds]
        for one in self.reads:
            below += one.arguments if isinstance(one, language.Custom) else ()
        for part in (expression, *below):
            self.functions[part] = scalar(part, tolerance=tolerance)


class Oracle:
    """One campaign; `every(number)` is the custom function of the tests: true at each second or third call."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.events: list[tuple[int, dict[str, list[Row]]]] = []
        self.fetched: list[str] = []
        self.now = 0
        self._history: Values = {signal.name: [] for signal in TABLE}
        self._sent: dict[str, int] = {}
        self._calls = 0
        self._last = 0
        self._is_true: bool | None = None  # None: not evaluated yet
        self._end: int | None = None
        self._trigger_wall = 0
        self._offset = 0
        scheme = campaign.scheme
        kinds = {signal.name: signal.kind for signal in TABLE}

        def condition(text: str) -> Condition:
            return Condition(parse(text, kinds.get), campaign.equality_tolerance)

        self._main = condition(scheme.expression) if isinstance(scheme, ConditionBased) else None
        self._fetches = [
            (one, condition(one.when.expression))
            for one in campaign.fetches or ()
            if isinstance(one.when, ConditionalFetch)
        ]
        self._fetch_last: dict[int, int] = {}
        self._fetch_true: dict[int, bool] = {}
        self._uploads = [
            (one.id, condition(one.upload)) for one in campaign.partitions or () if one.upload
        ]
        self._interval = campaign.min_interval_ms
        self._intervals = {one.name: one.min_interval_ms or 0 for one in campaign.signals or ()}
        if self._main is None:
            self._is_true = True

    def run(self, rows: list[Row], *, offset_ms: int, until_ms: int) -> None:
        """Take all rows, and the time until `until_ms`."""
        self._offset = offset_ms
        for moment in moments_of(rows):
            drive = max(self.now, moment[0][1] + offset_ms)
            self._pass_until(drive)
            self._moment(moment, drive)
        self._pass_until(until_ms)

    @property
    def open_partitions(self) -> list[str]:
        return [id_ for id_, condition in self._uploads if _is_true(condition.result)]

    def _conditions(self) -> list[Condition]:
        some = [self._main] if self._main else []
        return some + [one for _, one in self._fetches] + [one for _, one in self._uploads]

    def _pass_until(self, drive: int) -> None:
        while self.now < drive:
            self.now = min(drive, self._next())  # nothing could happen at the milliseconds between
            due = [one for one in self._conditions() if self._is_due(one)]
            self._evaluate(due, self.now - self._offset)
            self._trigger_timers()

    def _next(self) -> int:
        length = self.campaign.window_ms
        times = [(self.now // length + 1) * length, self._last + self._interval]
        if any(condition.asks for condition in self._conditions()):
            times.append((self.now // GRID_MS + 1) * GRID_MS)
        if self._end is not None:
            times.append(self._end)
        for condition in self._conditions():
            times += [since + held.duration_ns // MS for held, since in condition.since.items()]
        return min((time for time in times if time > self.now), default=self.now + length)

    def _moment(self, moment: list[Row], drive: int) -> None:
        kept = set()
        for name, wall, value in moment:
            history = self._history[name]
            if history and drive < history[-1][0] + self._intervals.get(name, 0):
                continue
            history.append((drive, wall, value))
            kept.add(name)
        touched = [one for one in self._conditions() if kept & one.signals]
        self._evaluate(touched, moment[-1][1])

    def _is_due(self, condition: Condition) -> bool:
        if condition.asks and self.now % GRID_MS == 0:
            return True
        length = self.campaign.window_ms
        if self.now % length == 0:
            recent = [self.now - 3 * length, self.now]
            for window in condition.windows:
                if self._in_window(window.name, *recent):
                    return True
        return any(
            self.now == condition.since[held] + held.duration_ns // MS
            for held in condition.helds
            if held in condition.since
        )

    def _evaluate(self, conditions: list[Condition], wall: int) -> None:
        for condition in conditions:
            condition.result = self._value(condition, condition.expression)
            is_true = _is_true(condition.result)
            if condition is self._main:
                self._result(wall, is_true=is_true)
            for number, (fetch, one) in enumerate(self._fetches):
                if one is condition:
                    self._fetch_result(number, fetch, is_true=is_true)

    def _result(self, wall: int, *, is_true: bool) -> None:
        is_late = self.now >= self._last + self._interval
        was_true, self._is_true = self._is_true, bool(self._is_true)
        if not is_true:
            self._is_true = False
            return
        if was_true is None:
            self._is_true = True
        if not is_late:
            return
        self._is_true = True
        is_edge = was_true is False
        if self._end is None and (is_edge or self.campaign.trigger_mode is TriggerMode.ALWAYS):
            self._trigger(wall)

    def _fetch_result(self, number: int, fetch: Any, *, is_true: bool) -> None:
        last = self._fetch_last.get(number)
        if last is not None and self.now < last + 1000:
            return
        was_true = self._fetch_true.get(number, True)
        self._fetch_true[number] = is_true
        if is_true and (fetch.when.trigger_mode is TriggerMode.ALWAYS or not was_true):
            self._fetch_last[number] = self.now
            self.fetched.append(fetch.name)

    def _trigger(self, wall: int) -> None:
        self._last = self.now
        self._trigger_wall = wall
        self._end = self.now + (self.campaign.post_trigger_ms or 0)
        if self._end == self.now:
            self._collect()

    def _trigger_timers(self) -> None:
        if self._end is not None and self.now >= self._end:
            self._collect()
        is_always = self.campaign.trigger_mode is TriggerMode.ALWAYS and self._interval
        is_always = is_always and not (self._main and self._main.asks)
        if (
            self._is_true
            and self._end is None
            and is_always
            and self.now >= self._last + self._interval
        ):
            self._trigger(self.now - self._offset)

    def _collect(self) -> None:
        self._end = None
        parts: dict[str, list[Row]] = {}
        for name in sorted((one.name for one in self.campaign.signals or ()), key=TABLE.number):
            one = next(one for one in self.campaign.signals or () if one.name == name)
            unsent = self._history[name][self._sent.get(name, 0) :]
            self._sent[name] = len(self._history[name])
            for _, wall, value in unsent[-(one.max_samples or 1000) :]:
                parts.setdefault(one.partition or "", []).append((name, wall, value))
        if parts or self.campaign.sends_dtcs:
            ordered = {part: sorted(rows, key=lambda row: row[1]) for part, rows in parts.items()}
            self.events.append((self._trigger_wall, ordered))

    def _value(self, condition: Condition, expression: Expression) -> Any:
        values = [self._input(condition, one) for one in expression.inputs]
        return condition.functions[expression](values)

    def _input(self, condition: Condition, one: Any) -> Any:
        if isinstance(one, language.Held):
            return self._held(condition, one)
        if isinstance(one, language.Custom):
            self._calls += 1
            (every,) = [self._value(condition, argument) for argument in one.arguments]
            return None if every is None else self._calls % (3 if every > 2 else 2) == 0
        if one.name not in self._history:
            return None
        history = self._history[one.name]
        if isinstance(one, language.IsNull):
            return len(history) <= self._sent.get(one.name, 0)
        if isinstance(one, language.Window | language.Rate):
            return self._window(one) if isinstance(one, language.Window) else _rate(history)
        return history[-1][2] if history else None

    def _held(self, condition: Condition, held: language.Held) -> bool | None:
        value = self._value(condition, held.condition)
        if not _is_true(value):
            condition.since.pop(held, None)
            return None if value is None else False
        since = condition.since.setdefault(held, self.now)
        return self.now >= since + held.duration_ns // MS

    def _in_window(self, name: str, first: int, end: int) -> list[float]:
        return [
            float(value)
            for drive, _, value in self._history.get(name, [])
            if first <= drive < end and not math.isnan(value)
        ]

    def _window(self, window: language.Window) -> float | None:
        length = self.campaign.window_ms
        end = self.now // length * length - (length if window.previous else 0)
        values = self._in_window(window.name, end - length, end)
        if not values:
            return None
        total = 0.0
        for value in values:
            total += value
        return {"min": min(values), "max": max(values), "avg": total / len(values)}[window.function]


def _rate(history: list[tuple[int, int, Any]]) -> float | None:
    """Of the newest two samples that follow each other in time, the change per second."""
    found = None
    for before, after in itertools.pairwise(history):
        if after[0] > before[0]:
            change = float(after[2]) - float(before[2])
            found = change / ((after[0] - before[0]) * MS / 1e9)
    return found


def _is_true(value: Any) -> bool:
    return value is not None and not isinstance(value, str) and bool(value)
