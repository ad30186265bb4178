"""From frames to durable batches: the half of the agent that never waits for the cloud.

    source > decode > map > collect > batch > seal > spool

Rule 1: a live bus is never held up by the spool, be the disk full or slow; what it has not taken waits in
        memory, up to a limit, and is counted beyond it.  A replayed log is held up: it can wait.
Rule 2: waiting is measured on the monotonic clock, samples carry the stamps of their frames: a wall clock
        that jumps moves nothing here.
Rule 3: a resumed log is decoded and collected again from its beginning, and the samples that are spooled
        already are left out: filters and counters then stand where they stood.
Rule 4: the first frame after a pause is sampled at once; after that, buses that are not full to bursting are
        looked at every LOOK_INTERVAL_NS only.  Frames wait that long in the kernel, with the stamps they
        have, and a block costs the same whether it has one frame or a hundred.  When something is due by time
        alone (a campaign triggers again), the next look comes just after it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.canbus.decoder import Decoder
from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.mapping import Mapping
from edge_agent.canbus.source import LIVE_BLOCK_MAX_FRAMES, FrameSource
from edge_agent.telemetry.batching import Batching, Sealing, rest
from edge_agent.telemetry.collection import Collection
from edge_agent.telemetry.counts import SamplingCounts
from edge_agent.telemetry.spool import SpooledBatch
from fairway import log
from fairway.clock import NS_PER_MS, NS_PER_S, Clock
from fairway.errors import Unavailable
from fairway.samples import SampleBlock, empty_block

EVENTS = log.get("edge_agent.sampling")

# What a failing disk leaves in memory at most: 24 MB, minutes of a whole car.
HELD_MAX_SAMPLES = 1_000_000
# How often a failing disk is tried again, and with how much: encoding all that waits each time would take the
# time that a bus needs.
DISK_RETRY_S = 1.0
DISK_RETRY_BATCHES = 1
# What is encoded in one go, some 10 ms of work.
FLUSH_MAX_BATCHES = 16
# Four full buses of 500 kbit/s cost 200 looks a second so, not one for each of 14,764 frames.  A twentieth of
# the usual collection interval is added to a frame's way at most; the kernel holds half a second of a full bus.
LOOK_INTERVAL_NS = 5 * NS_PER_MS
# A busy bus has said something by then that came after what is due.
LOOK_AFTER_NS = NS_PER_MS // 2
# However much is due: a look costs something.
LOOK_MIN_NS = 3 * NS_PER_MS


@dataclass(slots=True)
class Pipeline:
    """What turns frames into collected samples; stateful, and used by one task."""

    decoder: Decoder
    mapping: Mapping
    collection: Collection | None  # None: nothing is collected but by campaigns
    counts: SamplingCounts = field(default_factory=SamplingCounts)
    # Is told of everything before it is thinned, with the frames it was made of.
    mapped: Callable[[SampleBlock, FrameBlock], None] | None = None
    # When, by the monotonic clock, something of that is due by time alone; None: nothing is.
    due_ns: Callable[[], int | None] = lambda: None

    def samples(self, frames: FrameBlock) -> SampleBlock:
        """Return what is collected of `frames`."""
        counts = self.counts
        decoded = self.decoder.decode(frames)
        mapped = self.mapping.apply(decoded, frames)
        if self.mapped is not None:
            self.mapped(mapped, frames)
        collected = (
            empty_block(mapped.table)
            if self.collection is None
            else self.collection.collect(mapped)
        )
        counts.frames += len(frames)
        counts.signals += len(decoded.signal)
        counts.refused.update(decoded.refusals._asdict())
        if len(frames):
            if counts.first_time_ns is None:
                counts.first_time_ns = int(frames.time_ns[0])
            counts.last_time_ns = int(frames.time_ns[-1])
        return collected


@dataclass(frozen=True, slots=True)
class Limits:
    """How samples wait."""

    max_samples: int
    max_age_ns: int
    fsync_interval_ns: int
    hold_up_bytes: int | None  # a source that can wait does so while the spool holds more than this
    look_interval_ns: int = LOOK_INTERVAL_NS  # 0 for logs played as fast as possible


class Sampling:
    """Runs the pipeline from a source into the spool."""

    def __init__(  # noqa: PLR0913 - it joins this many things
        self,
        pipeline: Pipeline,
        spool: SpoolWorker,
        sealing: Sealing,
        limits: Limits,
        clock: Clock,
        *,
        skip_samples: int = 0,
        spooled: Callable[[], None] = lambda: None,
        until_room: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`skip_samples` are in the spool (or beyond it) already; `spooled` is told of new batches.

        A source that can wait does so until `until_room` returns, too.
        """
        self.counts = pipeline.counts
        self._pipeline, self._spool, self._sealing = pipeline, spool, sealing
        self._limits, self._clock, self._spooled = limits, clock, spooled
        self._until_room = until_room
        self._skip, self._closed = skip_samples, skip_samples
        self._batching = Batching(max_samples=limits.max_samples, max_age_ns=limits.max_age_ns)
        # Closed, and not durable yet: each with the number of samples before it, lost ones included.
        self._held: list[tuple[int, SampleBlock]] = []
        self._held_since_ns = 0
        self._writing: asyncio.Task[None] | None = None
        self._flushing, self._works = asyncio.Lock(), asyncio.Event()
        self._works.set()

    async def run(self, source: FrameSource) -> None:
        """Sample until a finite source has ended.  Raises what the source raises."""
        timer = asyncio.create_task(self._close_by_age())
        try:
            while (frames := await source.receive()) is not None:
                looked_ns = self._clock.monotonic_ns()
                await self.take(frames)
                if len(frames) < LIVE_BLOCK_MAX_FRAMES:
                    await self._rest(looked_ns)
            await self._written()
        finally:
            timer.cancel()
            await asyncio.gather(timer, return_exceptions=True)

    async def take(self, frames: FrameBlock) -> None:
        """Sample one block."""
        block = self._pipeline.samples(frames)
        if self._skip:
            already = min(self._skip, len(block))
            block, self._skip = rest(block, already), self._skip - already
        self.counts.samples += len(block)
        await self._hold(self._batching.add(block, now_ns=self._clock.monotonic_ns()))
        await self._wait_for_room()

    @property
    def is_catching_up(self) -> bool:
        """Whether everything so far was in the spool already."""
        return self._skip > 0

    async def catch_up(self, source: FrameSource) -> None:
        """Sample until the first sample that is not in the spool yet, or the end."""
        while self._skip and (frames := await source.receive()) is not None:
            await self.take(frames)

    async def finish(self) -> None:
        """Close the open batch and try once to make everything durable."""
        last = self._batching.closed()
        if last is not None:
            self._put(last)
        await self._flush()
        lost = self._held_samples()
        if lost:
            self.counts.lost_samples += lost
            self._held.clear()
            EVENTS.error(
                "samples_lost", samples=lost, reason="the disk takes nothing and the agent stops"
            )

    async def _rest(self, looked_ns: int) -> None:
        """Let frames gather until it is time for the next look."""
        if not self._limits.look_interval_ns:
            return
        now_ns, next_ns = self._clock.monotonic_ns(), looked_ns + self._limits.look_interval_ns
        due_ns = self._pipeline.due_ns()
        if due_ns is not None and now_ns < due_ns + LOOK_AFTER_NS:
            next_ns = min(next_ns, max(due_ns + LOOK_AFTER_NS, looked_ns + LOOK_MIN_NS))
        left_ns = next_ns - now_ns
        if left_ns > 0:
            await asyncio.sleep(left_ns / NS_PER_S)

    async def _hold(self, closed: list[SampleBlock]) -> None:
        for block in closed:
            self._put(block)
        if not self._held or self._limits.fsync_interval_ns or self.counts.is_disk_failing:
            return  # `_close_by_age` sees to it
        if self._limits.hold_up_bytes is not None:
            await self._flush()
        elif self._writing is None:
            self._writing = asyncio.create_task(self._flush_whole())
        elif self._writing.done():
            self._writing.result()
            self._writing = asyncio.create_task(self._flush_whole())

    def _put(self, block: SampleBlock) -> None:
        if not self._held:
            self._held_since_ns = self._clock.monotonic_ns()
        if self._held_samples() + len(block) > HELD_MAX_SAMPLES:
            self.counts.lost_samples += len(block)
        else:
            self._held.append((self._closed, block))
        self._closed += len(block)

    def _held_samples(self) -> int:
        return sum(len(block) for _, block in self._held)

    async def _close_by_age(self) -> None:
        """Close batches that are old enough, and write what has waited long enough."""
        while True:
            now_ns = self._clock.monotonic_ns()
            due_ns = self._batching.due_ns()
            if due_ns is not None and due_ns <= now_ns:
                closed = self._batching.closed()
                await self._hold([] if closed is None else [closed])
            if self._held and now_ns - self._held_since_ns >= self._limits.fsync_interval_ns:
                await self._flush()
            await asyncio.sleep(self._nap_s())

    def _nap_s(self) -> float:
        if self.counts.is_disk_failing:
            return DISK_RETRY_S
        # A disk may begin to fail meanwhile.
        wait_ns = min(self._limits.max_age_ns, round(DISK_RETRY_S * NS_PER_S))
        now_ns = self._clock.monotonic_ns()
        due_ns = self._batching.due_ns()
        if due_ns is not None:
            wait_ns = min(wait_ns, due_ns - now_ns)
        if self._limits.fsync_interval_ns:
            wait_ns = min(wait_ns, self._limits.fsync_interval_ns)
        return max(wait_ns / NS_PER_S, 0.001)

    async def _flush(self) -> None:
        """Make what is held durable; what the disk does not take stays held."""
        # Whoever is cancelled here must not leave batches that are durable and held as well.
        await asyncio.shield(asyncio.ensure_future(self._flush_whole()))

    async def _written(self) -> None:
        """Wait for what is being written."""
        if self._writing is not None:
            await asyncio.shield(self._writing)

    async def _flush_whole(self) -> None:
        async with self._flushing:
            while self._held and await self._flush_some():
                pass

    async def _flush_some(self) -> bool:
        """Make the oldest of what is held durable; False when the disk does not take it."""
        count = DISK_RETRY_BATCHES if self.counts.is_disk_failing else FLUSH_MAX_BATCHES
        blocks = self._held[:count]
        batches: list[SpooledBatch] = []
        sequence = self._spool.spool.state.next_sequence
        for samples_before, block in blocks:
            batches += self._sealing.sealed(
                block,
                sequence=sequence + len(batches),
                samples_before=samples_before,
                now_ns=self._clock.now_ns(),
            )
        try:
            is_taken = await self._spool.append(batches)
        except Unavailable as error:
            self._disk_fails(error)
            return False
        self._disk_works()
        del self._held[: len(blocks)]
        self._held_since_ns = self._clock.monotonic_ns()
        if is_taken:
            self.counts.batches += len(batches)
            self.counts.request_bytes += sum(len(batch.request) for batch in batches)
            self._spooled()
        else:
            self.counts.lost_samples += sum(len(block) for _, block in blocks)
        return True

    def _disk_fails(self, error: Unavailable) -> None:
        if not self.counts.is_disk_failing:
            EVENTS.error("spool_unavailable", reason=str(error), held_samples=self._held_samples())
        self.counts.is_disk_failing = True
        self._works.clear()

    def _disk_works(self) -> None:
        if self.counts.is_disk_failing:
            EVENTS.info("spool_works_again", lost_samples=self.counts.lost_samples)
        self.counts.is_disk_failing = False
        self._works.set()

    async def _wait_for_room(self) -> None:
        """Hold up a source that can wait, while the disk fails or the cloud is far behind."""
        most = self._limits.hold_up_bytes
        if most is None:
            return
        await self._works.wait()
        while self._spool.spool.state.size_bytes > most and self._spool.spool.state.waiting:
            await self._spool.until_settled()
        if self._until_room is not None:
            await self._until_room()
