"""Dictionaries, batches and receipts survive the wire; anything else is refused in one sentence."""

import hashlib
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.errors import BadInput, Denied
from fairway.ids import BatchName
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fairway.telemetry import Batch, Dictionary, Outcome, Receipt, SealedBatch
from fairway.v1 import telemetry_pb2 as v1
from fairway.wire import telemetry as wire

STREAM = "00ab34cd56ef7890"
INT64 = st.integers(-(2**63), 2**63 - 1)


def batch(block: SampleBlock, sequence: int = 1) -> Batch:
    dictionary = wire.dictionary_of(block.table)
    return Batch(
        BatchName("CAR-1", STREAM, sequence), dictionary.id, block, 1_700_000_000_000_000_000
    )


def sealed(block: SampleBlock) -> SealedBatch:
    request = wire.request_from_bytes(wire.batch_to_bytes(batch(block)), vehicle="CAR-1")
    assert isinstance(request, SealedBatch)
    return request


def same(one: SampleBlock, other: SampleBlock) -> bool:
    """Whether two blocks are equal bit for bit, NaN and -0.0 included."""
    return (
        np.array_equal(one.signal, other.signal)
        and np.array_equal(one.time_ns, other.time_ns)
        and one.value.tobytes() == other.value.tobytes()
        and one.texts == other.texts
    )


SIGNALS = st.builds(
    Signal,
    name=st.just(""),
    kind=st.sampled_from([Kind.NUMBER, Kind.NUMBER, Kind.BOOL, Kind.TEXT]),
    unit=st.sampled_from(["", "km/h"]),
    scale=st.sampled_from([0.0, 1.0, 0.1, 0.01, -0.5, 1 / 3, 1e-300, 1e300]),
    offset=st.sampled_from([0.0, -0.0, -40.0, 1e9, 0.1]),
    group=st.integers(0, 3),
)


@st.composite
def blocks(draw: st.DrawFn) -> SampleBlock:
    signals = draw(st.lists(SIGNALS, min_size=1, max_size=90))
    table = SignalTable(tuple(replace(s, name=f"Bus.M{n % 7}.S{n}") for n, s in enumerate(signals)))
    texts = ("PARK", "", "重启")
    rows = []
    time_ns = draw(INT64)
    for number in draw(st.lists(st.integers(0, len(table) - 1), max_size=60)):
        signal = table[number]
        step = draw(st.sampled_from([0, 0, 1, 1_000, 20_000_000, -5]))
        time_ns = draw(INT64) if draw(st.integers(0, 20)) == 0 else time_ns + step
        time_ns = (time_ns + 2**63) % 2**64 - 2**63
        if signal.kind is Kind.TEXT:
            value = float(draw(st.integers(0, 2)))
        elif signal.kind is Kind.BOOL:
            value = float(draw(st.booleans()))
        elif draw(st.booleans()):
            value = draw(st.integers(-70_000, 70_000)) * signal.scale + signal.offset
        else:
            value = draw(st.floats())
        rows.append((number, time_ns, value))
    return SampleBlock(
        table,
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        texts if any(signal.kind is Kind.TEXT for signal in table) and rows else (),
    )


@given(blocks())
def test_a_batch_survives_the_wire_bit_for_bit_and_in_order(block: SampleBlock):
    arrived = wire.opened(sealed(block), block.table)

    assert list(arrived.signal) == list(block.signal)
    assert list(arrived.time_ns) == list(block.time_ns)
    is_text = np.array(
        [block.table[at].kind is Kind.TEXT for at in block.signal.tolist()], np.bool_
    )
    assert arrived.value[~is_text].tobytes() == block.value[~is_text].tobytes()
    assert texts_of(arrived, is_text) == texts_of(block, is_text)
    assert set(arrived.texts) == set(texts_of(block, is_text))


def texts_of(block: SampleBlock, is_text: np.ndarray) -> list[str]:
    return [block.texts[int(number)] for number in block.value[is_text]]


@given(blocks())
def test_the_head_of_a_batch_is_read_without_its_columns(block: SampleBlock):
    arrived = sealed(block)

    assert arrived.name == BatchName("CAR-1", STREAM, 1)
    assert arrived.samples == len(block)
    assert arrived.created_time_ns == 1_700_000_000_000_000_000


def test_a_large_batch_of_many_signals_survives():
    random = np.random.default_rng(7)
    table = SignalTable(
        tuple(Signal(f"can0.M{n // 150}.S{n}", scale=0.25, offset=-7) for n in range(900))
    )
    block = SampleBlock(
        table,
        random.integers(0, 900, 100_000).astype(np.int32),
        np.sort(random.integers(0, 10**9, 100_000)),
        random.integers(-(2**40), 2**40, 100_000) * np.float64(0.25) - 7,
    )

    assert same(wire.opened(sealed(block), table), block)


def test_steady_traffic_costs_next_to_nothing():
    table = SignalTable((Signal("can0.EEC1.EngineSpeed", scale=0.125),))
    block = SampleBlock(
        table,
        np.zeros(10_000, np.int32),
        np.arange(10_000) * 10_000_000,
        np.full(10_000, 850.5),
    )

    assert len(wire.batch_to_bytes(batch(block))) < 200


def test_a_signal_off_its_grid_goes_as_floats_and_the_others_stay_small():
    table = SignalTable((Signal("a", scale=0.5), Signal("b", scale=0.5)))
    block = SampleBlock(
        table,
        np.array([0, 1, 0, 1], np.int32),
        np.array([0, 0, 1, 1], np.int64),
        np.array([1.5, 2.5, math.nan, 3.0]),
    )
    columns = v1.TelemetryColumns.FromString(zstandard.decompress(sealed(block).columns))

    assert (columns.classes, len(columns.values_8), len(columns.floats)) == (b"\x07\x00", 2, 16)
    assert same(wire.opened(sealed(block), table), block)


def test_a_dictionary_survives_the_wire():
    table = SignalTable(
        (
            Signal("Vehicle.Speed", unit="km/h", scale=0.01, group=4),
            Signal("Vehicle.IsMoving", Kind.BOOL),
            Signal("Vehicle.Gear", Kind.TEXT, group=9),
        )
    )
    dictionary = wire.dictionary_of(table)
    arrived = wire.request_from_bytes(wire.dictionary_to_bytes(dictionary), vehicle="CAR-1")

    assert isinstance(arrived, type(dictionary))
    assert (arrived.id, arrived.table) == (dictionary.id, table)
    assert len(dictionary.id) == 8


def test_a_dictionary_that_is_not_what_its_id_says_is_refused():
    message = v1.TelemetryRequest.FromString(
        wire.dictionary_to_bytes(wire.dictionary_of(SignalTable((Signal("a"),))))
    )
    message.dictionary.id = bytes(8)

    with pytest.raises(BadInput, match="is not what its id says"):
        wire.request_from_bytes(message.SerializeToString(), vehicle="CAR-1")


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (Signal(""), "a name has 1 to 512 characters"),
        (Signal("a" * 513), "a name has 1 to 512 characters"),
        (Signal("a", unit="x" * 65), "a unit at most 64"),
        (Signal("a", scale=math.inf), "must be finite"),
        (Signal("a", offset=math.nan), "must be finite"),
    ],
)
def test_a_table_that_cannot_travel_is_refused(signal: Signal, words: str):
    with pytest.raises(BadInput, match=words):
        wire.dictionary_of(SignalTable((signal,)))


def test_a_batch_of_another_vehicle_is_denied():
    block = SampleBlock(
        SignalTable((Signal("a"),)), np.zeros(1, np.int32), np.zeros(1, np.int64), np.zeros(1)
    )

    with pytest.raises(Denied, match="'CAR-1' came over the connection of CAR-2"):
        wire.request_from_bytes(wire.batch_to_bytes(batch(block)), vehicle="CAR-2")


def test_a_block_that_counts_texts_it_has_not_is_refused():
    table = SignalTable((Signal("Gear", Kind.TEXT),))
    block = SampleBlock(table, np.zeros(1, np.int32), np.zeros(1, np.int64), np.ones(1), ("P",))

    with pytest.raises(BadInput, match="not one of the 1 texts"):
        wire.batch_to_bytes(batch(block))


def test_a_block_of_a_signal_its_table_has_not_is_refused():
    table = SignalTable((Signal("a"),))
    block = SampleBlock(table, np.array([3], np.int32), np.zeros(1, np.int64), np.ones(1))

    with pytest.raises(BadInput, match="of signal 3"):
        wire.batch_to_bytes(batch(block))


def test_a_bomb_is_refused_before_it_is_decompressed():
    bomb = zstandard.compress(bytes(1 << 30), 1)
    message = SealedBatch(BatchName("CAR-1", STREAM, 1), bytes(8), 10, 0, bomb)

    with pytest.raises(BadInput, match="more than"):
        wire.opened(message, SignalTable((Signal("a"),)))


def test_a_bomb_that_hides_its_size_is_refused_too():
    maker = zstandard.ZstdCompressor(level=1, write_content_size=False)
    message = SealedBatch(
        BatchName("CAR-1", STREAM, 1), bytes(8), 10, 0, maker.compress(bytes(1 << 24))
    )

    with pytest.raises(BadInput, match="is not a zstd frame of at most"):
        wire.opened(message, SignalTable((Signal("a"),)))


@given(st.binary(max_size=200))
def test_garbage_is_no_request(data: bytes):
    with suppress(BadInput, Denied):
        wire.request_from_bytes(data, vehicle="CAR-1")


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_garbage_is_no_columns(data: bytes, samples: int):
    message = SealedBatch(
        BatchName("CAR-1", STREAM, 1), bytes(8), samples, 0, zstandard.compress(data)
    )

    with suppress(BadInput):
        wire.opened(message, SignalTable((Signal("a"), Signal("b"))))


COLUMNS = st.fixed_dictionaries(
    {},
    optional={
        "frames": st.integers(0, 5),
        "first_time_ns": INT64,
        "time_unit_ns": st.sampled_from([0, 1, 1000, 2**32 - 1]),
        "step_order": st.integers(0, 3),
        "steps": st.binary(max_size=4),
        "step_lows": st.binary(max_size=3),
        "step_highs": st.binary(max_size=9),
        "parts": st.sampled_from([b"", b"\0", b"\0\1", b"\1\1", b"\2\0", b"\0\1\0"]),
        "masks": st.binary(max_size=6),
        "classes": st.lists(st.integers(0, 8), max_size=6).map(bytes),
        "values_8": st.binary(max_size=8),
        "values_16": st.binary(max_size=8),
        "values_32": st.binary(max_size=8),
        "values_64": st.binary(max_size=16),
        "floats": st.binary(max_size=16),
        "texts": st.lists(st.text(max_size=3), max_size=3),
    },
)


@settings(max_examples=300)
@given(COLUMNS, st.integers(0, 6))
def test_columns_that_contradict_themselves_are_refused_or_read(
    columns: dict[str, object], samples: int
):
    table = SignalTable(
        (
            Signal("x.a", scale=1e300),
            Signal("x.b", Kind.TEXT),
            Signal("y.c", Kind.BOOL),
            Signal("y.d"),
        )
    )
    data = zstandard.compress(v1.TelemetryColumns(**columns).SerializeToString())  # type: ignore[arg-type]
    message = SealedBatch(BatchName("CAR-1", STREAM, 1), bytes(8), samples, 0, data)

    with suppress(BadInput):
        assert len(list(wire.opened(message, table).rows())) == samples


@given(blocks(), st.data())
def test_a_flipped_bit_is_refused_or_read_but_never_breaks(block: SampleBlock, data: st.DataObject):
    whole = bytearray(zstandard.decompress(sealed(block).columns))
    if whole:
        at = data.draw(st.integers(0, len(whole) * 8 - 1))
        whole[at // 8] ^= 1 << at % 8
    message = SealedBatch(
        BatchName("CAR-1", STREAM, 1), bytes(8), len(block), 0, zstandard.compress(bytes(whole))
    )

    with suppress(BadInput):
        list(wire.opened(message, block.table).rows())


def dictionary_message(signals: int, name_of: Callable[[int], str]) -> bytes:
    body = v1.DictionaryBody()
    for number in range(signals):
        body.signals.add(name=name_of(number), kind=v1.SIGNAL_KIND_NUMBER)
    content = body.SerializeToString()
    message = v1.TelemetryDictionary(
        id=hashlib.sha256(content).digest()[:8], body=zstandard.compress(content)
    )
    return v1.TelemetryRequest(dictionary=message).SerializeToString()


def test_a_dictionary_of_as_many_signals_as_allowed_is_read():
    dictionary = wire.request_from_bytes(dictionary_message(65_536, str), vehicle="CAR-1")

    assert isinstance(dictionary, Dictionary)
    assert len(dictionary.table) == 65_536


@pytest.mark.parametrize("name", ["", "x"])
def test_a_dictionary_of_more_signals_is_refused_before_it_is_built(name: str):
    with pytest.raises(BadInput, match="more than 65536 signals"):
        wire.request_from_bytes(dictionary_message(65_537, lambda _: name), vehicle="CAR-1")


def test_a_signal_that_stands_twice_at_the_end_is_found_in_no_time():
    with pytest.raises(BadInput, match="the signal 65534 stands twice"):
        wire.request_from_bytes(
            dictionary_message(65_536, lambda n: str(min(n, 65_534))), vehicle="CAR-1"
        )


def test_receipts_without_end_are_refused():
    with pytest.raises(BadInput, match="over the limit"):
        wire.receipts_from_bytes(b"\x0a\x00" * 600_000)


RECEIPTS = st.builds(
    Receipt,
    stream=st.integers(0, 2**64 - 1).map(lambda number: f"{number:016x}"),
    sequence=st.integers(1, 2**63 - 1),
    outcome=st.sampled_from(Outcome),
    reason=st.text(max_size=50),
    retry_after_ms=st.integers(0, 2**32 - 1),
)


@given(st.lists(RECEIPTS, max_size=20))
def test_receipts_survive_the_wire(receipts: list[Receipt]):
    assert wire.receipts_from_bytes(wire.receipts_to_bytes(receipts)) == tuple(receipts)


@given(st.binary(max_size=200))
def test_garbage_is_no_receipts(data: bytes):
    with suppress(BadInput):
        wire.receipts_from_bytes(data)


def test_an_outcome_of_a_later_version_is_left_out():
    response = v1.TelemetryResponse()
    response.receipts.receipts.add(stream=1, sequence=1, outcome=99)
    response.receipts.receipts.add(stream=1, sequence=2, outcome=v1.OUTCOME_STORED)

    receipts = wire.receipts_from_bytes(response.SerializeToString())

    assert [receipt.sequence for receipt in receipts] == [2]
