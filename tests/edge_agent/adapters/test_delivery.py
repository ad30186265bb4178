"""The loop between spool and uplink, where the way to the cloud takes less than the agent would send."""

import asyncio
import logging

import numpy as np
import pytest

from edge_agent.adapters.delivery import Delivery
from edge_agent.adapters.memory import MemorySpool, MemoryUplink
from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.telemetry.batching import Sealing
from fairway.clock import SystemClock
from fairway.errors import BadInput
from fairway.samples import SampleBlock, Signal, SignalTable
from fairway.telemetry import Outcome, Receipt, SealedBatch
from fairway.wire import telemetry as wire

STREAM = "0000000000000001"
TABLE = SignalTable((Signal("Vehicle.Speed", scale=0.01),))
DICTIONARY = wire.dictionary_of(TABLE)


class NarrowUplink(MemoryUplink):
    """An uplink that takes no dictionary."""

    async def send(self, request: bytes) -> None:
        if request == wire.dictionary_to_bytes(DICTIONARY):
            raise BadInput("a message of 300000 bytes is more than the broker takes")
        await super().send(request)


async def test_a_dictionary_that_cannot_be_sent_is_told_and_the_spool_keeps_the_batches(
    caplog: pytest.LogCaptureFixture,
):
    spool = SpoolWorker(MemorySpool(stream=STREAM))
    spool.spool.keep_dictionary(DICTIONARY.id, wire.dictionary_to_bytes(DICTIONARY))
    block = SampleBlock(TABLE, np.zeros(9, np.int32), np.arange(9, dtype=np.int64), np.arange(9.0))
    sealing = Sealing("CAR", STREAM, DICTIONARY.id, 10_000)
    await spool.append(sealing.sealed(block, sequence=1, samples_before=0, now_ns=0))
    asked = asyncio.Event()

    def cloud(request: bytes) -> list[bytes]:
        asked.set()
        sealed = wire.request_from_bytes(request, vehicle="CAR")
        assert isinstance(sealed, SealedBatch)
        return [wire.receipts_to_bytes([Receipt(STREAM, 1, Outcome.UNKNOWN_DICTIONARY)])]

    delivery = Delivery(spool, NarrowUplink(cloud), SystemClock(), where="memory")
    with caplog.at_level(logging.ERROR):
        running = asyncio.create_task(delivery.run())
        async with asyncio.timeout(10):
            await asyncio.wait(
                [running, asyncio.ensure_future(asked.wait())], return_when="FIRST_COMPLETED"
            )

    assert not running.done()
    assert "dictionary_unsendable" in {record.getMessage() for record in caplog.records}
    assert spool.spool.state.waiting == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await spool.close()


async def test_a_renewed_certificate_means_a_new_connection_and_no_batch_is_lost():
    spool = SpoolWorker(MemorySpool(stream=STREAM))
    spool.spool.keep_dictionary(DICTIONARY.id, wire.dictionary_to_bytes(DICTIONARY))
    block = SampleBlock(TABLE, np.zeros(9, np.int32), np.arange(9, dtype=np.int64), np.arange(9.0))
    sealing = Sealing("CAR", STREAM, DICTIONARY.id, 10_000)
    for sequence in (1, 2):
        await spool.append(sealing.sealed(block, sequence=sequence, samples_before=0, now_ns=0))
    heard = asyncio.Event()

    def cloud(request: bytes) -> list[bytes]:
        heard.set()
        content = wire.request_from_bytes(request, vehicle="CAR")
        if delivery.connections < 2 or not isinstance(content, SealedBatch):
            return []  # the first connection hears no receipt
        receipt = Receipt(STREAM, content.name.sequence, Outcome.STORED)
        return [wire.receipts_to_bytes([receipt])]

    delivery = Delivery(spool, MemoryUplink(cloud), SystemClock(), where="memory")
    running = asyncio.create_task(delivery.run())
    async with asyncio.timeout(10):
        await heard.wait()
        delivery.reconnect()
        while spool.spool.state.waiting:
            await spool.until_settled()

    assert delivery.connections == 2
    assert delivery.sending.counts.stored == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await spool.close()
