"""Samples become batches: nothing is lost, doubled or moved on the way."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.telemetry.batching import Batching, Sealing, rest
from edge_agent.telemetry.spool import SpooledBatch
from fairway.samples import Kind, SampleBlock, Signal, SignalTable, joined
from fairway.telemetry import SealedBatch
from fairway.wire import telemetry as wire

TABLE = SignalTable((Signal("Vehicle.Speed", scale=0.1), Signal("Vehicle.Gear", Kind.TEXT)))


def block(start: int, count: int, texts: tuple[str, ...] = ("P", "R")) -> SampleBlock:
    numbers = np.arange(start, start + count)
    value = np.where(numbers % 2, numbers // 2 % len(texts), numbers).astype(np.float64)
    return SampleBlock(
        TABLE, (numbers % 2).astype(np.int32), numbers.astype(np.int64), value, texts
    )


@given(st.lists(st.integers(0, 25), max_size=12), st.integers(1, 10))
def test_batches_are_full_and_hold_everything_in_order(sizes: list[int], most: int):
    batching = Batching(max_samples=most, max_age_ns=100)
    closed: list[SampleBlock] = []
    blocks: list[SampleBlock] = []
    for number, size in enumerate(sizes):
        blocks.append(block(sum(sizes[:number]), size, ("P", "R", f"text {size}")))
        closed += batching.add(blocks[-1], now_ns=0)
    last = batching.closed()

    assert [len(batch) for batch in closed] == [most] * (sum(sizes) // most)
    assert (0 if last is None else len(last)) == sum(sizes) % most
    whole = [row for batch in [*closed, *([last] if last else [])] for row in batch.rows()]
    assert whole == [row for part in blocks for row in part.rows()]


def test_a_batch_is_due_by_the_age_of_its_first_sample():
    batching = Batching(max_samples=10, max_age_ns=1000)
    assert batching.due_ns() is None

    batching.add(block(0, 4), now_ns=50)
    batching.add(block(4, 4), now_ns=900)
    assert batching.due_ns() == 1050

    batching.add(block(8, 4), now_ns=1000)
    assert batching.due_ns() == 2000
    assert len(batching.closed() or []) == 2
    assert batching.due_ns() is None


def samples(batch: SpooledBatch) -> SampleBlock:
    sealed = wire.request_from_bytes(batch.request, vehicle="CAR")
    assert isinstance(sealed, SealedBatch)
    assert (sealed.name.sequence, sealed.samples) == (batch.sequence, batch.samples)
    return wire.opened(sealed, TABLE)


def test_a_block_that_is_too_large_is_cut_until_it_fits():
    random = np.random.default_rng(1)
    large = SampleBlock(TABLE, np.zeros(1000, np.int32), np.arange(1000), random.random(1000))
    sealing = Sealing("CAR", "0" * 16, bytes(8), max_bytes=2000, replay=b"logabcde")

    batches = sealing.sealed(large, sequence=7, samples_before=500, now_ns=3)

    assert all(len(batch.request) <= 2000 for batch in batches)
    assert [batch.sequence for batch in batches] == list(range(7, 7 + len(batches)))
    assert batches[-1].cursor.samples == 1500
    assert batches[0].cursor.samples == 500 + batches[0].samples
    assert {batch.cursor.replay for batch in batches} == {b"logabcde"}
    whole = joined([samples(batch) for batch in batches])
    assert np.array_equal(whole.value, large.value)


def test_the_rest_of_a_block_begins_where_it_was_cut():
    assert list(rest(block(0, 5), 3).time_ns) == [3, 4]
