"""Runs the campaigns of a vehicle: samples into the engine, events out of it into partitions.

    mapped blocks --take--> engine --events--> [trouble codes?] > batches > partitions > delivery
    lists, files --put_into_force--> plan --^      |
    timers, wall clock --run--------------^        '--fetch requests--> the vehicle --rows--^

Rule 1: a live bus is never held up here: what a campaign needs of a disk or of an ECU is done beside it.
Rule 2: a list is durable before it is in force, and what was in force is again after a restart.
Rule 3: rows come a few milliseconds after their stamps: timers are fired as much later, so that what was
        stamped before them comes before them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from edge_agent.adapters.campaign_batches import CampaignBatches
from edge_agent.adapters.campaign_fetches import Fetches
from edge_agent.adapters.partitions import Partitions
from edge_agent.adapters.sampling import LOOK_INTERVAL_NS
from edge_agent.canbus.frames import FrameBlock
from edge_agent.telemetry.active import Orders, plan_of, with_list
from edge_agent.telemetry.campaign_counts import CampaignCounts
from edge_agent.telemetry.drive_time import DriveTime, Now
from edge_agent.telemetry.kept import Kept
from edge_agent.telemetry.partitions import Key
from fairway import log
from fairway.campaign.engine import Engine, Limits, Verdict
from fairway.campaign.functions import Functions
from fairway.campaign.widened import widened
from fairway.clock import NS_PER_S, Clock
from fairway.control import CampaignList
from fairway.errors import BadInput, Unavailable
from fairway.samples import SampleBlock, SignalTable, empty_block
from fairway.signals import Dictionary
from fairway.wire.control import to_vehicle_from_bytes, to_vehicle_to_bytes
from fairway.wire.telemetry import dictionary_of, dictionary_to_bytes

EVENTS = log.get("edge_agent.campaigns")

LIST = "list"
COUNTS = "counts"
# Counts are for people: ten seconds of them may be lost.
SAVE_INTERVAL_NS = 10 * NS_PER_S
# The longest sleep of the timers: a safety net, every event wakes them.
IDLE_MAX_S = 10.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What campaigns have around them."""

    table: SignalTable  # of the blocks that come
    is_live: bool  # False: a log is replayed, and its time is drive time
    own: Orders = field(default_factory=Orders)
    limits: Limits = field(default_factory=Limits)


class Campaigns:
    """The campaigns; `run` it as a task, `take` is the pipeline's hook."""

    def __init__(  # noqa: PLR0913 - it joins this many things
        self,
        setting: Setting,
        partitions: Partitions,
        kept: Kept,
        clock: Clock,
        *,
        functions: Functions,
        fetches: Fetches,
        keep_dictionary: Callable[[bytes, bytes], None],
    ) -> None:
        """Put into force again what was.  Raises Unavailable when a dictionary cannot be kept."""
        self._setting, self._kept, self._clock = setting, kept, clock
        self.partitions, self._functions, self._fetches = partitions, functions, fetches
        self._keep_dictionary = keep_dictionary
        self._drive = DriveTime(self._now()) if setting.is_live else None
        self._is_begun = setting.is_live
        self.counts = CampaignCounts(kept.read(COUNTS))
        self._wake = asyncio.Event()
        self.batches = CampaignBatches(
            partitions,
            fetches,
            self.counts,
            clock,
            is_live=setting.is_live,
            wake=self._wake.set,
        )
        self._kept_counts = self.counts.to_bytes()
        self.orders = self._remembered(setting.own)
        self.plan = plan_of(self.orders, (), clock.now_ns())
        self.verdicts: dict[str, Verdict] = {}
        self.changed: Callable[[], None] = lambda: None
        self.due_ns: int | None = None  # monotonic: when a timer fires next
        self._planned_ns = 0
        self._use_table(setting.table)
        self.put_into_force(self.orders)

    @property
    def table(self) -> SignalTable:
        """Everything that can be collected."""
        return self._table

    @property
    def dictionary(self) -> Dictionary:
        """The table under its name."""
        return self._dictionary

    @property
    def engine(self) -> Engine:
        """The engine, to be asked why."""
        return self._engine

    # samples

    def take(self, block: SampleBlock, _frames: FrameBlock | None = None) -> None:
        """Take everything that was mapped, before it is thinned."""
        if not self.plan.campaigns or not len(block):
            return
        if not self._is_begun:
            self._begin(int(block.time_ns[0]))
        wide = block
        if block.table is not self._table:
            wide = SampleBlock(self._table, block.signal, block.time_ns, block.value, block.texts)
        pieces = self._drive.pieces(wide, self._now()) if self._drive else [(wide, 0)]
        for piece, offset_ns in pieces:
            self.batches.take(self._engine.take(piece, offset_ns=offset_ns))
        self._look_around()

    def fetched(self, signal: str, text: str) -> None:
        """Take what was fetched for a signal; what is no signal of ours is left out."""
        try:
            number = self._table.number(signal)
        except BadInput:
            return
        row = SampleBlock(
            self._table,
            np.array([number], np.int32),
            np.array([self._stamp_ns()], np.int64),
            np.zeros(1),
            (text,),
        )
        self.take(row)

    def _begin(self, first_ns: int) -> None:
        """Begin the drive of a log with its first row."""
        self._is_begun = True
        self._set_campaigns(first_ns)

    def _stamp_ns(self) -> int:
        return self._clock.now_ns() if self._drive else self._engine.now_ns

    # campaigns

    async def order(self, said: CampaignList) -> None:
        """Put a list of the cloud into force.  Raises Unavailable when it cannot be made durable."""
        if said.revision == self.orders.revision and said.campaigns == self.orders.cloud:
            return
        await asyncio.to_thread(self._kept.keep, LIST, to_vehicle_to_bytes(said))
        self.put_into_force(with_list(self.orders, said))

    def put_into_force(self, orders: Orders) -> None:
        """Run what is ordered, as of now."""
        self.orders = orders
        self._apply()
        if orders.revision or self.plan.standings:
            EVENTS.info(
                "campaigns_in_force", revision=orders.revision, campaigns=len(self.plan.standings)
            )

    def _apply(self) -> None:
        """Decide anew what runs: a list came, or a start or expiry."""
        drive_ns = self._advance(lag_ns=0)
        self.batches.close(only_old=False)
        gone = self.partitions.gone_terms()
        self.plan = plan_of(self.orders, gone, self._clock.now_ns())
        self.partitions.set_terms(self.plan.terms)
        if gone_now := self.partitions.gone_terms():
            self.plan = plan_of(self.orders, gone_now, self._clock.now_ns())
        ids = {one.order.sync_id for one in self.plan.standings}
        self.counts.keep(ids)
        wide = widened(self._table, self.plan.campaigns)
        if wide is not self._table:
            self._use_table(wide)
        self.batches.use(self.plan, self.orders, empty_block(self._table))
        if self._is_begun:
            self._set_campaigns(drive_ns)
        self.changed()
        self._wake.set()

    def _set_campaigns(self, drive_ns: int) -> None:
        verdicts = self._engine.set_campaigns(self.plan.campaigns, now_ns=drive_ns)
        self.verdicts = {self.plan.owners[one.sync_id]: one for one in verdicts}
        for one in verdicts:
            if one.refused is not None:
                EVENTS.warning("campaign_refused", campaign=one.name, reason=one.refused)
        self._look_around()

    def _use_table(self, table: SignalTable) -> None:
        """Collect over `table` from now on; what the engine remembers is forgotten."""
        self._table = table
        self._dictionary = dictionary_of(table)
        self._keep_dictionary(self._dictionary.id, dictionary_to_bytes(self._dictionary))
        self.partitions.shelf.seal.dictionary_ids[table] = self._dictionary.id
        limits = self._setting.limits
        self._engine = Engine(table, functions=self._functions, limits=limits)
        if self._drive is not None:
            # A timer must not fire for the time before there was an engine.
            self._engine.set_campaigns((), now_ns=self._drive.look(self._now()))

    def _remembered(self, own: Orders) -> Orders:
        record = self._kept.read(LIST)
        if record is None:
            return own
        try:
            said = to_vehicle_from_bytes(record)
        except BadInput as error:
            EVENTS.error("campaigns_forgotten", reason=str(error))
            return own
        return with_list(own, said) if isinstance(said, CampaignList) else own

    # time

    async def run(self) -> None:
        """Fire timers, start and expire campaigns, and write what waits, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.partitions.run())
            tasks.create_task(self._fetches.run(self.fetched, self.batches.put))
            tasks.create_task(self._timers())

    async def _timers(self) -> None:
        saved_ns = self._clock.monotonic_ns()
        while True:
            try:
                async with asyncio.timeout(self._nap_s()):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            self.tick()
            if self._clock.monotonic_ns() - saved_ns >= SAVE_INTERVAL_NS:
                saved_ns = self._clock.monotonic_ns()
                await asyncio.to_thread(self._save_counts)
                await self.partitions.tidy()

    def tick(self) -> None:
        """Do what is due."""
        change_ns = self.plan.next_change_ns
        if change_ns is not None and self._clock.now_ns() >= change_ns:
            self._apply()
        self._advance(lag_ns=LOOK_INTERVAL_NS)
        self.batches.close(only_old=True)
        self._look_around()

    def _advance(self, *, lag_ns: int) -> int:
        """Take that no more rows come of the time that is over; return drive time now."""
        if self._drive is None:
            return self._engine.now_ns
        drive_ns = self._drive.look(self._now())
        if self.plan.campaigns:
            offset_ns = self._drive.offset_ns
            self.batches.take(self._engine.advance(drive_ns - lag_ns, offset_ns=offset_ns))
        return drive_ns

    def _nap_s(self) -> float:
        now_ns, waits_ns = self._clock.monotonic_ns(), [round(IDLE_MAX_S * NS_PER_S)]
        due_ns = self._engine.next_due_ns()
        self._planned_ns = 1 << 62
        if self._drive is not None and due_ns is not None:
            self._planned_ns = due_ns
            waits_ns.append(due_ns + LOOK_INTERVAL_NS - self._drive.look(self._now()))
        if self.plan.next_change_ns is not None:
            waits_ns.append(self.plan.next_change_ns - self._clock.now_ns())
        closing_ns = self.batches.next_due_ns()
        if closing_ns is not None:
            waits_ns.append(closing_ns - now_ns)
        return max(min(waits_ns) / NS_PER_S, 0.0)

    def _look_around(self) -> None:
        """Do what follows from the engine's state."""
        for request in self._engine.fetch_requests():
            self._fetches.ask(request)
        if any(one.is_gated for one in self.plan.terms.values()) or self.partitions.has_gone:
            owners = self.plan.owners
            open_now = self._engine.open_partitions
            self.partitions.set_open(frozenset(Key(owners[id_], of) for id_, of in open_now))
        if self._drive is not None:
            due_ns = self._engine.next_due_ns()
            self.due_ns = None if due_ns is None else self._drive.monotonic_ns(due_ns)
            if due_ns is not None and due_ns < self._planned_ns:
                self._wake.set()

    # the end

    async def finish(self) -> None:
        """Make durable what was collected."""
        self._advance(lag_ns=0)
        self._fetches.give_up(self.batches.put)
        self.batches.close(only_old=False)
        await self.partitions.flush()
        if lost := self.partitions.lose_waiting():
            EVENTS.error("campaign_samples_lost", samples=lost, reason="the disk takes nothing")
        await asyncio.to_thread(self._save_counts)

    def _save_counts(self) -> None:
        record = self.counts.to_bytes()
        if record == self._kept_counts:
            return
        try:
            self._kept.keep(COUNTS, record)
        except Unavailable as error:
            EVENTS.warning("counts_not_kept", reason=str(error))
        self._kept_counts = record

    def _now(self) -> Now:
        return Now(self._clock.now_ns(), self._clock.monotonic_ns())
