"""Partitions as lanes: what is handed out, and when no more."""

import asyncio
from pathlib import Path

import numpy as np

from edge_agent.adapters.lanes import OneLane
from edge_agent.adapters.memory import MemorySpool
from edge_agent.adapters.partition_folders import PartitionFolders
from edge_agent.adapters.partition_shelf import PartitionShelf, Seal
from edge_agent.adapters.partitions import Partitions
from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.telemetry.partitions import Key, Terms
from fairway.clock import SystemClock
from fairway.packing import Packed
from fairway.samples import SampleBlock, Signal, SignalTable
from fairway.telemetry import CampaignEvent, CampaignPart

TABLE = SignalTable((Signal("Vehicle.Speed"),))
KEY = Key("braking", "critical")
GATED = Terms(KEY, 1, is_durable=True, is_gated=True, upload="$variable.`Vehicle.Speed` > 1")


def packed(value: float) -> Packed:
    block = SampleBlock(TABLE, np.zeros(1, np.int32), np.ones(1, np.int64), np.array([value]))
    return Packed(block, CampaignPart(KEY.campaign, KEY.partition, (CampaignEvent(1, 1, 1),)))


async def test_a_partition_that_closes_while_it_is_read_hands_out_nothing(tmp_path: Path):
    worker, clock = SpoolWorker(MemorySpool()), SystemClock()
    shelf = PartitionShelf(
        PartitionFolders(tmp_path, max_bytes=1 << 20),
        Seal("CAR", 100_000, {TABLE: b"12345678"}),
        clock,
        max_bytes=1 << 20,
    )
    partitions = Partitions(shelf, OneLane(worker), clock)
    partitions.set_terms({KEY: GATED})
    partitions.set_open(frozenset({KEY}))
    partitions.put(GATED, packed(1.0))
    await partitions.flush()
    (lane,) = [one for one in partitions.lanes() if one.stream in shelf.by_stream]
    assert lane.is_open

    reading = asyncio.create_task(
        partitions.read(lane.stream, 0, max_batches=10, max_bytes=1 << 20)
    )
    await asyncio.sleep(0)  # it waits for the disk now
    partitions.set_open(frozenset())
    assert await reading == []

    partitions.set_open(frozenset({KEY}))
    assert len(await partitions.read(lane.stream, 0, max_batches=10, max_bytes=1 << 20)) == 1
    await partitions.close()
    await worker.close()
