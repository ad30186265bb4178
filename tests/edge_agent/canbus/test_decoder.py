import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_agent.canbus.decoder import Decoded, Interpreter, Refusals, make_decoder
from edge_agent.canbus.frames import EXTENDED, REMOTE, Frame, FrameBlock, block_of
from edge_agent.canbus.model import ByteOrder, Database, Message, Number, Signal
from edge_agent.canbus.plan import BusDatabases, compile_plan
from fairway.errors import BadInput
from tests.edge_agent.canbus import golden, layouts
from tests.edge_agent.canbus.decoding import both, decoder_of, message, needs_kernel, plan_of, rows

BIG, LITTLE = ByteOrder.BIG, ByteOrder.LITTLE


@both
def test_a_speed_frame_becomes_a_speed(interpreter: Interpreter):
    decoder = decoder_of(interpreter, message(Signal("Speed", 0, 16, scale=0.01)))
    frame = Frame(0x123, bytes.fromhex("e803 00 00 00 00 00 00"), time_ns=7)

    decoded = decoder.decode(block_of([frame]))

    assert rows(decoded) == [(0, 1000, 10.0, 0)]
    assert decoded.refusals == Refusals()
    assert [column.dtype for column in decoded[:4]] == [np.int32, np.int64, np.float64, np.int32]


@both
@pytest.mark.parametrize(
    ("signal", "data", "raw", "value"),
    [
        (Signal("S", 7, 16, BIG), "1234", 0x1234, 4660.0),
        (Signal("S", 3, 12, BIG, Number.SIGNED), "0fff", -1, -1.0),
        (Signal("S", 4, 4, LITTLE, Number.SIGNED, -2.0), "80", -8, 16.0),
        (Signal("S", 0, 64, LITTLE), "ff" * 8, -1, 2.0**64),
        (Signal("S", 0, 64, LITTLE, Number.SIGNED), "ff" * 8, -1, -1.0),
        (Signal("S", 0, 16, LITTLE, Number.FLOAT), "003c", 0x3C00, 1.0),
        (Signal("S", 0, 16, LITTLE, Number.FLOAT), "0100", 1, 2.0**-24),
        (Signal("S", 0, 16, LITTLE, Number.FLOAT), "00fc", 0xFC00, -np.inf),
        (Signal("S", 7, 32, BIG, Number.FLOAT), "3fc00000", 0x3FC00000, 1.5),
        (Signal("S", 7, 64, BIG, Number.FLOAT), "bff8" + "00" * 6, -0x4008 << 48, -1.5),
        # nine bytes
        (Signal("S", 1, 64, LITTLE), "fe" + "ff" * 7 + "01", -1, 2.0**64),
        (
            Signal("S", 0, 64, BIG),
            "01" + "23456789abcdef01",
            0x91A2B3C4D5E6F780 - 2**64,
            float(0x91A2B3C4D5E6F780),
        ),
        # more than 64 bits: raw is the low 64, the value is the nearest float
        (Signal("S", 7, 72, BIG), "01" + "00" * 7 + "05", 5, float(2**64 + 5)),
        (Signal("S", 0, 72, LITTLE, Number.SIGNED), "ff" * 9, -1, -1.0),
        (Signal("S", 0, 96, LITTLE, Number.SIGNED), "00" * 11 + "80", 0, -(2.0**95)),
        (Signal("S", 3, 68, BIG, Number.SIGNED), "08" + "00" * 8, 0, -(2.0**67)),
    ],
)
def test_every_layout_is_read(
    interpreter: Interpreter, signal: Signal, data: str, raw: int, value: float
):
    payload = bytes.fromhex(data)
    decoder = decoder_of(interpreter, message(signal, length=len(payload)))

    decoded = decoder.decode(block_of([Frame(0x123, payload)]))

    assert rows(decoded) == [(0, raw, value, 0)]
    assert decoder.decode_frame(0x123, payload) == {"S": value}


@both
def test_not_a_number_stays_not_a_number(interpreter: Interpreter):
    decoder = decoder_of(interpreter, message(Signal("S", 0, 32, LITTLE, Number.FLOAT)))

    decoded = decoder.decode(block_of([Frame(0x123, b"\0\0\xc0\x7f\0\0\0\0")]))

    assert np.isnan(decoded.value).all()


@both
def test_what_cannot_be_read_is_counted_by_its_reason(interpreter: Interpreter):
    decoder = decoder_of(interpreter, message(Signal("A", 0, 8), Signal("B", 8, 16)))
    frames = [
        Frame(0x123, b"\1\2\3"),
        Frame(0x124, b"\1\2\3"),  # unknown
        Frame(0x123 | EXTENDED, b"\1\2\3"),  # the same number, but with 29 bits: unknown
        Frame(0x123, b"\1\2"),  # short: A is wholly there
        Frame(0x123, b""),
        Frame(0x123 | REMOTE, b""),
        Frame(0x20000004, bytes(8)),
        Frame(0x123, b"\1\2\3\4\5\6\7\x08\x09"),  # long: what is too much is not looked at
        Frame(0x123, b"\1\2\3", bus=1),  # a bus without databases
    ]

    decoded = decoder.decode(block_of(frames))

    assert rows(decoded) == [
        (0, 1, 1.0, 0),
        (1, 0x302, 770.0, 0),
        (0, 1, 1.0, 3),
        (0, 1, 1.0, 7),
        (1, 770, 770.0, 7),
    ]
    assert decoded.refusals == Refusals(unknown_id=3, short=2, remote=1, error=1)


@both
def test_a_frame_that_is_short_but_has_all_its_signals_is_whole(interpreter: Interpreter):
    decoder = decoder_of(interpreter, message(Signal("A", 0, 8)))

    decoded = decoder.decode(block_of([Frame(0x123, b"\7")]))

    assert rows(decoded) == [(0, 7, 7.0, 0)]
    assert decoded.refusals == Refusals()


@both
def test_j1939_frames_are_matched_by_parameter_group(interpreter: Interpreter):
    wheel = message(Signal("Speed", 8, 16), frame_id=0x18FEF1FE, is_extended=True)
    torque = dataclasses.replace(wheel, name="TSC1", frame_id=0x0C000003)  # PDU1
    decoder = decoder_of(interpreter, wheel, torque, is_j1939=True)
    data = bytes.fromhex("00 e803 0000000000")

    for can_id in (0x18FEF1FE, 0x0CFEF100, 0x1CFEF1AB, 0x0C000003, 0x18005527):
        assert decoder.decode_frame(can_id | EXTENDED, data) == {"Speed": 1000.0}
    for can_id in (0x18FEF2FE, 0x18010003, 0x19FEF1FE):
        assert decoder.decode_frame(can_id | EXTENDED, data) == {}
    assert decoder.decode_frame(0x123, data) == {}


@both
def test_a_remote_frame_is_no_parameter_group_whatever_its_id(interpreter: Interpreter):
    torque = message(Signal("Torque", 8, 16), frame_id=0x0C000003, is_extended=True)
    decoder = decoder_of(interpreter, torque, is_j1939=True)

    decoded = decoder.decode(block_of([Frame(REMOTE | 0x000, b"", 1)]))

    assert (len(decoded.signal), decoded.refusals) == (0, Refusals(remote=1))


@both
def test_one_group_from_several_sources_is_told_apart_by_the_whole_id(interpreter: Interpreter):
    engine = message(Signal("Engine", 0, 8), frame_id=0x0CF00400, is_extended=True)
    retarder = message(Signal("Retarder", 0, 8), frame_id=0x0CF00410, is_extended=True)
    decoder = decoder_of(interpreter, engine, retarder, is_j1939=True)

    assert decoder.decode_frame(0x0CF00410 | EXTENDED, b"\1") == {"Retarder": 1.0}
    assert decoder.decode_frame(0x0CF00400 | EXTENDED, b"\1") == {"Engine": 1.0}
    assert decoder.decode_frame(0x18F00455 | EXTENDED, b"\1") == {"Engine": 1.0}


@both
def test_the_same_id_means_something_else_on_another_bus(interpreter: Interpreter):
    first = Database("a", (message(Signal("A", 0, 8)),))
    second = Database("b", (message(Signal("B", 0, 8)),))
    plan = compile_plan([BusDatabases("can0", (first,)), BusDatabases("can1", (second,))])
    decoder = make_decoder(plan, interpreter=interpreter)

    decoded = decoder.decode(block_of([Frame(0x123, b"\1"), Frame(0x123, b"\2", bus=1)]))

    assert [plan.signals[number].name for number in decoded.signal] == ["can0.M.A", "can1.M.B"]
    assert decoder.decode_frame(0x123, b"\2", bus=1) == {"B": 2.0}


@both
def test_only_changes_come_through_where_only_changes_are_wanted(interpreter: Interpreter):
    number = Signal("S", 0, 8)
    odd = Signal("F", 8, 32, LITTLE, Number.FLOAT)
    decoder = decoder_of(interpreter, message(number, odd))
    nan = bytes.fromhex("0000c07f")
    block = block_of([Frame(0x123, bytes([n]) + nan) for n in (1, 1, 2, 2, 1)])

    first = decoder.decode(block, changed_only=True)
    again = decoder.decode(block, changed_only=True)
    decoder.forget()
    anew = decoder.decode(block, changed_only=True)

    assert [(row[0], row[1], row[3]) for row in rows(first)] == [
        (0, 1, 0),
        (1, 0x7FC00000, 0),
        (0, 2, 2),
        (0, 1, 4),
    ]
    assert [(row[0], row[1], row[3]) for row in rows(again)] == [(0, 2, 2), (0, 1, 4)]
    assert len(anew.signal) == len(first.signal)
    assert len(decoder.decode(block).signal) == 10


@both
@pytest.mark.parametrize(
    "damage",
    [
        {"offset": np.array([0, 9, 2], np.uint32)},
        {"offset": np.array([0, 1, 99], np.uint32)},
        {"offset": np.array([0, 1, 0], np.uint32)},
        {"offset": np.array([2, 1, 2], np.uint32)},
        {"offset": np.array([0, 99, 1], np.uint32)},
        {"offset": np.array([0, 8, 1], np.uint32)},
        {"offset": np.array([0, 1], np.uint32)},
        {"bus": np.zeros(3, np.uint8)},
    ],
)
def test_a_block_that_contradicts_itself_is_refused(interpreter: Interpreter, damage):
    decoder = decoder_of(interpreter, message(Signal("S", 0, 8)))
    block = block_of([Frame(0x123, b"\1"), Frame(0x124, b"\2")])

    with pytest.raises(BadInput, match="frame"):
        decoder.decode(dataclasses.replace(block, **damage))


@both
def test_no_frames_give_no_rows(interpreter: Interpreter):
    decoder = decoder_of(interpreter, message(Signal("S", 0, 8)))

    assert rows(decoder.decode(block_of([]))) == []
    assert rows(decoder.decode(block_of([Frame(0x7AA, b"")]), changed_only=True)) == []


@both
@pytest.mark.parametrize(
    ("can_id", "bus"), [(-1, 0), (2**32, 0), (2**40, 0), (0x123, 256), (0x123, -1)]
)
def test_numbers_that_are_no_id_and_no_bus_give_nothing(
    interpreter: Interpreter, can_id: int, bus: int
):
    decoder = decoder_of(interpreter, message(Signal("S", 0, 8)))

    assert decoder.decode_frame(can_id, b"\1", bus) == {}


@both
def test_values_handed_out_stay_as_they_were(interpreter: Interpreter):
    decoder = decoder_of(interpreter, message(Signal("S", 0, 8), Signal("T", 8, 8)))

    first = decoder.decode_frame(0x123, b"\1\2")
    first["S"] = 99.0
    second = decoder.decode_frame(0x123, b"\1\3")

    assert (first, second) == ({"S": 99.0, "T": 2.0}, {"S": 1.0, "T": 3.0})


@needs_kernel
def test_asking_for_an_interpreter_gives_that_interpreter():
    plan = plan_of(message(Signal("S", 0, 8)))

    kinds = {type(make_decoder(plan, interpreter=i)).__name__ for i in ("kernel", "python")}

    assert kinds == {"KernelDecoder", "PythonDecoder"}


def equal(one: Decoded, other: Decoded) -> None:
    """Assert that both interpreters said the same, bit for bit but for the bits of a NaN."""
    assert one.refusals == other.refusals
    for name in ("signal", "raw", "frame"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    both_nan = np.isnan(one.value) & np.isnan(other.value)
    np.testing.assert_array_equal(
        np.where(both_nan, 0.0, one.value).view(np.int64),
        np.where(both_nan, 0.0, other.value).view(np.int64),
    )


@needs_kernel
@settings(max_examples=200)
@given(
    st.lists(layouts.databases(), min_size=1, max_size=2), st.lists(layouts.frames(), max_size=20)
)
def test_both_interpreters_say_the_same_of_anything(databases, frames):
    plan = compile_plan([BusDatabases("can0", tuple(databases)), BusDatabases("can1", ())])
    kernel = make_decoder(plan, interpreter="kernel")
    python = make_decoder(plan, interpreter="python")
    block = block_of(frames)

    equal(kernel.decode(block), python.decode(block))
    for _ in range(2):
        equal(kernel.decode(block, changed_only=True), python.decode(block, changed_only=True))
    for frame in frames:
        one = kernel.decode_frame(frame.can_id, frame.data, frame.bus)
        other = python.decode_frame(frame.can_id, frame.data, frame.bus)
        assert list(map(repr, one.items())) == list(map(repr, other.items()))


@settings(max_examples=100)
@given(layouts.messages(), layouts.payloads)
@example(message(Signal("S", 0, 8)), b"")
def test_a_value_never_depends_on_its_neighbours_in_the_block(layout: Message, payload: bytes):
    plan = plan_of(layout)
    can_id = layout.frame_id | (EXTENDED if layout.is_extended else 0)
    alone = block_of([Frame(can_id, payload)])
    between = block_of([Frame(0x1, b"\xff" * 64), Frame(can_id, payload), Frame(0x1, b"\xff" * 64)])

    for interpreter in golden.INTERPRETERS:
        decoder = make_decoder(plan, interpreter=interpreter)
        one, other = decoder.decode(alone), decoder.decode(between)
        np.testing.assert_array_equal(one.signal, other.signal)
        np.testing.assert_array_equal(one.raw, other.raw)


def test_a_slice_of_a_larger_payload_is_decoded_like_a_copy():
    plan = plan_of(message(Signal("S", 0, 8)))
    payload = np.frombuffer(bytes(range(40)), np.uint8)
    block = FrameBlock(
        np.zeros(2, np.uint8),
        np.full(2, 0x123, np.uint32),
        np.zeros(2, np.int64),
        np.zeros(2, np.uint8),
        np.array([5, 13, 40], np.uint32),
        payload,
    )

    for interpreter in golden.INTERPRETERS:
        decoded = make_decoder(plan, interpreter=interpreter).decode(block)
        assert decoded.raw.tolist() == [5, 13]
