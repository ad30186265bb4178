"""A campaign tried on recorded drives: what it would trigger, collect and send, before any vehicle runs it.

    drive's blocks -> engine -> packing -> requests      the very code that the vehicle runs, without its disk
                                    '-> partitions, budgets -> Prediction

Rule 1: what is counted is what the vehicle would send: whole requests as they leave it, before transport.
Rule 2: each drive begins as a vehicle's does: the campaign is there before the first sample.
Rule 3: what a drive cannot tell (answers to fetches, trouble codes) is a warning, not a guess.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from fairway.campaign.document import sync_id
from fairway.campaign.engine import Engine
from fairway.campaign.events import Event
from fairway.campaign.functions import Functions
from fairway.campaign.model import Campaign
from fairway.clock import NS_PER_S
from fairway.ids import BatchName
from fairway.packing import Packed, Packing, requests
from fairway.samples import SampleBlock, SignalTable
from fairway.telemetry import CampaignEvent
from fairway.wire.telemetry import dictionary_of

DAY_NS = 86_400 * NS_PER_S
MONTH_DAYS = 30
# Streams are 8 random bytes in a vehicle: as long as this one.
_STREAM = "f" * 16


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What turns drives into months and money."""

    hours_per_month: float = 30.0  # how long a vehicle is driven
    price_per_mb: float = 0.0  # of 1,000,000 bytes
    max_request_bytes: int = 131_072  # as the agent's telemetry.batch_max_bytes


@dataclass(slots=True)
class Lane:
    """What becomes of the events of one partition; "" is what a campaign sends at once."""

    sent_bytes: int = 0
    waiting_bytes: int = 0  # in the vehicle, when the drive ended
    dropped_bytes: int = 0  # too much for the partition
    held_back_bytes: int = 0  # more than the budget allows

    def plus(self, other: "Lane") -> "Lane":
        """Return the sum of two drives."""
        return Lane(
            self.sent_bytes + other.sent_bytes,
            self.waiting_bytes + other.waiting_bytes,
            self.dropped_bytes + other.dropped_bytes,
            self.held_back_bytes + other.held_back_bytes,
        )


@dataclass(slots=True)
class Prediction:
    """What one campaign would do, over all drives."""

    campaign: str
    sync_id: str
    refused: str = ""
    warnings: tuple[str, ...] = ()
    drives: int = 0
    drive_s: float = 0.0
    triggers: int = 0  # events with something to send
    trigger_times_ns: list[int] = field(default_factory=list)
    samples: int = 0
    batches: int = 0
    bytes: int = 0  # of all requests
    fetches: int = 0
    lanes: dict[str, Lane] = field(default_factory=dict)

    @property
    def sent_bytes(self) -> int:
        """How much leaves the vehicle on these drives."""
        return sum(lane.sent_bytes for lane in self.lanes.values())

    def per_month(self, assumptions: Assumptions) -> "Month":
        """Return what a vehicle makes of it in a month."""
        hours = self.drive_s / 3600.0
        factor = assumptions.hours_per_month / hours if hours else 0.0
        megabytes = self.sent_bytes * factor / 1e6
        return Month(
            self.triggers * factor,
            self.samples * factor,
            megabytes,
            megabytes * assumptions.price_per_mb,
        )


@dataclass(frozen=True, slots=True)
class Month:
    """What one vehicle does in a month."""

    triggers: float
    samples: float
    megabytes: float
    cost: float


class DryRun:
    """Runs campaigns over drives of one signal table."""

    def __init__(
        self,
        table: SignalTable,
        campaigns: Sequence[Campaign],
        *,
        vehicle: str,
        functions: Functions | None = None,
        assumptions: Assumptions | None = None,
    ) -> None:
        self._table, self._campaigns, self._vehicle = table, tuple(campaigns), vehicle
        self._functions = functions
        self._assumptions = assumptions or Assumptions()
        self._dictionary_id = dictionary_of(table).id
        self.predictions = [Prediction(one.name, sync_id(one)) for one in self._campaigns]

    def drive(self, blocks: Iterable[SampleBlock]) -> None:
        """Run over one drive, from its first sample to its last."""
        engine = Engine(self._table, functions=self._functions)
        running: dict[str, _Running] = {}
        first_ns = last_ns = None
        for block in blocks:
            if not len(block):
                continue
            if first_ns is None:
                first_ns = int(block.time_ns[0])
                running = self._begun(engine, first_ns)
            last_ns = (
                int(block.time_ns.max())
                if last_ns is None
                else max(last_ns, int(block.time_ns.max()))
            )
            self._take(engine, engine.take(block), running, last_ns)
        if first_ns is None or last_ns is None:
            return
        for one in running.values():
            one.ended(last_ns, (last_ns - first_ns) / NS_PER_S)

    def _begun(self, engine: Engine, now_ns: int) -> "dict[str, _Running]":
        running = {}
        verdicts = engine.set_campaigns(self._campaigns, now_ns=now_ns)
        for campaign, verdict, prediction in zip(
            self._campaigns, verdicts, self.predictions, strict=True
        ):
            prediction.warnings = verdict.warnings
            if verdict.refused is not None:
                prediction.refused = verdict.refused
                continue
            running[verdict.sync_id] = _Running(
                campaign, prediction, self._vehicle, self._dictionary_id, self._assumptions
            )
        return running

    def _take(
        self, engine: Engine, events: list[Event], running: "dict[str, _Running]", now_ns: int
    ) -> None:
        for event in events:
            running[event.campaign].take(event, now_ns)
        for request in engine.fetch_requests():
            running[request.campaign].prediction.fetches += 1
        is_open = engine.open_partitions
        for one in running.values():
            one.upload(is_open, now_ns)


class _Running:
    """One campaign on one drive."""

    def __init__(
        self,
        campaign: Campaign,
        prediction: Prediction,
        vehicle: str,
        dictionary_id: bytes,
        assumptions: Assumptions,
    ) -> None:
        self._campaign, self.prediction = campaign, prediction
        self._name, self._dictionary_id = BatchName(vehicle, _STREAM, 1), dictionary_id
        self._max_bytes = assumptions.max_request_bytes
        self._packing: dict[str, Packing] = {}
        self._partitions = {one.id: one for one in campaign.partitions or ()}
        self._lanes: dict[str, Lane] = {}
        # Sizes of requests by partition: those that wait for its condition, and those for the budget.
        self._waiting: dict[str, deque[int]] = {}
        self._ready: dict[str, deque[int]] = {}
        self._sent_by_day: dict[int, int] = {}

    def take(self, event: Event, now_ns: int) -> None:
        """Count an event, and what of it is complete."""
        prediction = self.prediction
        prediction.triggers += 1
        prediction.trigger_times_ns.append(event.time_ns)
        for partition, block in event.parts.items():
            prediction.samples += len(block)
            packing = self._packing.get(partition)
            if packing is None:
                packing = self._packing[partition] = Packing(
                    prediction.sync_id, partition, self._campaign
                )
            told = CampaignEvent(event.id, event.time_ns, 0)
            for packed in packing.add(block, told, now_ns=now_ns):
                self._put(partition, packed, now_ns)

    def upload(self, is_open: Collection[tuple[str, str]], now_ns: int) -> None:
        """Let time pass: batches grow old, and partitions whose condition is true are sent."""
        for partition, packing in self._packing.items():
            due_ns = packing.due_ns()
            if due_ns is not None and due_ns <= now_ns:
                for packed in packing.closed():
                    self._put(partition, packed, now_ns)
        for partition, lane in self._lanes.items():
            if (self.prediction.sync_id, partition) in is_open and lane.waiting_bytes:
                self._ready.setdefault(partition, deque()).extend(self._waiting.pop(partition))
                lane.waiting_bytes = 0
            if lane.held_back_bytes or partition in self._ready:
                self._send(partition, now_ns)

    def ended(self, now_ns: int, drive_s: float) -> None:
        """Close what is open: the vehicle does so when it stops."""
        for partition, packing in self._packing.items():
            for packed in packing.closed():
                self._put(partition, packed, now_ns)
        for partition, lane in self._lanes.items():
            before = self.prediction.lanes.get(partition, Lane())
            self.prediction.lanes[partition] = before.plus(lane)
        self.prediction.drives += 1
        self.prediction.drive_s += drive_s

    def _put(self, partition: str, packed: Packed, now_ns: int) -> None:
        made = requests(
            packed,
            self._name,
            dictionary_id=self._dictionary_id,
            created_time_ns=now_ns,
            max_bytes=self._max_bytes,
        )
        sizes = [len(request) for _, request in made]
        prediction = self.prediction
        prediction.batches += len(made)
        prediction.bytes += sum(sizes)
        lane = self._lanes.setdefault(partition, Lane())
        found = self._partitions.get(partition)
        if found is None:
            self._ready.setdefault(partition, deque()).extend(sizes)
            self._send(partition, now_ns)
            return
        waiting = self._waiting.setdefault(partition, deque())
        waiting.extend(sizes)
        lane.waiting_bytes += sum(sizes)
        while lane.waiting_bytes > found.max_bytes and len(waiting) > 1:
            oldest = waiting.popleft()
            lane.waiting_bytes -= oldest
            lane.dropped_bytes += oldest

    def _send(self, partition: str, now_ns: int) -> None:
        """Send requests in their order, whole, for as long as the budget has room for the next one."""
        lane, ready = self._lanes[partition], self._ready.get(partition, deque())
        while ready and self._has_room(ready[0], now_ns):
            size = ready.popleft()
            day = now_ns // DAY_NS
            self._sent_by_day[day] = self._sent_by_day.get(day, 0) + size
            lane.sent_bytes += size
        lane.held_back_bytes = sum(ready)

    def _has_room(self, size: int, now_ns: int) -> bool:
        budget, sent = self._campaign.budget, self._sent_by_day
        today = sent.get(now_ns // DAY_NS, 0) + size
        is_over = budget.max_bytes is not None and sum(sent.values()) + size > budget.max_bytes
        is_over |= budget.max_bytes_per_day is not None and today > budget.max_bytes_per_day
        return not is_over
