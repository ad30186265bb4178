"""The kernel takes nothing on trust: damaged tables and foreign buffers are refused, never followed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.canbus.frames import Frame, FrameBlock, block_of
from edge_agent.canbus.model import Database
from edge_agent.canbus.plan import BusDatabases, compile_plan, short_names
from tests.edge_agent.canbus import layouts
from tests.edge_agent.canbus.test_decoder_multiplexed import MULTIPLEXED

kernel = pytest.importorskip("edge_agent.canbus._kernel")

COLUMNS = ("ops", "runs", "switches", "arms", "keys")


def parts(database: Database):
    plan = compile_plan([BusDatabases("can0", (database,))])
    return [getattr(plan.table, name).tobytes() for name in COLUMNS], short_names(plan)


@settings(max_examples=300)
@given(
    layouts.databases(),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0), st.integers(1, 255)), max_size=4),
    st.lists(layouts.frames(), max_size=20),
)
def test_a_damaged_table_is_refused_or_harmless(database, damages, frames):
    columns, names = parts(database)
    damaged = [bytearray(column) for column in columns]
    for column, at, bits in damages:
        if damaged[column]:
            damaged[column][at % len(damaged[column])] ^= bits
    try:
        table = kernel.Table(*damaged, names)
    except ValueError:
        return

    table.decode(block_of(frames))
    for frame in frames:
        table.decode_frame(frame.can_id, frame.data)


@settings(max_examples=100)
@given(st.tuples(*[st.binary(max_size=100)] * 5))
def test_random_bytes_are_no_table(columns):
    with pytest.raises(ValueError, match="the decode table is damaged"):
        kernel.Table(*columns[:4], columns[4] + b"\1" * 15, ("a", "b"))


@pytest.mark.parametrize("names", [(), ("only one",), [], (1, 2, 3, 4, 5, 6)])
def test_names_must_be_those_of_the_signals(names):
    columns, _ = parts(Database("db", (MULTIPLEXED,)))

    with pytest.raises((ValueError, TypeError)):
        kernel.Table(*columns, names)


@pytest.fixture
def table():
    columns, names = parts(Database("db", (MULTIPLEXED,)))
    return kernel.Table(*columns, names)


def test_decode_takes_a_block_and_nothing_else(table):
    block = block_of([Frame(0x123, bytes(8))])

    for arguments in ((), (block, True), (None,), (block, block)):
        with pytest.raises((TypeError, AttributeError)):
            table.decode(*arguments)
    with pytest.raises(TypeError):
        table.decode(block, changed=True)
    strided = np.zeros(4, np.uint8)[::2]
    odd = FrameBlock(strided, block.can_id, block.time_ns, block.flags, block.offset, strided)
    with pytest.raises((TypeError, ValueError, BufferError)):
        table.decode(odd)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((0x123,), {}),
        ((0x123, b"", 0, 0), {}),
        ((0x123, b""), {"data": b""}),
        ((0x123, b""), {"lane": 1}),
        (("0x123", b""), {}),
        ((0x123, "text"), {}),
        ((0x123, None), {}),
    ],
)
def test_decode_frame_takes_an_id_and_bytes(table, args, kwargs):
    with pytest.raises(TypeError):
        table.decode_frame(*args, **kwargs)


def test_decode_frame_takes_any_bytes(table):
    whole = table.decode_frame(0x123, bytes(8))

    assert whole == {"Always": 0.0, "Page": 0.0}
    assert table.decode_frame(can_id=0x123, data=bytearray(8), bus=0) == whole
    assert table.decode_frame(0x123, memoryview(bytes(16))[::1]) == whole


def test_columns_live_longer_than_their_table():
    columns, names = parts(Database("db", (MULTIPLEXED,)))
    table = kernel.Table(*columns, names)

    decoded = table.decode(block_of([Frame(0x123, bytes([1] * 8))] * 50))
    del table

    assert decoded.value.tolist() == [1.0, 1.0, 1.0, 1.0] * 50
    decoded.value[0] = 5.0  # the memory is the caller's


def columns_of_sift(samples: int, signals: int):
    return [
        np.zeros(samples, np.int32),
        np.zeros(samples, np.int64),
        np.zeros(samples, np.float64),
        np.zeros(signals, np.int64),
        np.zeros(signals, np.uint8),
        np.zeros(signals, np.int64),
        np.zeros(signals, np.float64),
        np.zeros(samples, np.uint8),
    ]


@pytest.mark.parametrize("column", range(8))
def test_a_sieve_with_columns_of_different_lengths_is_refused(column: int):
    columns = columns_of_sift(5, 3)
    columns[column] = columns[column][:-1]

    with pytest.raises(ValueError, match="length"):
        kernel.sift(*columns)


@pytest.mark.parametrize("signal", [3, -1, 2**31 - 1])
def test_a_sample_of_no_signal_is_refused(signal: int):
    columns = columns_of_sift(5, 3)
    columns[0][4] = signal

    with pytest.raises(ValueError, match="sample 4 is of no signal"):
        kernel.sift(*columns)


def test_a_sieve_writes_only_what_may_be_written():
    columns = columns_of_sift(5, 3)
    columns[7].flags.writeable = False

    with pytest.raises(ValueError, match="read-only"):
        kernel.sift(*columns)
