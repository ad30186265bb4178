"""Many batches read together are what each of them read alone is, whatever stands between them."""

from collections.abc import Sequence

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.ids import BatchName
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fairway.telemetry import SealedBatch
from fairway.v1 import telemetry_pb2 as v1
from fairway.wire import stacks
from fairway.wire import telemetry as wire
from fairway.wire.columns import seal
from fairway.wire.compression import compressed
from tests.fairway.wire.test_telemetry import COLUMNS, INT64, blocks, same

STREAM = "00ab34cd56ef7890"
TEXTS = ("PARK", "", "重启")


def as_sealed(data: bytes, samples: int) -> SealedBatch:
    return SealedBatch(BatchName("CAR-1", STREAM, 1), bytes(8), samples, 0, data)


def alone(sealed: SealedBatch, table: SignalTable) -> SampleBlock | BadInput:
    try:
        return wire.opened(sealed, table)
    except BadInput as error:
        return error


def agree(together: SampleBlock | BadInput, one: SampleBlock | BadInput) -> bool:
    if isinstance(together, BadInput) or isinstance(one, BadInput):
        return type(together) is type(one) and str(together) == str(one)
    return together.table is one.table and same(together, one)


def all_agree(batches: Sequence[tuple[SealedBatch, SignalTable]]) -> bool:
    answers = wire.opened_each(batches)
    return len(answers) == len(batches) and all(
        agree(answer, alone(*batch)) for answer, batch in zip(answers, batches, strict=True)
    )


@st.composite
def blocks_of(draw: st.DrawFn, table: SignalTable) -> SampleBlock:
    """Return a block over `table`; its times go on, jump, or go back."""
    signal = draw(st.lists(st.integers(0, len(table) - 1), max_size=30))
    steps = st.sampled_from([0, 0, 1_000, 20_000_000, -5, 3_000_000_000])
    time_ns, value = [draw(INT64)], []
    for number in signal:
        time_ns.append((time_ns[-1] + draw(steps) + 2**63) % 2**64 - 2**63)
        if table[number].kind is Kind.NUMBER:
            value.append(draw(st.one_of(st.floats(), st.integers(-70_000, 70_000).map(float))))
        else:
            value.append(float(draw(st.integers(0, 2 if table[number].kind is Kind.TEXT else 1))))
    return SampleBlock(
        table,
        np.array(signal, np.int32),
        np.array(time_ns[1:], np.int64),
        np.array(value, np.float64),
        TEXTS,
    )


def flipped(sealed: SealedBatch, at: int) -> SealedBatch:
    """Return `sealed` with one bit of its columns turned over."""
    whole = bytearray(zstandard.decompress(sealed.columns))
    if whole:
        at %= len(whole) * 8
        whole[at // 8] ^= 1 << at % 8
    return as_sealed(compressed(bytes(whole)), sealed.samples)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_batches_read_together_are_those_read_alone_with_garbage_between(data: st.DataObject):
    tables = [block.table for block in data.draw(st.lists(blocks(), min_size=1, max_size=2))]
    batches = []
    for _ in range(data.draw(st.integers(0, 12))):
        table = data.draw(st.sampled_from(tables))
        block = data.draw(blocks_of(table))
        sealed = as_sealed(seal(block), len(block))
        match data.draw(st.integers(0, 7)):
            case 0:
                sealed = flipped(sealed, data.draw(st.integers(0, 10_000)))
            case 1:
                sealed = as_sealed(sealed.columns, data.draw(st.integers(0, 40)))
            case 2:
                sealed = as_sealed(data.draw(st.binary(max_size=20)), len(block))
        batches.append((sealed, table))

    assert all_agree(batches)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(COLUMNS, st.integers(0, 6)), max_size=6))
def test_columns_that_contradict_themselves_spoil_no_neighbour(
    drawn: list[tuple[dict[str, object], int]],
):
    table = SignalTable(
        (Signal("x.a", scale=0.5), Signal("x.b", Kind.TEXT), Signal("y.c"), Signal("y.d"))
    )
    good = SampleBlock(
        table, np.arange(4, dtype=np.int32), np.arange(4), np.array([1.5, 0, 3, -0.0]), ("P",)
    )
    batches = [(as_sealed(seal(good), 4), table)]
    for columns, samples in drawn:
        content = v1.TelemetryColumns(**columns).SerializeToString()  # type: ignore[arg-type]
        batches += [(as_sealed(compressed(content), samples), table), batches[0]]

    assert all_agree(batches)


def test_what_one_batch_has_too_much_does_not_make_up_for_what_another_lacks():
    table = SignalTable((Signal("a"), Signal("b")))
    block = SampleBlock(table, np.array([0, 1], np.int32), np.zeros(2, np.int64), np.ones(2))
    data = seal(block)
    batches = [(as_sealed(data, samples), table) for samples in (2, 1, 3, 2)]

    answers = wire.opened_each(batches)

    assert [isinstance(answer, BadInput) for answer in answers] == [False, True, True, False]
    assert str(answers[1]) == "a batch that declares 1 samples has 2"


def test_more_batches_than_one_stack_holds_are_all_read():
    random = np.random.default_rng(7)
    table = SignalTable(tuple(Signal(f"can0.M{n // 9}.S{n}", scale=0.5) for n in range(3_000)))
    some = []
    for samples in (1, 900, 7_000, 30_000, 20_000, 3, *[400] * 90):
        signal = random.integers(0, 3_000, samples).astype(np.int32)
        time_ns = np.sort(random.integers(0, 10**9, samples))
        some.append(
            SampleBlock(
                table, signal, time_ns, random.integers(-300, 300, samples) * np.float64(0.5)
            )
        )

    answers = wire.opened_each([(as_sealed(seal(block), len(block)), table) for block in some])

    assert all(
        isinstance(answer, SampleBlock) and same(answer, block)
        for answer, block in zip(answers, some, strict=True)
    )


@pytest.mark.parametrize("batches", [31, 32, 33, 64, 255, 256, 257, 2_000, 8_193])
def test_many_small_batches_with_values_of_every_width_are_read(batches: int):
    table = SignalTable(tuple(Signal(f"a.S{n}", scale=1.0) for n in range(5)))
    steps = np.array([1.0, 300.0, 70_000.0, 2.0**40, 0.5])  # 1, 2, 4 and 8 bytes, and FLOAT
    signal = np.tile(np.arange(5, dtype=np.int32), 2)
    some = [
        SampleBlock(table, signal, np.arange(10) + n, np.append(steps * (n % 7), steps - n % 5))
        for n in range(35)
    ]
    sealed = [(seal(block), 10) for block in some]

    # Each stack at once: cutting it up must not be needed.
    answers = [
        answer
        for stack in stacks._stacks([sealed[n % 35] for n in range(batches)], table, [])
        for answer in stacks._together(stack, table)
    ]

    assert len(answers) == batches
    assert all(
        isinstance(answer, SampleBlock) and same(answer, some[n % 35])
        for n, answer in enumerate(answers)
    )


def test_a_block_that_is_kept_keeps_no_neighbours_in_memory():
    table = SignalTable((Signal("a"),))
    block = SampleBlock(table, np.zeros(9, np.int32), np.arange(9), np.ones(9))

    for answer in wire.opened_each([(as_sealed(seal(block), 9), table)] * 4):
        assert isinstance(answer, SampleBlock)
        assert answer.signal.base is answer.time_ns.base is answer.value.base is None
