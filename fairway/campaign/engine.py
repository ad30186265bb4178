"""The campaign engine: samples in, events out.  The vehicle runs it live, the cloud tries campaigns on drives.

    take(block) > moments > streams > each campaign's conditions > collections, in order of time
                                 `--> rings (history) -----------------> events

Rule 1: no clock and no I/O: time comes with the samples, or by advance() when none come.
Rule 2: what comes out does not depend on how rows are cut into blocks, nor on how often advance() is called.
Rule 3: a campaign that exceeds a limit is refused with a sentence; nothing is dropped silently.
Rule 4: a campaign whose content did not change goes on as if nothing had happened.
"""

from collections.abc import Collection as Some
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairway.campaign import blockwise
from fairway.campaign.cargo import Cargoes
from fairway.campaign.columns import Rows
from fairway.campaign.document import sync_id
from fairway.campaign.events import Event, EventIds
from fairway.campaign.fetch import FetchRequest
from fairway.campaign.functions import MULTI_RISING_EDGE_TRIGGER, Functions, NoFunctions
from fairway.campaign.model import Campaign
from fairway.campaign.moments import Moments, Positions, moments
from fairway.campaign.plan import Plan, Stream, plan, stream_of, streams_of
from fairway.campaign.rings import SAMPLE_BYTES, Rings
from fairway.campaign.runner import Collection, Look, Output, Runner
from fairway.campaign.streams import Hits, Streams
from fairway.campaign.why import Phase, Why, why_not_running, why_running
from fairway.errors import BadInput
from fairway.expression.campaign import Value
from fairway.samples import Kind, SampleBlock, SignalTable, Times, empty_block

# Long before any drive: the clamp on drive time does not bite before the first call.
TIME_MIN_NS = -(1 << 62)
# From so many samples for each campaign in a block on, columns are faster than moment by moment.
COLUMNS_FROM = 48


@dataclass(frozen=True, slots=True)
class Limits:
    """What one vehicle's campaigns may take."""

    campaigns: int = 256  # as FleetWise's agent
    ring_bytes: int = 20 * 1024 * 1024  # as FleetWise's agent


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the engine says to a campaign it was given."""

    sync_id: str
    name: str
    refused: str | None
    warnings: tuple[str, ...]


class Engine:
    """Runs campaigns over the samples of one vehicle, whose signals are those of `table`."""

    def __init__(
        self,
        table: SignalTable,
        *,
        functions: Functions | None = None,
        limits: Limits | None = None,
        columns_from: int = COLUMNS_FROM,
    ) -> None:
        self._table = table
        self._functions = functions or NoFunctions()
        self._limits = limits or Limits()
        self._columns_from = columns_from
        self._group = np.array([signal.group for signal in table], np.int32)
        self._kinds = [signal.kind for signal in table]
        self._is_text = np.array([kind is Kind.TEXT for kind in self._kinds], np.bool_)
        self._streams = Streams(len(table))
        self._rings = Rings()
        self._ids = EventIds()
        self._runners: list[Runner] = []
        self._cargoes = Cargoes(table)
        self._verdicts: list[Verdict] = []
        self._seen_ns: Times = np.zeros(
            0, np.int64
        )  # of each stream: drive time of its newest sample
        self._fetches: list[FetchRequest] = []
        self._now_ns = TIME_MIN_NS
        self._listeners: list[list[Runner]] = []
        self._listening = 1  # campaigns that listen to something
        self._listeners_of: Positions = np.zeros(0, np.intp)  # how many, of each stream
        self._asked: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._signal_of: dict[int, int] = {}
        self._listened: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._ring_of: NDArray[np.intp] = np.zeros(0, np.intp)

    @property
    def now_ns(self) -> int:
        """Drive time."""
        return self._now_ns

    def set_campaigns(
        self, campaigns: Sequence[Campaign], *, now_ns: int, suspended: Some[str] = ()
    ) -> list[Verdict]:
        """Run these campaigns from `now_ns` (drive time) on, and no others; `suspended` are sync ids.

        Call advance(now_ns) before, so that what is due until then happens.  Periods and intervals begin at
        `now_ns`, so for a recorded drive give the drive time of its first sample, not 0.
        """
        self._now_ns = max(self._now_ns, now_ns)
        old = {runner.plan.sync_id: runner for runner in self._runners}
        draft = _Draft(self._limits)
        verdicts = []
        for campaign in campaigns:
            id_ = sync_id(campaign)
            runner = old.get(id_)
            try:
                found = runner.plan if runner else plan(campaign, self._table, self._knows)
                is_running = id_ not in suspended
                start_ns = runner.start_ns if runner and is_running else self._now_ns
                draft.add(found, start_ns, is_running=is_running)
            except BadInput as error:
                verdicts.append(Verdict(id_, campaign.name, str(error), ()))
            else:
                verdicts.append(Verdict(id_, campaign.name, None, found.warnings))
        self._verdicts = verdicts
        self._run(draft, old)
        return verdicts

    def take(self, block: SampleBlock, *, offset_ns: int = 0) -> list[Event]:
        """Take samples of the table; return the events that came of them, and of the time that passed."""
        if block.table is not self._table:
            raise BadInput("the samples are of another signal table than the engine's")
        here = moments(block, self._group, offset_ns=offset_ns, now_ns=self._now_ns)
        return self._over(here)

    def advance(self, now_ns: int, *, offset_ns: int = 0) -> list[Event]:
        """Take that it is `now_ns` in drive time and all samples before were given; return what came of it."""
        now_ns = max(now_ns, self._now_ns)
        here = moments(empty_block(self._table), self._group, offset_ns=offset_ns, now_ns=now_ns)
        return self._over(here)

    def next_due_ns(self) -> int | None:
        """Return when advance() has something to do, in drive time."""
        due = (runner.due_ns for runner in self._runners)
        return min((one for one in due if one is not None), default=None)

    def fetch_requests(self) -> list[FetchRequest]:
        """Return what has to be asked for since the last call."""
        requests, self._fetches = self._fetches, []
        return requests

    @property
    def open_partitions(self) -> frozenset[tuple[str, str]]:
        """Partitions (campaign's sync id, partition) whose upload condition is true now."""
        return frozenset(
            (runner.plan.sync_id, id_)
            for runner in self._runners
            for id_ in runner.open_partitions()
        )

    def why(self, name: str) -> Why:
        """Return why a campaign (its name, or sync id) did or did not trigger.  Raises BadInput: not here."""
        for runner in self._runners:
            if name in (runner.plan.campaign.name, runner.plan.sync_id):
                return self._why(runner)
        for verdict in self._verdicts:
            if name in (verdict.name, verdict.sync_id):
                phase = Phase.REFUSED if verdict.refused else Phase.SUSPENDED
                waits_for = verdict.refused or "being resumed"
                return why_not_running(
                    verdict.sync_id,
                    verdict.name,
                    phase,
                    waits_for=waits_for,
                    warnings=verdict.warnings,
                    now_ns=self._now_ns,
                )
        raise BadInput(f"no campaign is called {name:.120}")

    def _why(self, runner: Runner) -> Why:
        seen_ns = {
            name: int(self._seen_ns[self._streams.number(stream)])
            for name, stream in streams_of(runner.plan, runner.start_ns).items()
            if self._seen_ns[self._streams.number(stream)] >= runner.start_ns
        }
        would_send = self._cargoes.waiting(runner.order, self._rings)
        return why_running(runner, seen_ns, would_send, now_ns=self._now_ns)

    def _knows(self, campaign: Campaign, name: str) -> bool:
        return name == MULTI_RISING_EDGE_TRIGGER or self._functions.knows(campaign, name)

    def _run(self, draft: "_Draft", old: dict[str, Runner]) -> None:
        new = self._streams.replace(draft.streams)
        self._rings.reshape(
            draft.depths, frozenset(one for one in draft.depths if self._is_text[one.signal])
        )
        self._runners, rings = [], []
        for found, start_ns in draft.running:
            runner = old.pop(found.sync_id, None)
            if runner is None:
                numbers = {
                    name: self._streams.number(one)
                    for name, one in streams_of(found, start_ns).items()
                }
                runner = Runner(found, numbers, self._functions, start_ns)
            runner.order = len(self._runners)
            self._runners.append(runner)
            rings += [self._rings.numbers[stream_of(one, start_ns)] for one in found.collected]
        self._cargoes.replace([one.plan for one in self._runners], self._rings, rings)
        for id_ in old:
            self._functions.forget(id_)
        self._index(new)

    def _index(self, new: list[int]) -> None:
        end = self._streams.numbers_end
        self._seen_ns = np.append(self._seen_ns, np.full(end, TIME_MIN_NS))[:end]
        self._seen_ns[new] = TIME_MIN_NS
        self._listeners = [[] for _ in range(end)]
        self._listened = np.zeros(end, np.bool_)
        self._asked = np.zeros(end, np.bool_)
        self._ring_of = np.full(end, -1, np.intp)
        self._signal_of = self._streams.signals()
        self._listening = max(1, sum(bool(runner.streams) for runner in self._runners))
        for runner in self._runners:
            for stream in runner.streams:
                self._listeners[stream].append(runner)
                self._listened[stream] = True
                self._asked[stream] |= runner.is_asking
        self._listeners_of = np.array([len(some) for some in self._listeners], np.intp)
        for collected, ring in self._rings.numbers.items():
            self._ring_of[self._streams.number(collected)] = ring

    def _over(self, here: Moments) -> list[Event]:
        hits = self._streams.hits(here)
        self._seen_ns[hits.stream] = here.drive_ns[hits.row]
        output = Output()
        self._run_conditions(here, hits, output)
        self._now_ns = max(self._now_ns, here.end_ns)
        output.collections.sort(key=lambda one: (one.now.drive_ns, one.now.row, one.order))
        output.fetches.sort(key=lambda one: one[:2])
        self._fetches += [request for *_, request in output.fetches]
        return self._collect(here, hits, output.collections)

    def _run_conditions(self, here: Moments, hits: Hits, output: Output) -> None:
        mine = hits.of(self._listened)
        listening = self._runners
        if self._listeners_of[mine.stream].sum() >= self._columns_from * self._listening:
            by_stream = mine.by_stream()
            rows = Rows(here, by_stream, self._kind_of_stream, here.end_ns)
            for runner in self._runners:
                is_due = runner.due_ns is not None and runner.due_ns <= here.end_ns
                if not runner.is_asking and (is_due or not runner.streams.isdisjoint(by_stream)):
                    blockwise.run(runner, rows, output)
            listening = [runner for runner in self._runners if runner.is_asking]
            mine = mine.of(self._asked)
        self._moment_by_moment(here, mine, listening, output)

    def _moment_by_moment(
        self, here: Moments, hits: Hits, listening: list[Runner], output: Output
    ) -> None:
        look = Look(
            here,
            hits.stream.tolist(),
            self._values(here.block, hits.row),
            here.drive_ns[hits.row].tolist(),
            here.moment[hits.row].tolist(),
        )
        wanted = set(listening) if len(listening) < len(self._runners) else None
        for hit, stream in enumerate(look.stream):
            for runner in self._listeners[stream]:
                if wanted is None or runner in wanted:
                    runner.hits.append(hit)
        for runner in listening:
            if runner.hits or (runner.due_ns is not None and runner.due_ns <= here.end_ns):
                runner.run(look, here.end_ns, output)

    def _kind_of_stream(self, stream: int) -> Kind:
        return self._kinds[self._signal_of[stream]]

    def _values(self, block: SampleBlock, rows: Positions) -> list[Value]:
        kinds, texts = self._kinds, block.texts
        return [
            value
            if kind is Kind.NUMBER
            else texts[int(value)]
            if kind is Kind.TEXT
            else value != 0.0
            for value, kind in zip(
                block.value[rows].tolist(),
                map(kinds.__getitem__, block.signal[rows].tolist()),
                strict=True,
            )
        ]

    def _collect(self, here: Moments, hits: Hits, collections: list[Collection]) -> list[Event]:
        kept = hits.of(self._ring_of >= 0)
        ring, block = self._ring_of[kept.stream], here.block
        value = block.value[kept.row]
        if block.texts and len(kept.row):
            is_text = self._is_text[block.signal[kept.row]]
            value[is_text] = self._rings.text_numbers(block.texts)[value[is_text].astype(np.intp)]
        time_ns = block.time_ns[kept.row]
        written = 0
        events: list[Event] = []
        for some in _by_moment(collections):
            until = int(np.searchsorted(kept.row, some[0].now.row, side="left"))
            self._rings.write(ring[written:until], time_ns[written:until], value[written:until])
            written = max(written, until)
            events += self._cargoes.collect(self._rings, some, self._ids)
        self._rings.write(ring[written:], time_ns[written:], value[written:])
        self._rings.forget_texts()
        return events


def _by_moment(collections: Sequence[Collection]) -> Iterator[Sequence[Collection]]:
    """Yield those that follow each other and collect before one row, each campaign once."""
    first = 0
    for at in range(1, len(collections)):
        before, one = collections[at - 1], collections[at]
        if one.now.row != before.now.row or one.order <= before.order:
            yield collections[first:at]
            first = at
    if collections:
        yield collections[first:]


class _Draft:
    """Campaigns that were accepted so far, and what they take."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ids: set[str] = set()
        self.running: list[tuple[Plan, int]] = []
        self.depths: dict[Stream, int] = {}
        self.streams: set[Stream] = set()

    def add(self, found: Plan, start_ns: int, *, is_running: bool) -> None:
        """Accept a campaign.  Raises BadInput: refused."""
        name = found.campaign.name
        if found.sync_id in self._ids:
            raise BadInput(f"{name}: the same campaign is there twice")
        if len(self._ids) >= self._limits.campaigns:
            raise BadInput(
                f"{name}: a vehicle runs at most {self._limits.campaigns} campaigns; end one that is not needed"
            )
        if is_running:
            depths = dict(self.depths)
            for one in found.collected:
                stream = stream_of(one, start_ns)
                depths[stream] = max(depths.get(stream, 0), one.max_samples)
            bytes_needed = SAMPLE_BYTES * sum(depths.values())
            if bytes_needed > self._limits.ring_bytes:
                raise BadInput(
                    f"{name}: with the campaigns before it its samples need {bytes_needed} bytes,"
                    f" more than {self._limits.ring_bytes}; lower maxSampleCount or collect fewer signals"
                )
            self.depths = depths
            self.streams.update(streams_of(found, start_ns).values())
            self.running.append((found, start_ns))
        self._ids.add(found.sync_id)
