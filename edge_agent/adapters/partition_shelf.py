"""The partitions that have something, on the disk or in memory: the half of partitions.py that waits for disks.

    write (pieces by partition) > spools > make room        tidy: too old, gone and drained

Rule 1: everything here is called by one thread; another may only look.
Rule 2: only a few partitions have open files; the others rest.
Rule 3: a partition is made with the first thing that is put into it.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from edge_agent.adapters.partition_folders import PartitionFolders
from edge_agent.telemetry.partitions import (
    MEMORY_ALL_MAX_BYTES,
    MEMORY_MAX_BYTES,
    Holding,
    Key,
    Terms,
    to_shrink,
)
from edge_agent.telemetry.spool import Cursor, PartitionSpool, SpooledBatch
from fairway import log
from fairway.clock import NS_PER_S, Clock, SteadyClock
from fairway.errors import BadInput, Unavailable
from fairway.ids import BatchName
from fairway.packing import Packed, requests
from fairway.signals import SignalTable

EVENTS = log.get("edge_agent.campaigns")

OPEN_FILES_MAX = 16
# How many batches are looked at for their age in one go.
AGE_BATCHES = 64


@dataclass(frozen=True, slots=True)
class Seal:
    """What all batches of all partitions have in common."""

    vehicle: str
    max_bytes: int
    dictionary_ids: dict[SignalTable, bytes]


@dataclass(slots=True)
class PartitionCounts:
    """What became of what a campaign collected, since the agent started."""

    batches: int = 0
    request_bytes: int = 0
    dropped_samples: int = 0


@dataclass(slots=True)
class Opened:
    """A partition that has, or had, something."""

    terms: Terms
    spool: PartitionSpool
    is_gone: bool = False

    @property
    def holding(self) -> Holding:
        """How much it has."""
        terms, state = self.terms, self.spool.state
        size = state.size_bytes if state.waiting else 0
        return Holding(terms.key, terms.rank, terms.is_durable, size, state.waiting)


@dataclass(slots=True)
class Pending:
    """What is to be put into a partition."""

    terms: Terms
    pieces: list[Packed] = field(default_factory=list)


class PartitionShelf:
    """The spools of all partitions."""

    def __init__(
        self, folders: PartitionFolders, seal: Seal, clock: Clock, *, max_bytes: int
    ) -> None:
        """Find what an earlier run left."""
        self._folders, self._clock, self._max_bytes = folders, clock, max_bytes
        self._age_clock = SteadyClock(clock)
        self.seal = seal
        self.by_key: dict[Key, Opened] = {}
        self.by_stream: dict[str, Opened] = {}
        for terms, spool in folders.found():
            self._add(terms, spool)
        self._awake: OrderedDict[Key, None] = OrderedDict()
        self.counts: defaultdict[str, PartitionCounts] = defaultdict(PartitionCounts)
        self.is_failing = False

    def all(self) -> list[Opened]:
        """Return every partition there is; any thread may ask."""
        return list(self.by_key.values())

    def is_crowded(self, key: Key) -> bool:
        """Whether a partition is more than half full; any thread may ask."""
        found = self.by_key[key]
        most = self._max_bytes if found.terms.is_durable else MEMORY_MAX_BYTES
        return found.holding.size_bytes > (found.terms.max_bytes or most) // 2

    def write(self, pending: dict[Key, Pending], known: Collection[Key]) -> None:
        """Write pieces; those that are durable are taken out of `pending`."""
        try:
            for key, waiting in sorted(pending.items(), key=lambda one: one[1].terms.rank):
                found = self.by_key.get(key) or self._add(
                    waiting.terms, self._folders.opened(waiting.terms)
                )
                found.is_gone = key not in known
                self._append(found, waiting.pieces)
                waiting.pieces = []
                self._wake_up(key)
            self._make_room()
        except Unavailable as error:
            if not self.is_failing:
                EVENTS.error("partitions_unavailable", reason=str(error))
            self.is_failing = True
            return
        if self.is_failing:
            EVENTS.info("partitions_work_again")
        self.is_failing = False

    def tidy(self, pending: Collection[Key]) -> list[Key]:
        """Give up what is too old, remove what is gone and drained, and return what was removed."""
        removed = []
        for key, found in list(self.by_key.items()):
            try:
                self._give_up_old(found)
            except Unavailable as error:
                EVENTS.warning("partition_unreadable", campaign=key.campaign, reason=str(error))
            if found.is_gone and not found.spool.state.waiting and key not in pending:
                self._folders.remove(found.terms, found.spool)
                del self.by_key[key], self.by_stream[found.spool.stream]
                removed.append(key)
            elif key not in self._awake:
                found.spool.rest()
        return removed

    def close(self) -> None:
        """Let go of all files."""
        for found in self.by_key.values():
            found.spool.close()

    def _add(self, terms: Terms, spool: PartitionSpool) -> Opened:
        found = self.by_key[terms.key] = self.by_stream[spool.stream] = Opened(terms, spool)
        return found

    def _append(self, found: Opened, pieces: list[Packed]) -> None:
        spool, counts = found.spool, self.counts[found.terms.key.campaign]
        batches: list[SpooledBatch] = []
        for packed in pieces:
            sequence = spool.state.next_sequence + len(batches)
            try:
                batches += self._sealed(
                    packed, BatchName(self.seal.vehicle, spool.stream, sequence)
                )
            except BadInput as error:  # more samples at once than any batch has
                counts.dropped_samples += len(packed.block)
                EVENTS.error("event_too_large", campaign=packed.part.sync_id, reason=str(error))
        before = spool.state.dropped_samples
        spool.append(batches)
        counts.batches += len(batches)
        counts.request_bytes += sum(len(batch.request) for batch in batches)
        counts.dropped_samples += spool.state.dropped_samples - before

    def _sealed(self, packed: Packed, name: BatchName) -> list[SpooledBatch]:
        seal, now_ns = self.seal, self._clock.now_ns()
        made = requests(
            packed,
            name,
            dictionary_id=seal.dictionary_ids[packed.block.table],
            created_time_ns=now_ns,
            max_bytes=seal.max_bytes,
        )
        steady_ns = (
            self._age_clock.now_ns()
        )  # its age is not that of a wall clock that was set meanwhile
        return [
            SpooledBatch(
                batch.name.sequence,
                batch.dictionary_id,
                len(batch.block),
                steady_ns,
                Cursor(),
                request,
            )
            for batch, request in made
        ]

    def _wake_up(self, key: Key) -> None:
        self._awake[key] = None
        self._awake.move_to_end(key)
        while len(self._awake) > OPEN_FILES_MAX:
            tired, _ = self._awake.popitem(last=False)
            if tired in self.by_key:
                self.by_key[tired].spool.rest()

    def _make_room(self) -> None:
        for is_durable, most in ((True, self._max_bytes), (False, MEMORY_ALL_MAX_BYTES)):
            holdings = [found.holding for found in self.by_key.values()]
            while wanted := to_shrink(holdings, max_bytes=most, is_durable=is_durable):
                key, need_bytes = wanted
                self._shrink(self.by_key[key], need_bytes)
                holdings = [found.holding for found in self.by_key.values()]

    def _shrink(self, found: Opened, need_bytes: int) -> None:
        before = found.spool.state.dropped_samples
        found.spool.shrink(need_bytes)
        dropped = found.spool.state.dropped_samples - before
        self.counts[found.terms.key.campaign].dropped_samples += dropped

    def _give_up_old(self, found: Opened) -> None:
        if not found.terms.max_age_s:
            return
        oldest_ns = self._age_clock.now_ns() - found.terms.max_age_s * NS_PER_S
        campaign = found.terms.key.campaign
        while batches := found.spool.read(0, max_batches=AGE_BATCHES, max_bytes=1 << 20):
            old = [batch for batch in batches if batch.created_time_ns < oldest_ns]
            if old:
                samples = sum(batch.samples for batch in old)
                found.spool.give_up(old)
                self.counts[campaign].dropped_samples += samples
                EVENTS.warning("partition_too_old", campaign=campaign, dropped_samples=samples)
            if len(old) < len(batches):
                return
