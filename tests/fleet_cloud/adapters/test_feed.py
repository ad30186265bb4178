"""Stored batches, live."""

import asyncio
import threading

from fairway.ids import BatchName
from fleet_cloud.adapters.feed import Feed
from fleet_cloud.ingest.ports import AcceptedBatch
from tests.fleet_cloud.ingest.desk import NOW, STREAM, block


def batch(sequence: int, vehicle: str = "VIN1") -> AcceptedBatch:
    return AcceptedBatch("default", BatchName(vehicle, STREAM, sequence), block(), NOW)


def publish(feed: Feed, *batches: AcceptedBatch) -> None:
    """Publish as ingest does: from another thread."""
    thread = threading.Thread(target=feed.publish, args=(batches,))
    thread.start()
    thread.join()


async def test_a_listener_hears_what_it_wants_and_nothing_else():
    feed = Feed()
    wanted = feed.subscribe(lambda batch: batch.name.vehicle == "VIN2")

    publish(feed, batch(1), batch(2, "VIN2"))

    assert (await asyncio.wait_for(wanted.receive(), 5)).name.sequence == 2
    assert wanted.dropped == 0


async def test_a_slow_listener_loses_the_oldest_and_knows_how_many():
    feed = Feed(batches_max=2)
    slow = feed.subscribe(lambda _: True)

    publish(feed, *(batch(number) for number in range(1, 6)))
    await asyncio.sleep(0)

    heard = [(await asyncio.wait_for(slow.receive(), 5)).name.sequence for _ in range(2)]
    assert heard == [4, 5]
    assert slow.dropped == 3


async def test_a_listener_that_left_hears_nothing():
    feed = Feed()
    gone = feed.subscribe(lambda _: True)
    gone.close()

    publish(feed, batch(1))
    await asyncio.sleep(0)

    assert gone.dropped == 0
    assert not gone._waiting
