"""The partitions of all campaigns as lanes of the uplink; their disk work is done in one thread of their own.

    put > [ pieces that wait ] > written together, a lane at a time > lanes > delivery
                                          tidy: too old, too much, gone and drained

Rule 1: what waits is written together: a lane is brought to the disk once a turn, and turns keep their
        distance, so that hundreds of partitions do not mean hundreds of writes a second.
Rule 2: only a few lanes have open files; the others rest.
Rule 3: a disk that takes nothing costs nothing at first: pieces wait in memory, up to a limit, and are counted
        beyond it.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from edge_agent.adapters.partition_folders import PartitionFolders
from edge_agent.telemetry.lanes import Lane, Lanes
from edge_agent.telemetry.partitions import (
    MEMORY_ALL_MAX_BYTES,
    Holding,
    Key,
    Request,
    Terms,
    asked_for,
    is_open,
    to_shrink,
)
from edge_agent.telemetry.spool import Cursor, PartitionSpool, SpooledBatch
from fairway import log
from fairway.clock import NS_PER_S, Clock, SteadyClock
from fairway.errors import Unavailable
from fairway.ids import BatchName
from fairway.packing import Packed, requests
from fairway.samples import SignalTable

EVENTS = log.get("edge_agent.campaigns")
Result = TypeVar("Result")

# A hundred writes through to a disk each second leave it room for everything else; one lane waits 10 ms then.
SYNCS_PER_S_MAX = 100
OPEN_FILES_MAX = 16
# What a failing disk leaves in memory at most: 24 MB.
HELD_MAX_SAMPLES = 1_000_000
DISK_RETRY_S = 1.0
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
class _Open:
    terms: Terms
    spool: PartitionSpool
    is_gone: bool = False


@dataclass(slots=True)
class _Pending:
    terms: Terms
    pieces: list[Packed] = field(default_factory=list)


class Partitions:
    """All partitions, and the standing collection among them; `run` writes what was put."""

    def __init__(
        self,
        folders: PartitionFolders,
        standing: Lanes,
        seal: Seal,
        clock: Clock,
        *,
        max_bytes: int,
        written: Callable[[], None] = lambda: None,
    ) -> None:
        """`written` is told when there is something new to send."""
        self._folders, self._standing, self._clock = folders, standing, clock
        self._age_clock = SteadyClock(clock)
        self.seal = seal
        self._max_bytes, self.written = max_bytes, written
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="partitions")
        self._terms: dict[Key, Terms] = {}
        self._lanes: dict[Key, _Open] = {}
        self._streams: dict[str, Key] = {}
        for terms, spool in folders.found():
            self._add(terms, spool)
        self._awake: OrderedDict[Key, None] = OrderedDict()
        self._pending: dict[Key, _Pending] = {}
        self._pending_samples = 0
        self._has_pending = asyncio.Event()
        self._open_now: frozenset[Key] = frozenset()
        self._requests: dict[Key, Request] = {}
        self.counts: defaultdict[str, PartitionCounts] = defaultdict(PartitionCounts)
        self.is_disk_failing = False
        self.lost_samples = 0

    # what campaigns say

    def set_terms(self, terms: Mapping[Key, Terms]) -> None:
        """Know the partitions of the campaigns there are; all others are gone."""
        self._terms = dict(terms)
        for key, lane in list(self._lanes.items()):
            lane.is_gone = key not in self._terms
            lane.terms = self._terms.get(key, lane.terms)

    def set_open(self, open_now: frozenset[Key]) -> None:
        """Open the partitions whose conditions are true now, and close the others."""
        if open_now != self._open_now:
            self._open_now = open_now
            self.written()

    def request(self, campaign: str, partition: str, until_ns: int) -> bool:
        """Send what waits in a partition ("": in all) until it is drained; False when it has nothing."""
        meant = [
            key
            for key, lane in list(self._lanes.items())
            if key.campaign == campaign
            and partition in ("", key.partition)
            and lane.spool.state.waiting
        ]
        for key in meant:
            last = self._lanes[key].spool.state.next_sequence - 1
            self._requests[key] = Request(last, until_ns)
        self.written()
        return bool(meant)

    @property
    def has_gone(self) -> bool:
        """Whether there are partitions of campaigns that are gone."""
        return any(lane.is_gone for lane in list(self._lanes.values()))

    def gone_terms(self) -> list[Terms]:
        """Return the terms of partitions whose campaigns are gone."""
        return [lane.terms for lane in list(self._lanes.values()) if lane.is_gone]

    def put(self, terms: Terms, packed: Packed) -> None:
        """Take a piece of a campaign's events; it is written soon."""
        if self._pending_samples + len(packed.block) > HELD_MAX_SAMPLES:
            self.counts[terms.key.campaign].dropped_samples += len(packed.block)
            self.lost_samples += len(packed.block)
            return
        self._pending.setdefault(terms.key, _Pending(terms)).pieces.append(packed)
        self._pending_samples += len(packed.block)
        self._has_pending.set()

    # lanes

    def lanes(self) -> Sequence[Lane]:
        lanes = list(self._standing.lanes())
        for key, lane in list(self._lanes.items()):
            request, spool = self._requests.get(key), lane.spool
            end = spool.state.next_sequence
            if request is not None and key not in self._open_now:
                end = min(end, request.last_sequence + 1)
            is_open_now = is_open(lane.terms, self._open_now, request)
            lanes.append(Lane(spool.stream, lane.terms.rank, end, is_open_now))
        lanes.sort(key=lambda one: one.rank)
        return lanes

    async def read(
        self, stream: str, after: int, *, max_batches: int, max_bytes: int
    ) -> list[SpooledBatch]:
        lane = self._lane_of(stream)
        if lane is None:
            return await self._standing.read(
                stream, after, max_batches=max_batches, max_bytes=max_bytes
            )
        found = await self._in_thread(
            lambda: lane.spool.read(after, max_batches=max_batches, max_bytes=max_bytes)
        )
        key, request = lane.terms.key, self._requests.get(lane.terms.key)
        if request is not None and key not in self._open_now:
            found, self._requests[key] = asked_for(found, request)
            await self._in_thread(lambda: self._end_request(lane))
        return found

    async def settle(self, stream: str, sequences: Collection[int]) -> None:
        lane = self._lane_of(stream)
        if lane is None:
            await self._standing.settle(stream, sequences)
            return
        settling = asyncio.ensure_future(self._in_thread(lambda: lane.spool.settle(sequences)))
        await asyncio.shield(settling)
        if lane.terms.key in self._requests:
            await self._in_thread(lambda: self._end_request(lane))
        if lane.is_gone and not lane.spool.state.waiting:
            await self.tidy()

    def campaign_of(self, stream: str) -> str:
        """Return whose stream this is; "" for the standing collection."""
        key = self._streams.get(stream)
        return key.campaign if key else ""

    def holdings(self) -> list[Holding]:
        """Return how much every partition has."""
        return [_holding(lane) for lane in list(self._lanes.values())]

    def explained(self, campaign: str) -> list[dict[str, Any]]:
        """Return how a campaign's partitions stand, those that are empty among them."""
        found = []
        for key, terms in self._terms.items():
            if key.campaign == campaign:
                lane, request = self._lanes.get(key), self._requests.get(key)
                found.append(
                    {
                        "partition": key.partition,
                        "upload": terms.upload,
                        "is_open": is_open(terms, self._open_now, request),
                        "is_asked_for": request is not None,
                        "waiting": lane.spool.state.waiting if lane else 0,
                        "size_bytes": _holding(lane).size_bytes if lane else 0,
                    }
                )
        return found

    # work

    async def run(self) -> None:
        """Write what is put, and keep everything within its limits, until cancelled."""
        while True:
            await self._has_pending.wait()
            began_ns = self._clock.monotonic_ns()
            lanes = await self.flush()
            pause_s = lanes / SYNCS_PER_S_MAX - (self._clock.monotonic_ns() - began_ns) / NS_PER_S
            await asyncio.sleep(DISK_RETRY_S if self.is_disk_failing else max(pause_s, 0.0))

    async def flush(self) -> int:
        """Write what waits; return to how many lanes.  What the disk does not take waits on."""
        pending, self._pending, self._pending_samples = self._pending, {}, 0
        self._has_pending.clear()
        if pending:
            writing = asyncio.ensure_future(self._in_thread(lambda: self._write(pending)))
            await asyncio.shield(writing)
            self.written()
        for key, left in pending.items():
            if left.pieces:
                later = self._pending.setdefault(key, _Pending(left.terms))
                later.pieces[:0] = left.pieces
                self._pending_samples += sum(len(packed.block) for packed in left.pieces)
                self._has_pending.set()
        return len(pending)

    async def tidy(self) -> None:
        """Give up what is too old, and remove what is gone and drained."""
        await self._in_thread(self._tidy)

    async def close(self) -> None:
        """Finish what was asked for and let go of the files."""
        for lane in list(self._lanes.values()):
            await self._in_thread(lane.spool.close)
        self._thread.shutdown()

    def lose_waiting(self) -> int:
        """Count what could not be written before the end, and forget it."""
        lost = self._pending_samples
        self.lost_samples += lost
        self._pending, self._pending_samples = {}, 0
        return lost

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _add(self, terms: Terms, spool: PartitionSpool) -> _Open:
        lane = _Open(terms, spool)
        self._streams[spool.stream] = terms.key
        self._lanes[terms.key] = lane
        return lane

    def _lane_of(self, stream: str) -> _Open | None:
        key = self._streams.get(stream)
        return self._lanes.get(key) if key else None

    # in the thread

    def _end_request(self, lane: _Open) -> None:
        """Forget a request when nothing that it asked for waits any more."""
        request = self._requests.get(lane.terms.key)
        first = lane.spool.read(0, max_batches=1, max_bytes=1)
        if request is not None and not (first and asked_for(first, request)[0]):
            self._requests.pop(lane.terms.key, None)

    def _write(self, pending: dict[Key, _Pending]) -> None:
        """Write pieces; those that are durable are taken out of `pending`."""
        try:
            for key, waiting in sorted(pending.items(), key=lambda one: one[1].terms.rank):
                lane = self._lanes.get(key) or self._add(
                    waiting.terms, self._folders.opened(waiting.terms)
                )
                lane.is_gone = key not in self._terms
                self._append(lane, waiting.pieces)
                waiting.pieces = []
                self._wake_up(key)
            self._make_room()
        except Unavailable as error:
            if not self.is_disk_failing:
                EVENTS.error("partitions_unavailable", reason=str(error))
            self.is_disk_failing = True
            return
        if self.is_disk_failing:
            EVENTS.info("partitions_work_again", lost_samples=self.lost_samples)
        self.is_disk_failing = False

    def _append(self, lane: _Open, pieces: list[Packed]) -> None:
        key, seal, spool = lane.terms.key, self.seal, lane.spool
        batches: list[SpooledBatch] = []
        for packed in pieces:
            sequence = spool.state.next_sequence + len(batches)
            batches += self._sealed(packed, BatchName(seal.vehicle, spool.stream, sequence))
        before = spool.state.dropped_samples
        spool.append(batches)
        counts = self.counts[key.campaign]
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
        return [
            SpooledBatch(
                batch.name.sequence,
                batch.dictionary_id,
                len(batch.block),
                now_ns,
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
            if tired in self._lanes:
                self._lanes[tired].spool.rest()

    def _make_room(self) -> None:
        for is_durable, most in ((True, self._max_bytes), (False, MEMORY_ALL_MAX_BYTES)):
            while found := to_shrink(self.holdings(), max_bytes=most, is_durable=is_durable):
                key, need_bytes = found
                lane = self._lanes[key]
                before = lane.spool.state
                lane.spool.shrink(need_bytes)
                dropped = lane.spool.state.dropped_samples - before.dropped_samples
                self.counts[key.campaign].dropped_samples += dropped

    def _tidy(self) -> None:
        for key, lane in list(self._lanes.items()):
            try:
                self._give_up_old(lane)
            except Unavailable as error:
                EVENTS.warning("partition_unreadable", campaign=key.campaign, reason=str(error))
            if lane.is_gone and not lane.spool.state.waiting and key not in self._pending:
                self._folders.remove(lane.terms, lane.spool)
                del self._lanes[key], self._streams[lane.spool.stream]
                self._requests.pop(key, None)
            elif key not in self._awake:
                lane.spool.rest()

    def _give_up_old(self, lane: _Open) -> None:
        if not lane.terms.max_age_s:
            return
        oldest_ns = self._age_clock.now_ns() - lane.terms.max_age_s * NS_PER_S
        while found := lane.spool.read(0, max_batches=AGE_BATCHES, max_bytes=1 << 20):
            old = [batch for batch in found if batch.created_time_ns < oldest_ns]
            lane.spool.give_up(old)
            samples = sum(batch.samples for batch in old)
            self.counts[lane.terms.key.campaign].dropped_samples += samples
            if len(old) < len(found):
                return
            EVENTS.warning("partition_too_old", campaign=lane.terms.key.campaign, samples=samples)


def _holding(lane: _Open) -> Holding:
    terms, state = lane.terms, lane.spool.state
    size = state.size_bytes if state.waiting else 0
    return Holding(terms.key, terms.rank, terms.is_durable, size, state.waiting)
