"""What all lanes promise: an order of ranks, batches in order, and what is settled is gone."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from edge_agent.adapters.lanes import OneLane
from edge_agent.adapters.memory import MemorySpool
from edge_agent.adapters.partition_folders import PartitionFolders
from edge_agent.adapters.partition_shelf import PartitionShelf, Seal
from edge_agent.adapters.partitions import Partitions
from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.telemetry.lanes import Lanes
from edge_agent.telemetry.partitions import Key, Terms
from edge_agent.telemetry.spool import Cursor, SpooledBatch
from fairway.clock import SystemClock
from fairway.packing import Packed
from fairway.samples import SampleBlock, Signal, SignalTable
from fairway.telemetry import CampaignEvent, CampaignPart

TABLE = SignalTable((Signal("Vehicle.Speed"),))
ALL = {"max_batches": 100, "max_bytes": 1 << 30}


def batch(sequence: int) -> SpooledBatch:
    return SpooledBatch(sequence, b"12345678", 1, sequence, Cursor(), bytes(100))


def packed(key: Key, value: float) -> Packed:
    block = SampleBlock(TABLE, np.zeros(1, np.int32), np.ones(1, np.int64), np.array([value]))
    return Packed(block, CampaignPart(key.campaign, key.partition, (CampaignEvent(1, 1, 1),)))


@pytest.fixture(params=["one", "memory", "files"])
async def lanes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Lanes]:
    worker = SpoolWorker(MemorySpool())
    await worker.append([batch(1), batch(2), batch(3)])
    one = OneLane(worker, rank=5)
    if request.param == "one":
        yield one
    else:
        shelf = PartitionShelf(
            PartitionFolders(tmp_path, max_bytes=1 << 20),
            Seal("CAR", 100_000, {TABLE: b"12345678"}),
            SystemClock(),
            max_bytes=1 << 20,
        )
        many = Partitions(shelf, one, SystemClock())
        is_durable = request.param == "files"
        terms = {
            key: Terms(key, rank, is_durable)
            for rank, key in ((9, Key("low")), (1, Key("high")), (1, Key("high", "bulk")))
        }
        many.set_terms(terms)
        for key, each in terms.items():
            for value in (1.0, 2.0, 3.0):
                many.put(each, packed(key, value))
        await many.flush()
        yield many
        await many.close()
    await worker.close()


async def test_the_lowest_rank_comes_first_and_every_stream_once(lanes: Lanes):
    found = lanes.lanes()

    assert [lane.rank for lane in found] == sorted(lane.rank for lane in found)
    assert len({lane.stream for lane in found}) == len(found)


async def test_batches_of_a_lane_are_read_in_order_and_numbered_from_one(lanes: Lanes):
    for lane in lanes.lanes():
        batches = await lanes.read(lane.stream, 0, **ALL)
        assert [one.sequence for one in batches] == [1, 2, 3]
        assert lane.next_sequence == 4
        assert [one.sequence for one in await lanes.read(lane.stream, 2, **ALL)] == [3]


async def test_what_is_settled_is_gone_from_its_lane_and_from_no_other(lanes: Lanes):
    first = lanes.lanes()[0]

    await lanes.settle(first.stream, [1, 3])

    assert [one.sequence for one in await lanes.read(first.stream, 0, **ALL)] == [2]
    for other in lanes.lanes()[1:]:
        assert len(await lanes.read(other.stream, 0, **ALL)) == 3


async def test_a_stream_of_no_lane_has_nothing_and_settles_nothing(lanes: Lanes):
    assert await lanes.read("f" * 16, 0, **ALL) == []
    await lanes.settle("f" * 16, [1])

    assert all([len(await lanes.read(lane.stream, 0, **ALL)) == 3 for lane in lanes.lanes()])
