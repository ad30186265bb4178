"""One campaign as it runs: samples and time in, what to collect and what to fetch out.

    hits of its streams, moment by moment > watches > trigger > post-trigger time > Collection
    timers: window ends, held, evaluation grid > evaluate;  interval > trigger;  post-trigger > collect

Rule 1: a condition is evaluated after a moment that holds a sample of a signal it names, when a window of it
        ends, when something has been held for long enough; and if it asks (isNull, custom functions) also every
        50 ms since activation.
Rule 2: timers that are due at or before a moment fire before it, each at its own time; of one time: first
        evaluations, then what ends collecting, then what triggers again, then fetches.
Rule 3: campaigns do not see each other; what they collect is looked up in the rings afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairway.campaign.fetch import Fetch, FetchRequest
from fairway.campaign.functions import Calls, Functions
from fairway.campaign.inputs import Setting, Watch
from fairway.campaign.model import TriggerMode
from fairway.campaign.moments import Moments
from fairway.campaign.plan import MS, Plan
from fairway.campaign.trigger import State, Trigger
from fairway.expression.campaign import Value, is_true

# FleetWise's agent idles this long when nothing comes, and evaluates then.
GRID_NS = 50 * MS


@dataclass(frozen=True, slots=True)
class Look:
    """The hits of a block that conditions listen to, as lists."""

    moments: Moments
    stream: list[int]
    value: list[Value]
    drive_ns: list[int]
    moment: list[int]


@dataclass(frozen=True, slots=True)
class Now:
    """A point in time, between two rows of a block."""

    drive_ns: int
    row: int  # the first row after it
    wall_ns: int


@dataclass(frozen=True, slots=True)
class Collection:
    """What a campaign collects: all it has not sent, of the rows before `now`."""

    now: Now
    order: int  # of the campaigns
    trigger_ns: int  # wall clock
    texts: tuple[tuple[str, int, str], ...]  # signal, wall clock, text: what custom functions said


@dataclass(slots=True)
class Output:
    """What came of running campaigns over a block."""

    collections: list[Collection] = field(default_factory=list)
    fetches: list[tuple[int, int, FetchRequest]] = field(default_factory=list)  # when, order


class Runner:
    """One campaign: `streams` are the numbers of what it sees, by name of the signal."""

    def __init__(
        self, plan: Plan, streams: Mapping[str, int], functions: Functions, start_ns: int
    ) -> None:
        self.plan = plan
        self.start_ns = start_ns
        self.order = 0
        self.triggers = 0
        self.hits: list[int] = []  # indexes of a look, put here by whoever distributes it
        self._calls = Calls(plan.campaign, plan.sync_id, functions)
        self._news: dict[int, bool] = dict.fromkeys(streams.values(), False)
        self._make_watches(streams)
        self._sent = tuple({streams[one.name] for one in plan.collected})
        self._grid_ns = start_ns + GRID_NS
        self.end_ns = 0  # of collecting
        self._trigger_ns = 0
        self._texts: list[tuple[str, int, str]] = []
        self.trigger = self._first_trigger()
        self.due_ns: int | None = start_ns
        self.find_due()

    def _make_watches(self, streams: Mapping[str, int]) -> None:
        campaign = self.plan.campaign
        setting = Setting(
            streams.get,
            campaign.equality_tolerance,
            campaign.window_ms * MS,
            self.start_ns,
            self._calls,
            self._news.get,
        )
        condition = self.plan.condition
        self.watch = None if condition is None else Watch(condition, setting)
        self.fetches = [
            Fetch(what, None, self.start_ns)
            if one is None
            else Fetch(what, Watch(one, setting), None)
            for what, one in self.plan.fetches
        ]
        for fetch in self.fetches:
            if fetch.watch is not None and not fetch.watch.expression.signals:
                fetch.watch.is_asking = True  # no sample evaluates it
        self.uploads = [(id_, Watch(one, setting)) for id_, one in self.plan.uploads]
        some = [
            self.watch,
            *(fetch.watch for fetch in self.fetches),
            *(one for _, one in self.uploads),
        ]
        self.watches = [watch for watch in some if watch is not None]
        self._fetch_of = {
            id(fetch.watch): fetch for fetch in self.fetches if fetch.watch is not None
        }
        self._watching: dict[int, list[Watch]] = {}
        for watch in self.watches:
            for stream in watch.streams:
                self._watching.setdefault(stream, []).append(watch)
        self._is_timed = any(watch.is_timed for watch in self.watches)
        self.is_asking = any(watch.is_asking for watch in self.watches)
        self._is_plain = len(self.watches) == 1 and not (
            self.watch is None or self._is_timed or self.is_asking
        )

    def _first_trigger(self) -> Trigger:
        campaign = self.plan.campaign
        interval_ns = campaign.min_interval_ms * MS
        if self.watch is None:
            return Trigger(TriggerMode.ALWAYS, interval_ns, self.start_ns, State.TRUE)
        is_static = not (self.watch.streams or self.watch.is_asking)
        if is_static:
            interval_ns = max(interval_ns, GRID_NS)
        trigger = Trigger(
            campaign.trigger_mode, interval_ns, self.start_ns, is_asking=self.watch.is_asking
        )
        for watch in self.watches:
            if not (watch.streams or watch.is_asking):
                is_true = watch.evaluate(self.start_ns)
                if watch is self.watch:
                    trigger.evaluated(self.start_ns, is_true=is_true)
        return trigger

    @property
    def streams(self) -> frozenset[int]:
        """What its conditions listen to."""
        return frozenset(self._watching)

    def open_partitions(self) -> list[str]:
        """Return the partitions whose upload condition is true."""
        return [id_ for id_, watch in self.uploads if is_true(watch.result)]

    def run(self, look: Look, until_ns: int, output: Output) -> None:
        """Take what was put into `hits`, and that it is `until_ns` then."""
        hits, self.hits = self.hits, []
        if self._is_plain:
            self._run_plain(hits, look, output)
        else:
            self._run_any(hits, look, output)
        if self.due_ns is not None and self.due_ns <= until_ns:
            self._fire(until_ns, look.moments, output)

    def _run_plain(self, hits: list[int], look: Look, output: Output) -> None:
        """Take hits where there is one condition that only samples change: nearly all campaigns are so."""
        watch, trigger, at, end = self.watch, self.trigger, 0, len(hits)
        assert watch is not None
        while at < end:
            first = hits[at]
            drive_ns, moment = look.drive_ns[first], look.moment[first]
            if self.due_ns is not None and self.due_ns <= drive_ns:
                self._fire(drive_ns, look.moments, output)
            while at < end and look.moment[hits[at]] == moment:
                hit = hits[at]
                watch.sample(look.stream[hit], drive_ns, look.value[hit])
                at += 1
            state = trigger.state
            if trigger.evaluated(drive_ns, is_true=watch.evaluate(drive_ns)):
                now = _after(moment, drive_ns, look.moments)
                self._begin(now)
                if self.end_ns <= drive_ns:
                    self._collect(now, output)
            if trigger.state is not state:
                self.find_due()

    def _run_any(self, hits: list[int], look: Look, output: Output) -> None:
        moments, at, end = look.moments, 0, len(hits)
        while at < end:
            first = hits[at]
            drive_ns, moment = look.drive_ns[first], look.moment[first]
            if self.due_ns is not None and self.due_ns <= drive_ns:
                self._fire(drive_ns, moments, output)
            touched: list[Watch] = []
            while at < end and look.moment[hits[at]] == moment:
                self._sample(hits[at], look, touched)
                at += 1
            self._evaluate(touched, _after(moment, drive_ns, moments), output)

    def _sample(self, hit: int, look: Look, touched: list[Watch]) -> None:
        stream, value, drive_ns = look.stream[hit], look.value[hit], look.drive_ns[hit]
        self._news[stream] = True
        for watch in self._watching[stream]:
            watch.sample(stream, drive_ns, value)
            if watch not in touched:
                touched.append(watch)

    def _evaluate(self, watches: list[Watch], now: Now, output: Output) -> None:
        state = self.trigger.state
        for watch in (
            watches if len(watches) == 1 else [one for one in self.watches if one in watches]
        ):
            result = watch.evaluate(now.drive_ns)
            if watch is self.watch:
                self.take_result(now, output, is_true=result)
            elif id(watch) in self._fetch_of:
                self.take_fetch_result(self._fetch_of[id(watch)], now, output, is_true=result)
        if self._is_timed or self.trigger.state is not state:
            self.find_due()

    def take_result(self, now: Now, output: Output, *, is_true: bool) -> None:
        """Take that the condition was evaluated."""
        triggers = self.trigger.evaluated(now.drive_ns, is_true=is_true)
        if triggers:
            self._begin(now)
        if self.is_asking:
            said = self._calls.said()
            if self.trigger.is_collecting:
                self._texts += [(name, now.wall_ns, text) for name, text in said.items()]
        if triggers and self.end_ns <= now.drive_ns:
            self._collect(now, output)

    def take_fetch_result(self, fetch: Fetch, now: Now, output: Output, *, is_true: bool) -> None:
        """Take that the condition of a fetch was evaluated."""
        if fetch.evaluated(now.drive_ns, is_true=is_true):
            self._ask(fetch, now.drive_ns, output)

    def fire_before(self, drive_ns: int, moments: Moments, output: Output) -> None:
        """Let what time alone decides happen, as far as it is due before `drive_ns`."""
        while (due_ns := self._trigger_due()) is not None and due_ns < drive_ns:
            now = Now(due_ns, moments.row_at(due_ns), moments.wall_ns(due_ns))
            if self.trigger.is_collecting and self.end_ns <= due_ns:
                self._collect(now, output)
            repeats_ns = self.trigger.repeats_ns
            if repeats_ns is not None and repeats_ns <= due_ns:
                self.trigger.interval_passed(due_ns)
                self._begin(now)
                if self.end_ns <= due_ns:
                    self._collect(now, output)
            for fetch in self.fetches:
                if fetch.due_ns is not None and fetch.due_ns <= due_ns:
                    fetch.timer(due_ns)
                    self._ask(fetch, due_ns, output)

    def _fire(self, until_ns: int, moments: Moments, output: Output) -> None:
        while (due_ns := self._watch_due()) is not None and due_ns <= until_ns:
            self.fire_before(due_ns, moments, output)
            now = Now(due_ns, moments.row_at(due_ns), moments.wall_ns(due_ns))
            on_grid = self._grid_ns <= due_ns
            due = [one for one in self.watches if (on_grid and one.is_asking) or one.is_due(due_ns)]
            if on_grid:
                self._grid_ns += GRID_NS
            for watch in due:
                watch.tick(due_ns)
            self._evaluate(due, now, output)
        self.fire_before(until_ns + 1, moments, output)
        self.find_due()

    def _begin(self, now: Now) -> None:
        self.triggers += 1
        self._trigger_ns = now.wall_ns
        self.end_ns = now.drive_ns + (self.plan.campaign.post_trigger_ms or 0) * MS

    def _collect(self, now: Now, output: Output) -> None:
        self.trigger.collected(now.drive_ns)
        if self.is_asking:
            for stream in self._sent:
                self._news[stream] = False
        output.collections.append(Collection(now, self.order, self._trigger_ns, tuple(self._texts)))
        self._texts = []

    def _ask(self, fetch: Fetch, drive_ns: int, output: Output) -> None:
        request = FetchRequest(self.plan.sync_id, fetch.what.name, fetch.what.actions)
        output.fetches.append((drive_ns, self.order, request))

    def find_due(self) -> None:
        """Find out again when time alone may change something."""
        watch_ns, trigger_ns = self._watch_due(), self._trigger_due()
        if watch_ns is None or trigger_ns is None:
            self.due_ns = trigger_ns if watch_ns is None else watch_ns
        else:
            self.due_ns = min(watch_ns, trigger_ns)

    def _watch_due(self) -> int | None:
        if not self._is_timed:
            return self._grid_ns if self.is_asking else None
        due = [watch.due_ns for watch in self.watches if watch.is_timed]
        if self.is_asking:
            due.append(self._grid_ns)
        return min((one for one in due if one is not None), default=None)

    def _trigger_due(self) -> int | None:
        due_ns = self.end_ns if self.trigger.is_collecting else self.trigger.repeats_ns
        if not self.fetches:
            return due_ns
        due = [due_ns, *(fetch.due_ns for fetch in self.fetches)]
        return min((one for one in due if one is not None), default=None)


def _after(moment: int, drive_ns: int, moments: Moments) -> Now:
    """Return the point in time after a moment."""
    row = int(moments.last[moment])
    return Now(drive_ns, row, int(moments.block.time_ns[row - 1]))
