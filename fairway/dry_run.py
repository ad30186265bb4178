"""Campaigns tried on recorded drives: what they would trigger, collect and send, before any vehicle runs them.

    drive's blocks -> engine -> packing -> requests      the very code that the vehicle runs, without its disk
                                    '-> partitions, budgets -> Prediction

Rule 1: what is counted is what the vehicle would send: whole requests as they leave it, before transport.
Rule 2: each drive begins as a vehicle's does: the campaign is there before the first sample.  What waits when a
        drive ends waits on into the next one, as it does on a vehicle's disk, and so do budgets.
Rule 3: what a drive cannot tell (answers to fetches, trouble codes, which network) is a note, not a guess.
Rule 4: a partition that is full gives up its oldest requests one by one; a vehicle's disk gives up a file of
        them, a sixteenth of the partition, so what it keeps is less by that at most.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence

from fairway.campaign.document import sync_id
from fairway.campaign.engine import Engine, Limits
from fairway.campaign.events import Event
from fairway.campaign.functions import Functions, NoFunctions
from fairway.campaign.model import Campaign
from fairway.campaign.parts import CampaignEvent
from fairway.campaign.widened import widened
from fairway.clock import NS_PER_S
from fairway.errors import BadInput
from fairway.ids import BatchName
from fairway.packing import Packed, Packing, requests
from fairway.prediction import Assumptions, Lane, Prediction
from fairway.samples import SampleBlock, SignalTable, empty_block
from fairway.wire.telemetry import dictionary_of

DAY_NS = 86_400 * NS_PER_S
# Streams are 8 random bytes in a vehicle: as long as this one.
_STREAM = "f" * 16

# Requests by age: when they were made, and how large they are.
_Requests = deque[tuple[int, int]]


class DryRun:
    """Runs campaigns over the drives of one vehicle, whose samples are of one signal table, in their order."""

    def __init__(
        self,
        table: SignalTable,
        campaigns: Sequence[Campaign],
        *,
        vehicle: str,
        functions: Functions | None = None,
        assumptions: Assumptions | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._table = widened(table, campaigns)
        self._campaigns = tuple(campaigns)
        self._functions, self._limits = functions or NoFunctions(), limits or Limits()
        self.predictions: list[Prediction] = []
        self._outboxes: dict[str, _Outbox] = {}
        seal = _Seal(vehicle, self._table, (assumptions or Assumptions()).max_request_bytes)
        verdicts = self._engine().set_campaigns(self._campaigns, now_ns=0)
        for campaign, verdict in zip(self._campaigns, verdicts, strict=True):
            prediction = Prediction(
                campaign.name,
                sync_id(campaign),
                campaign.budget,
                refused=verdict.refused or "",
                warnings=verdict.warnings,
                notes=tuple(_notes(campaign)),
            )
            self.predictions.append(prediction)
            if verdict.refused is None:
                self._outboxes[verdict.sync_id] = _Outbox(campaign, prediction, seal)

    def drive(self, blocks: Iterable[SampleBlock]) -> None:
        """Run over one drive, from its first sample to its last."""
        engine = self._engine()
        for id_ in self._outboxes:
            self._functions.forget(id_)
        first_ns = last_ns = None
        for block in blocks:
            if not len(block):
                continue
            newest_ns = int(block.time_ns.max())
            if first_ns is None or last_ns is None:
                first_ns = last_ns = int(block.time_ns[0])
                engine.set_campaigns(self._campaigns, now_ns=first_ns)
            last_ns = max(last_ns, newest_ns)
            self._take(engine, self._wide(block), last_ns)
        if first_ns is None or last_ns is None:
            return
        for one in self._outboxes.values():
            one.end_drive(last_ns, (last_ns - first_ns) / NS_PER_S)

    def _engine(self) -> Engine:
        return Engine(self._table, functions=self._functions, limits=self._limits)

    def _wide(self, block: SampleBlock) -> SampleBlock:
        if block.table is self._table:
            return block
        return SampleBlock(self._table, block.signal, block.time_ns, block.value, block.texts)

    def _take(self, engine: Engine, block: SampleBlock, now_ns: int) -> None:
        for event in engine.take(block):
            self._outboxes[event.campaign].take(event, now_ns)
        for request in engine.fetch_requests():
            self._outboxes[request.campaign].prediction.fetches += 1
        is_open = engine.open_partitions
        for one in self._outboxes.values():
            one.upload(is_open, now_ns)


class _Seal:
    """What all requests of a vehicle have in common."""

    def __init__(self, vehicle: str, table: SignalTable, max_bytes: int) -> None:
        self.vehicle, self.table, self.max_bytes = vehicle, table, max_bytes
        self.dictionary_id = dictionary_of(table).id


class _Outbox:
    """What one campaign has collected and not sent."""

    def __init__(self, campaign: Campaign, prediction: Prediction, seal: _Seal) -> None:
        self._campaign, self.prediction, self._seal = campaign, prediction, seal
        self._packing: dict[str, Packing] = {}
        self._partitions = {one.id: one for one in campaign.partitions or ()}
        self._next: dict[str, int] = {}  # the number of the next request
        # Requests by partition: those that wait for its condition, and those for the budget.
        self._waiting: dict[str, _Requests] = {}
        self._ready: dict[str, _Requests] = {}
        self._sent_by_day: dict[int, int] = {}

    def take(self, event: Event, now_ns: int) -> None:
        """Count an event, and what of it is complete."""
        prediction = self.prediction
        prediction.triggers += 1
        prediction.trigger_times_ns.append(event.time_ns)
        parts = event.parts or {"": empty_block(self._seal.table)}
        for partition, block in parts.items():
            prediction.samples += len(block)
            packing = self._packing.get(partition)
            if packing is None:
                packing = Packing(prediction.sync_id, partition, self._campaign)
                self._packing[partition] = packing
            told = CampaignEvent(event.id, event.time_ns, len(block))
            for packed in packing.add(block, told, now_ns=now_ns):
                self._put(partition, packed, now_ns)

    def upload(self, is_open: Collection[tuple[str, str]], now_ns: int) -> None:
        """Let time pass: batches grow old, and partitions whose condition is true are sent."""
        for partition, packing in self._packing.items():
            due_ns = packing.due_ns()
            if due_ns is not None and due_ns <= now_ns:
                self._close(partition, packing, now_ns)
        for partition, lane in self.prediction.lanes.items():
            self._give_up_old(partition, lane, now_ns)
            waiting = self._waiting.get(partition)
            if waiting and (self.prediction.sync_id, partition) in is_open:
                self._ready.setdefault(partition, deque()).extend(waiting)
                waiting.clear()
                lane.waiting_bytes = 0
            if self._ready.get(partition):
                self._send(partition, now_ns)

    def end_drive(self, now_ns: int, drive_s: float) -> None:
        """Close what is open: the vehicle does so when it stops."""
        for partition, packing in self._packing.items():
            self._close(partition, packing, now_ns)
        self.prediction.drives += 1
        self.prediction.drive_s += drive_s

    def _close(self, partition: str, packing: Packing, now_ns: int) -> None:
        for packed in packing.closed():
            self._put(partition, packed, now_ns)

    def _put(self, partition: str, packed: Packed, now_ns: int) -> None:
        prediction, number = self.prediction, self._next.get(partition, 1)
        try:
            made = requests(
                packed,
                BatchName(self._seal.vehicle, _STREAM, number),
                dictionary_id=self._seal.dictionary_id,
                created_time_ns=now_ns,
                max_bytes=self._seal.max_bytes,
            )
        except BadInput:  # more samples at once than any batch has: the vehicle drops them too
            prediction.lost_samples += len(packed.block)
            return
        self._next[partition] = number + len(made)
        sizes = [len(request) for _, request in made]
        prediction.batches += len(sizes)
        prediction.bytes += sum(sizes)
        lane = prediction.lanes.setdefault(partition, Lane())
        aged = [(now_ns, size) for size in sizes]
        if partition in self._partitions:
            self._wait(partition, lane, aged)
        else:
            self._ready.setdefault(partition, deque()).extend(aged)
            self._send(partition, now_ns)

    def _wait(self, partition: str, lane: Lane, made: Iterable[tuple[int, int]]) -> None:
        """Have requests wait for their partition's condition; what is too much goes, the oldest first."""
        waiting, most = self._waiting.setdefault(partition, deque()), self._partitions[partition]
        for at_ns, size in made:
            waiting.append((at_ns, size))
            lane.waiting_bytes += size
        while lane.waiting_bytes > most.max_bytes and len(waiting) > 1:
            self._drop(waiting, lane)

    def _give_up_old(self, partition: str, lane: Lane, now_ns: int) -> None:
        found, waiting = self._partitions.get(partition), self._waiting.get(partition)
        if found is None or not waiting or not found.max_age_s:
            return
        oldest_ns = now_ns - found.max_age_s * NS_PER_S
        while waiting and waiting[0][0] < oldest_ns:
            self._drop(waiting, lane)

    def _drop(self, waiting: _Requests, lane: Lane) -> None:
        _, size = waiting.popleft()
        lane.waiting_bytes -= size
        lane.dropped_bytes += size

    def _send(self, partition: str, now_ns: int) -> None:
        """Send requests in their order, whole, for as long as the budget has room for the next one."""
        lane, ready = self.prediction.lanes[partition], self._ready[partition]
        while ready and self._has_room(ready[0][1], now_ns):
            _, size = ready.popleft()
            day = now_ns // DAY_NS
            self._sent_by_day[day] = self._sent_by_day.get(day, 0) + size
            lane.sent_bytes += size
        lane.held_back_bytes = sum(size for _, size in ready)

    def _has_room(self, size: int, now_ns: int) -> bool:
        budget, sent = self._campaign.budget, self._sent_by_day
        today = sent.get(now_ns // DAY_NS, 0) + size
        is_over = budget.max_bytes is not None and sum(sent.values()) + size > budget.max_bytes
        is_over |= budget.max_bytes_per_day is not None and today > budget.max_bytes_per_day
        return not is_over


def _notes(campaign: Campaign) -> Iterable[str]:
    """Yield what drives cannot tell of a campaign."""
    if campaign.fetches:
        yield "what would be fetched is counted, but its answers are not in a drive"
    if campaign.sends_dtcs:
        yield "the trouble codes that go with its events are not in a drive, and their bytes not counted"
    if campaign.budget.max_metered_bytes_per_day is not None:
        yield "a drive does not say which network was there: the budget for metered ones is not applied"
