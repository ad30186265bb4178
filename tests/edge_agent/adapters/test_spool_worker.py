import asyncio
import threading
from collections.abc import Collection

from edge_agent.adapters.memory import MemorySpool
from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.telemetry.spool import Cursor, SpooledBatch

BATCHES = [SpooledBatch(number, bytes(8), 1, 0, Cursor(), b"request") for number in (1, 2)]


class SlowSpool(MemorySpool):
    """A spool whose disk is busy until it is told otherwise."""

    def __init__(self) -> None:
        super().__init__(stream="0000000000000001")
        self.is_free = threading.Event()

    def settle(self, sequences: Collection[int]) -> None:
        self.is_free.wait(10)
        super().settle(sequences)


async def test_receipts_that_came_just_before_the_connection_was_lost_are_settled():
    spool = SlowSpool()
    worker = SpoolWorker(spool)
    await worker.append(BATCHES)
    at_work = asyncio.create_task(worker.settle([1]))
    queued = asyncio.create_task(worker.settle([2]))
    await asyncio.sleep(0)

    at_work.cancel()
    queued.cancel()
    await asyncio.gather(at_work, queued, return_exceptions=True)
    waiting = asyncio.create_task(worker.until_settled())
    await asyncio.sleep(0)
    spool.is_free.set()

    async with asyncio.timeout(10):
        await waiting
        await worker.close()
    assert spool.state.waiting == 0
