"""From frames into the spool while disks fill up: a live bus is never held up."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from itertools import pairwise

import pytest

from edge_agent.adapters import sampling
from edge_agent.adapters.memory import MemorySpool
from edge_agent.adapters.sampling import Limits, Pipeline, Sampling
from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.canbus import database
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.frames import Frame, FrameBlock, block_of
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.plan import BusDatabases, compile_plan
from edge_agent.canbus.source import LIVE_BLOCK_MAX_FRAMES
from edge_agent.telemetry.batching import Sealing
from edge_agent.telemetry.collection import Collection
from edge_agent.telemetry.spool import SpooledBatch
from fairway.catalog.load import catalog_of
from fairway.clock import NS_PER_MS, SystemClock
from fairway.errors import Unavailable
from fairway.samples import SampleBlock, joined
from fairway.telemetry import SealedBatch
from fairway.wire import telemetry as wire
from tests.edge_agent.agents import DBC, collected, drive

STREAM = "0000000000000001"


class FullSpool(MemorySpool):
    """A spool whose disk can be full."""

    is_full = False
    most_refused = 0  # batches in one go

    def append(self, batches: Sequence[SpooledBatch]) -> bool:
        if self.is_full:
            self.most_refused = max(self.most_refused, len(batches))
            raise Unavailable("no space left on device")
        return super().append(batches)


class Bus:
    """A bus that plays its frames in blocks of 50, and remembers when it was looked at."""

    dropped = 0

    def __init__(self, frames: list[Frame], *, size: int = 50) -> None:
        self._blocks = [frames[at : at + size] for at in range(0, len(frames), size)]
        self.calls = 0
        self.looked_s: list[float] = []

    async def receive(self) -> FrameBlock | None:
        await asyncio.sleep(0)
        self.calls += 1
        self.looked_s.append(asyncio.get_running_loop().time())
        return block_of(self._blocks.pop(0)) if self._blocks else None

    def close(self) -> None:
        """Nothing to let go of."""


class Rig:
    """Sampling into a spool in memory."""

    def __init__(
        self,
        *,
        fsync_interval_ms: int = 0,
        hold_up_bytes: int | None = None,
        skip: int = 0,
        look_interval_ms: int = 0,
    ) -> None:
        plan = compile_plan(
            [BusDatabases("can0", (database.loads(DBC.encode(), name="car", suffix=".dbc"),))]
        )
        mapping = compile_mapping(plan, catalog_of([]), unmapped=True)
        self.table = mapping.table
        self.spool = FullSpool(stream=STREAM)
        self.worker = SpoolWorker(self.spool)
        self.pipeline = Pipeline(
            make_decoder(plan), mapping, Collection(mapping.table, 0, on_change=False)
        )
        self.sampling = Sampling(
            self.pipeline,
            self.worker,
            Sealing("CAR", STREAM, wire.dictionary_of(mapping.table).id, 131_072),
            Limits(
                100,
                20 * NS_PER_MS,
                fsync_interval_ms * NS_PER_MS,
                hold_up_bytes,
                look_interval_ms * NS_PER_MS,
            ),
            SystemClock(),
            skip_samples=skip,
        )

    def spooled(self) -> SampleBlock:
        blocks = []
        for batch in self.spool.read(0, max_batches=10**6, max_bytes=10**9):
            sealed = wire.request_from_bytes(batch.request, vehicle="CAR")
            assert isinstance(sealed, SealedBatch)
            blocks.append(wire.opened(sealed, self.table))
        return joined(blocks)


def rows(block: SampleBlock) -> list[tuple[str, int, float | bool | str]]:
    return list(block.rows())


async def test_everything_collected_is_spooled_in_order():
    rig, frames = Rig(), drive(1000)

    await rig.sampling.run(Bus(frames))
    await rig.sampling.finish()

    assert rows(rig.spooled()) == rows(collected(frames))
    await rig.worker.close()


async def test_a_bus_is_looked_at_in_intervals_so_that_frames_gather():
    rig, bus = Rig(look_interval_ms=20), Bus(drive(200))

    await rig.sampling.run(bus)

    assert bus.calls == 5
    # The event loop counts in milliseconds.
    assert min(after - before for before, after in pairwise(bus.looked_s)) >= 0.019
    await rig.sampling.finish()
    await rig.worker.close()


async def test_a_bus_is_looked_at_when_something_is_due_however_long_frames_might_gather():
    rig, bus = Rig(look_interval_ms=3_600_000), Bus(drive(200))
    rig.pipeline.due_ns = lambda: SystemClock().monotonic_ns() + 10 * NS_PER_MS

    async with asyncio.timeout(30):
        await rig.sampling.run(bus)

    assert bus.calls == 5
    assert min(after - before for before, after in pairwise(bus.looked_s)) >= 0.009
    await rig.sampling.finish()
    await rig.worker.close()


async def test_however_much_is_due_frames_gather_for_a_while():
    rig, bus = Rig(look_interval_ms=3_600_000), Bus(drive(200))
    rig.pipeline.due_ns = SystemClock().monotonic_ns

    async with asyncio.timeout(30):
        await rig.sampling.run(bus)

    assert min(after - before for before, after in pairwise(bus.looked_s)) >= 0.002
    await rig.sampling.finish()
    await rig.worker.close()


async def test_a_bus_with_full_blocks_is_not_made_to_wait():
    rig, frames = Rig(look_interval_ms=3_600_000), drive(4 * LIVE_BLOCK_MAX_FRAMES)

    async with asyncio.timeout(30):
        await rig.sampling.run(Bus(frames, size=LIVE_BLOCK_MAX_FRAMES))

    await rig.sampling.finish()
    assert rows(rig.spooled()) == rows(collected(frames))
    await rig.worker.close()


async def test_a_batch_is_closed_by_its_age_although_no_frame_comes():
    rig, frames = Rig(), drive(10)

    await rig.sampling.take(block_of(frames))
    timer = asyncio.create_task(rig.sampling.run(SilentBus()))
    async with asyncio.timeout(10):
        while rig.spool.state.waiting == 0:
            await asyncio.sleep(0.005)
    timer.cancel()
    await asyncio.gather(timer, return_exceptions=True)

    assert rows(rig.spooled()) == rows(collected(frames))
    await rig.worker.close()


class SilentBus(Bus):
    """A bus on which nobody speaks."""

    def __init__(self) -> None:
        super().__init__([])

    async def receive(self) -> FrameBlock | None:
        await asyncio.Event().wait()
        return None


async def test_a_full_disk_holds_up_no_live_bus_and_is_told_once(caplog: pytest.LogCaptureFixture):
    rig, frames = Rig(), drive(2000)
    bus = Bus(frames)
    rig.spool.is_full = True

    with caplog.at_level(logging.ERROR):
        await rig.sampling.run(bus)
    assert rig.sampling.counts.is_disk_failing
    assert (rig.spool.state.waiting, bus.calls) == (0, 41)
    assert [record.getMessage() for record in caplog.records] == ["spool_unavailable"]

    rig.spool.is_full = False
    await rig.sampling.finish()
    assert rows(rig.spooled()) == rows(collected(frames))
    assert rig.sampling.counts.lost_samples == 0
    await rig.worker.close()


class SlowSpool(MemorySpool):
    """A spool whose disk takes its time."""

    def __init__(self) -> None:
        super().__init__(stream=STREAM)
        self.may_go_on = threading.Event()

    def append(self, batches: Sequence[SpooledBatch]) -> bool:
        assert self.may_go_on.wait(20)
        return super().append(batches)


async def test_a_slow_disk_holds_up_no_live_bus():
    rig, frames, spool = Rig(), drive(2000), SlowSpool()
    rig.worker.spool = rig.spool = spool  # type: ignore[assignment]
    bus = Bus(frames)

    running = asyncio.create_task(rig.sampling.run(bus))
    async with asyncio.timeout(10):
        while bus.calls < 41:
            await asyncio.sleep(0.001)
    assert spool.state.next_sequence == 1
    spool.may_go_on.set()
    await running
    await rig.sampling.finish()

    assert rows(rig.spooled()) == rows(collected(frames))
    await rig.worker.close()


async def test_a_failing_disk_is_tried_with_little_however_much_waits(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sampling, "DISK_RETRY_S", 0.001)
    rig, frames = Rig(look_interval_ms=2), drive(2000)
    rig.spool.is_full = True

    await rig.sampling.run(Bus(frames))

    assert rig.spool.most_refused == 1
    assert rig.sampling.counts.is_disk_failing
    rig.spool.is_full = False
    await rig.sampling.finish()
    assert rows(rig.spooled()) == rows(collected(frames))
    await rig.worker.close()


async def test_lost_samples_count_in_the_cursor_so_that_a_resumed_log_doubles_nothing(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sampling, "HELD_MAX_SAMPLES", 1000)
    rig, frames = Rig(), drive(2000)
    rig.spool.is_full = True
    await rig.sampling.run(Bus(frames[:1000]))
    lost = rig.sampling.counts.lost_samples
    rig.spool.is_full = False
    await rig.sampling.finish()
    await rig.sampling.run(Bus(frames[1000:]))
    await rig.sampling.finish()

    assert lost > 0
    assert rig.spool.cursor.samples == len(collected(frames)) == rig.sampling.counts.samples
    await rig.worker.close()


async def test_what_memory_does_not_take_either_is_lost_and_counted(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sampling, "HELD_MAX_SAMPLES", 1000)
    rig, frames = Rig(), drive(2000)
    rig.spool.is_full = True
    await rig.sampling.run(Bus(frames))
    rig.spool.is_full = False
    await rig.sampling.finish()

    whole = rows(collected(frames))
    assert rows(rig.spooled()) == whole[:1000]
    assert rig.sampling.counts.lost_samples == len(whole) - 1000
    await rig.worker.close()


async def test_a_log_waits_for_a_full_disk(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampling, "DISK_RETRY_S", 0.01)
    rig, frames = Rig(hold_up_bytes=1 << 30), drive(2000)
    bus = Bus(frames)
    rig.spool.is_full = True

    running = asyncio.create_task(rig.sampling.run(bus))
    await asyncio.sleep(0.1)
    assert bus.calls < 5
    rig.spool.is_full = False
    async with asyncio.timeout(10):
        await running
    await rig.sampling.finish()

    assert rows(rig.spooled()) == rows(collected(frames))
    await rig.worker.close()


async def test_a_log_waits_for_the_cloud_when_the_spool_is_half_full():
    rig, frames = Rig(hold_up_bytes=3000), drive(2000)
    bus = Bus(frames)

    running = asyncio.create_task(rig.sampling.run(bus))
    await asyncio.sleep(0.1)
    assert rig.spool.state.size_bytes < 6000
    kept = rig.spooled()
    while not running.done():
        batches = rig.spool.read(0, max_batches=10**6, max_bytes=10**9)
        await rig.worker.settle([batch.sequence for batch in batches])
        await asyncio.sleep(0.001)
    await rig.sampling.finish()

    assert rig.sampling.counts.samples == len(collected(frames)) > len(kept)
    await rig.worker.close()


async def test_batches_are_written_together_when_syncs_are_rare():
    rig, frames = Rig(fsync_interval_ms=60_000), drive(1000)

    await rig.sampling.run(Bus(frames))
    assert rig.spool.state.waiting == 0
    await rig.sampling.finish()

    assert rows(rig.spooled()) == rows(collected(frames))
    await rig.worker.close()


async def test_what_is_spooled_already_is_left_out_to_the_sample():
    rig, frames = Rig(skip=777), drive(1000)

    await rig.sampling.run(Bus(frames))
    await rig.sampling.finish()

    assert rows(rig.spooled()) == rows(collected(frames))[777:]
    assert rig.spool.cursor.samples == len(collected(frames))
    await rig.worker.close()


async def test_being_stopped_in_the_middle_of_a_write_doubles_nothing():
    rig, frames = Rig(), drive(3000)
    running = asyncio.create_task(rig.sampling.run(Bus(frames)))
    while rig.spool.state.waiting < 7:
        await asyncio.sleep(0)

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await rig.sampling.finish()

    found = rows(rig.spooled())
    assert found == rows(collected(frames))[: len(found)]
    assert rig.sampling.counts.samples == len(found)
    await rig.worker.close()
