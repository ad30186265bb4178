"""What is laid out by hand is what the generated code makes, for every data type and length."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.kuksa_encode import Encoder, varint
from edge_agent.adapters.kuksa_values import DATA_TYPES, read
from edge_agent.broker.changes import Changes, Message, merged
from edge_agent.broker.signals import Signals
from fairway.catalog.model import INTEGER_RANGES, Leaf
from fairway.foreign.kuksa.val.v2 import val_pb2

TYPES = sorted(DATA_TYPES)
# Paths around 128 bytes: lengths of one and of two bytes.
SIGNALS = Signals(
    Leaf("V." + "x" * (85 + 2 * number) + f".{kind.strip('[]')}{number}", kind, "sensor")
    for number, kind in enumerate(TYPES)
)


def of_type(kind: str) -> st.SearchStrategy[Any]:
    made: st.SearchStrategy[Any]
    inner = kind.removesuffix("[]")
    if inner == "string":
        made = st.text(max_size=200)
    elif inner == "boolean":
        made = st.booleans()
    elif inner in INTEGER_RANGES:
        made = st.integers(*INTEGER_RANGES[inner])
    else:
        made = st.floats(allow_nan=False, width=32 if inner == "float" else 64)
    return st.lists(made, max_size=40).map(tuple) if kind.endswith("[]") else made


row = st.sampled_from(range(len(TYPES))).flatmap(
    lambda number: st.tuples(
        st.just(number),
        st.one_of(st.none(), of_type(TYPES[number])),
        st.one_of(st.just(0), st.integers(0, 2**62)),
    )
)


def changes(rows):
    numbers = [number for number, _, _ in rows]
    is_number = SIGNALS.is_number
    return Changes(
        np.array(numbers, np.int32),
        np.array([time_ns for _, _, time_ns in rows], np.int64),
        np.array(
            [float(v) if v is not None and is_number[n] else np.nan for n, v, _ in rows], np.float64
        ),
        np.array([value is not None for _, value, _ in rows], np.bool_),
        {n: value for n, value, _ in rows if value is not None and not is_number[n]},
    )


@given(st.lists(row, max_size=20, unique_by=lambda each: each[0]), st.data())
def test_messages_are_read_as_what_was_told(rows, data):
    encoder, of = Encoder(SIGNALS), changes(rows)
    chosen = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True)) if rows else []

    for message, its in (
        (Message(of), rows),
        (Message(of, np.array(chosen, np.intp)), [rows[each] for each in chosen]),
    ):
        by_id = val_pb2.SubscribeByIdResponse.FromString(encoder.by_id(message))
        by_path = val_pb2.SubscribeResponse.FromString(encoder.by_path(message))
        assert set(by_id.entries) == {number for number, _, _ in its}
        assert set(by_path.entries) == {SIGNALS[number].path for number, _, _ in its}
        for number, value, time_ns in its:
            for point in (by_id.entries[number], by_path.entries[SIGNALS[number].path]):
                assert read(point.value, "typed_value")[1] == value
                assert point.timestamp.seconds * 10**9 + point.timestamp.nanos == time_ns
                assert point.HasField("timestamp") == bool(time_ns)
        if len(its) == 1:  # a map of one entry has one order: byte by byte the same
            assert encoder.by_id(message) == by_id.SerializeToString()
            assert encoder.by_path(message) == by_path.SerializeToString()


@given(st.lists(st.lists(row, min_size=1, max_size=6, unique_by=lambda each: each[0]), min_size=1))
def test_merged_messages_say_the_newest_of_every_signal(many):
    message = merged([Message(changes(rows)) for rows in many])
    newest = {number: value for rows in many for number, value, _ in rows}

    told = val_pb2.SubscribeByIdResponse.FromString(Encoder(SIGNALS).by_id(message))

    assert {n: read(point.value, "typed_value")[1] for n, point in told.entries.items()} == newest


def test_lengths_are_written_as_protocol_buffers_do():
    assert [varint(number) for number in (0, 127, 128, 300)] == [
        b"\x00",
        b"\x7f",
        b"\x80\x01",
        b"\xac\x02",
    ]
