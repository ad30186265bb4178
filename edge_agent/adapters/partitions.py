"""The partitions of all campaigns as lanes of the uplink; their disk work is done in one thread of their own.

    put > [ pieces that wait ] > written together (partition_shelf.py) > lanes > delivery

Rule 1: what waits is written together: a lane is brought to the disk once a turn, and turns keep their
        distance, so that hundreds of partitions do not mean hundreds of writes a second.
Rule 2: a disk that takes nothing costs nothing at first: pieces wait in memory, up to a limit, and are counted
        beyond it.
Rule 3: a request for a partition is about what waited in it when it was asked for.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from edge_agent.adapters.partition_shelf import Opened, PartitionShelf, Pending
from edge_agent.telemetry.lanes import Lane, Lanes
from edge_agent.telemetry.partitions import Holding, Key, Request, Terms, asked_for, is_open
from edge_agent.telemetry.spool import SpooledBatch
from fairway.clock import NS_PER_S, Clock
from fairway.packing import Packed

Result = TypeVar("Result")

# A hundred writes through to a disk each second leave it room for everything else; one lane waits 10 ms then.
SYNCS_PER_S_MAX = 100
# What a failing disk leaves in memory at most: 24 MB.
HELD_MAX_SAMPLES = 1_000_000
# A log played as fast as possible is held up while so much waits to be written.
CROWDED_SAMPLES = 100_000
DISK_RETRY_S = 1.0
# Whoever waits for something to move looks again after so long: a budget may be paid again, a clock may pass.
MOVED_MAX_S = 1.0


class Partitions:
    """All partitions, and the standing collection among them; `run` writes what was put."""

    def __init__(self, shelf: PartitionShelf, standing: Lanes, clock: Clock) -> None:
        self.shelf, self._standing, self._clock = shelf, standing, clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="partitions")
        self._terms: dict[Key, Terms] = {}
        self._pending: dict[Key, Pending] = {}
        self._pending_samples = 0
        self._being_written: dict[Key, Pending] = {}
        self._flushing = asyncio.Lock()
        self._has_pending, self._has_moved = asyncio.Event(), asyncio.Event()
        self._open_now: frozenset[Key] = frozenset()
        self._requests: dict[Key, Request] = {}
        self.lost_samples = 0
        # Is told when there is something new to send.
        self.written: Callable[[], None] = lambda: None

    # what campaigns say

    def set_terms(self, terms: Mapping[Key, Terms]) -> None:
        """Know the partitions of the campaigns there are; all others are gone."""
        self._terms = dict(terms)
        for found in self.shelf.all():
            key = found.terms.key
            found.is_gone = key not in self._terms
            found.terms = self._terms.get(key, found.terms)

    def set_open(self, open_now: frozenset[Key]) -> None:
        """Open the partitions whose conditions are true now, and close the others."""
        if open_now != self._open_now:
            self._open_now = open_now
            self._move()

    def request(self, campaign: str, partition: str, until_ns: int) -> bool:
        """Send what waits in a partition ("": in all), whatever its condition says; False: nothing waits."""
        meant = [
            found
            for found in self.shelf.all()
            if found.terms.key.campaign == campaign
            and partition in ("", found.terms.key.partition)
            and found.spool.state.waiting
        ]
        for found in meant:
            last = found.spool.state.next_sequence - 1
            self._requests[found.terms.key] = Request(last, until_ns)
        self._move()
        return bool(meant)

    @property
    def has_gone(self) -> bool:
        """Whether there are partitions of campaigns that are gone."""
        return any(found.is_gone for found in self.shelf.all())

    def gone_terms(self) -> list[Terms]:
        """Return the terms of partitions whose campaigns are gone."""
        return [found.terms for found in self.shelf.all() if found.is_gone]

    def put(self, terms: Terms, packed: Packed) -> None:
        """Take a piece of a campaign's events; it is written soon."""
        samples = len(packed.block)
        if self._pending_samples + samples > HELD_MAX_SAMPLES:
            self.shelf.counts[terms.key.campaign].dropped_samples += samples
            self.lost_samples += samples
            return
        pending = self._pending.get(terms.key)
        if pending is None:
            pending = self._pending[terms.key] = Pending(terms)
        pending.pieces.append(packed)
        self._pending_samples += samples
        self._has_pending.set()

    # lanes

    def lanes(self) -> Sequence[Lane]:
        lanes = list(self._standing.lanes())
        for found in self.shelf.all():
            key, spool = found.terms.key, found.spool
            request, end = self._requests.get(key), spool.state.next_sequence
            if request is not None and key not in self._open_now:
                end = min(end, request.last_sequence + 1)
            lanes.append(Lane(spool.stream, found.terms.rank, end, self._is_open(found)))
        lanes.sort(key=lambda one: one.rank)
        return lanes

    async def read(
        self, stream: str, after: int, *, max_batches: int, max_bytes: int
    ) -> list[SpooledBatch]:
        opened = self.shelf.by_stream.get(stream)
        if opened is None:
            return await self._standing.read(
                stream, after, max_batches=max_batches, max_bytes=max_bytes
            )
        found = await self._in_thread(
            lambda: opened.spool.read(after, max_batches=max_batches, max_bytes=max_bytes)
        )
        if not self._is_open(opened):
            return []  # it closed while it was read: some of this may have come after that
        key, request = opened.terms.key, self._requests.get(opened.terms.key)
        if request is not None and key not in self._open_now:
            found, self._requests[key] = asked_for(found, request)
            await self._end_request(opened)
        return found

    async def settle(self, stream: str, sequences: Collection[int]) -> None:
        opened = self.shelf.by_stream.get(stream)
        if opened is None:
            await self._standing.settle(stream, sequences)
        else:
            settling = self._in_thread(lambda: opened.spool.settle(sequences))
            await asyncio.shield(asyncio.ensure_future(settling))
            if opened.terms.key in self._requests:
                await self._end_request(opened)
            if opened.is_gone and not opened.spool.state.waiting:
                await self.tidy()
        self._has_moved.set()

    def campaign_of(self, stream: str) -> str:
        """Return whose stream this is; "" for the standing collection."""
        found = self.shelf.by_stream.get(stream)
        return found.terms.key.campaign if found else ""

    # what is to be known

    def holdings(self) -> list[Holding]:
        """Return how much every partition has."""
        return [found.holding for found in self.shelf.all()]

    def explained(self, campaign: str) -> list[dict[str, Any]]:
        """Return how a campaign's partitions stand, those that are empty among them."""
        found = []
        for key, terms in self._terms.items():
            if key.campaign == campaign:
                opened, request = self.shelf.by_key.get(key), self._requests.get(key)
                found.append(
                    {
                        "partition": key.partition,
                        "upload": terms.upload,
                        "is_open": is_open(terms, self._open_now, request),
                        "is_asked_for": request is not None,
                        "waiting": opened.spool.state.waiting if opened else 0,
                        "size_bytes": opened.holding.size_bytes if opened else 0,
                    }
                )
        return found

    @property
    def is_crowded(self) -> bool:
        """Whether whoever can wait had better do so: what is open is half full, or waits to be written."""
        return self._pending_samples > CROWDED_SAMPLES or any(
            self.shelf.is_crowded(found.terms.key)
            for found in self.shelf.all()
            if self._is_open(found)
        )

    def is_drained(self, unpaid: Collection[str]) -> bool:
        """Whether nothing waits that may be sent; `unpaid` are campaigns that may send nothing now."""
        return not (self._pending or self._being_written) and not any(
            found.spool.state.waiting
            and found.terms.key.campaign not in unpaid
            and self._is_open(found)
            for found in self.shelf.all()
        )

    async def until_moved(self) -> None:
        """Wait until something was written or settled, a second at most."""
        self._has_moved.clear()
        try:
            async with asyncio.timeout(MOVED_MAX_S):
                await self._has_moved.wait()
        except TimeoutError:
            pass

    # work

    async def run(self) -> None:
        """Write what is put, until cancelled."""
        while True:
            await self._has_pending.wait()
            began_ns = self._clock.monotonic_ns()
            lanes = await self.flush()
            pause_s = lanes / SYNCS_PER_S_MAX - (self._clock.monotonic_ns() - began_ns) / NS_PER_S
            await asyncio.sleep(DISK_RETRY_S if self.shelf.is_failing else max(pause_s, 0.0))

    async def flush(self) -> int:
        """Write what waits; return to how many lanes on the disk.  What it does not take waits on."""
        # Whoever is cancelled here must not leave pieces that are written and wait as well.
        return await asyncio.shield(asyncio.ensure_future(self._flush_whole()))

    async def _flush_whole(self) -> int:
        async with self._flushing:
            pending, self._being_written = self._pending, self._pending
            self._pending, self._pending_samples = {}, 0
            self._has_pending.clear()
            if pending:
                known = self._terms.keys()
                await self._in_thread(lambda: self.shelf.write(pending, known))
            for key, left in pending.items():
                if left.pieces:
                    later = self._pending.setdefault(key, Pending(left.terms))
                    later.pieces[:0] = left.pieces
                    self._pending_samples += sum(len(packed.block) for packed in left.pieces)
                    self._has_pending.set()
            self._being_written = {}
        self._move()
        return sum(each.terms.is_durable for each in pending.values())

    async def tidy(self) -> None:
        """Give up what is too old, and remove what is gone and drained."""
        busy = self._pending.keys() | self._being_written.keys()
        for key in await self._in_thread(lambda: self.shelf.tidy(busy)):
            self._requests.pop(key, None)
        self._has_moved.set()

    async def close(self) -> None:
        """Finish what was asked for and let go of the files."""
        await self._in_thread(self.shelf.close)
        self._thread.shutdown()

    def lose_waiting(self) -> int:
        """Count what could not be written before the end, and forget it."""
        lost = self._pending_samples
        self.lost_samples += lost
        self._pending, self._pending_samples = {}, 0
        return lost

    def _is_open(self, found: Opened) -> bool:
        return is_open(found.terms, self._open_now, self._requests.get(found.terms.key))

    def _move(self) -> None:
        self._has_moved.set()
        self.written()

    async def _end_request(self, opened: Opened) -> None:
        """Forget a request when nothing that it asked for waits any more."""
        key = opened.terms.key
        first = await self._in_thread(lambda: opened.spool.read(0, max_batches=1, max_bytes=1))
        request = self._requests.get(key)
        if request is not None and not (first and asked_for(first, request)[0]):
            self._requests.pop(key, None)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
