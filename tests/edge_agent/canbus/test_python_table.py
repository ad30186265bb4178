"""What is particular to the interpreter without a compiler; test_decoder.py and the golden set do the rest."""

import dataclasses
from typing import Any

import pytest

from edge_agent.canbus import generated, python_menus, python_table
from edge_agent.canbus.decoder import Refusals, make_decoder
from edge_agent.canbus.frames import Frame, block_of
from edge_agent.canbus.model import Database, Message, Multiplex, Number, Signal
from edge_agent.canbus.plan import BusDatabases, compile_plan
from tests.edge_agent.canbus.decoding import decoder_of, message, rows
from tests.edge_agent.canbus.test_decoder_multiplexed import MULTIPLEXED


@pytest.fixture
def forgetful():
    """Let ids be forgotten soon."""
    before = python_table.KNOWN_MAX_IDS
    python_table.KNOWN_MAX_IDS = 3
    yield
    python_table.KNOWN_MAX_IDS = before


@pytest.fixture
def few_menus():
    """Let only two messages have a menu."""
    before = python_menus.MENUS_MAX
    python_menus.MENUS_MAX = 2
    yield
    python_menus.MENUS_MAX = before


def test_a_stream_of_random_ids_fills_no_memory(forgetful):
    decoder = decoder_of("python", message(Signal("S", 0, 8)))

    for first in range(0, 400, 20):
        frames = [Frame(can_id, b"\7") for can_id in range(first, first + 20)]
        decoded = decoder.decode(block_of([*frames, Frame(0x123, b"\7")]))
        for frame in frames:
            decoder.decode_frame(frame.can_id, frame.data)
        assert decoded.raw.tolist()[-1] == 7

    assert len(decoder.decode.__self__._values[0]) <= 4


def test_a_message_that_comes_in_every_length_is_read_in_every_length():
    signals = tuple(Signal(f"S{i}", 8 * i, 8) for i in range(8))
    decoder = decoder_of("python", message(*signals))
    payloads = [bytes(range(1, length + 1)) for length in (8, 3, 64, 70, 0, 9, 8)]

    decoded = decoder.decode(block_of([Frame(0x123, payload) for payload in payloads]))

    assert decoded.frame.tolist() == [0] * 8 + [1] * 3 + [2] * 8 + [3] * 8 + [5] * 8 + [6] * 8
    for payload in payloads * 2:
        assert list(decoder.decode_frame(0x123, payload).values()) == list(payload[:8])


def test_text_too_deep_for_python_is_not_needed():
    # 31 levels, each with 60 values to choose from by halves: more indentation than a parser takes.
    signals: list[Signal] = []
    for level in range(31):
        parent = Multiplex(level - 1, ((0, 0),)) if level else None
        signals.append(Signal(f"S{level}", 0, 8, multiplex=parent))
    signals += [
        Signal(f"T{level}_{value}", 8, 8, multiplex=Multiplex(level, ((value, value),)))
        for level in range(31)
        for value in range(1, 60)
    ]
    layout = message(*signals)
    decoder = decoder_of("python", layout)
    frames = [Frame(0x123, b"\0" * 8), Frame(0x123, b"\5" * 8), Frame(0x123, b"\0")]

    decoded = decoder.decode(block_of(frames))

    assert decoded.frame.tolist() == [0] * 31 + [1] * 2 + [2] * 31
    assert decoder.decode_frame(0x123, b"\5" * 8) == {"S0": 5.0, "T0_5": 5.0}


def test_the_text_of_a_message_does_not_outgrow_its_table():
    always = [Signal(f"A{i}", 8 * i + 8, 8) for i in range(200)]
    arms = [Signal(f"B{i}", 1700, 8, multiplex=Multiplex(0, ((i, i),))) for i in range(200)]
    page = Signal("Page", 0, 8, is_multiplexer=True)
    decoder = decoder_of("python", message(page, *always, *arms, length=220))

    values = decoder.decode_frame(0x123, bytes([7]) * 220)

    assert list(values) == ["Page", *(signal.name for signal in always), "B7"]
    (made,) = decoder.decode.__self__._made.values()
    assert len(made.__code__.co_code) < 50_000


def test_tables_of_values_end_somewhere():
    layouts = [
        Message(
            f"M{i}", i, is_extended=False, length=8, signals=(Signal("S", 3, 12, scale=i + 0.5),)
        )
        for i in range(60)
    ]
    plan = compile_plan([BusDatabases("can0", (Database("db", tuple(layouts)),))])
    python: Any = make_decoder(plan, interpreter="python")
    space = python.decode.__self__._space

    found = [python.decode_frame(i, bytes.fromhex("f8ff000000000000"))["S"] for i in range(60)]

    assert found == [8191 % 4096 * (i + 0.5) for i in range(60)]
    assert space._tabulated <= generated.TABULATED_MAX_VALUES


def test_names_from_a_database_are_names_and_never_code():
    names = ["a'b", 'a"b', "x}\n", "\\", "\udc80", "import os", "naïve 速度"]
    layout = message(*(Signal(name, 8 * i, 8) for i, name in enumerate(names)))
    decoder = decoder_of("python", layout)

    assert list(decoder.decode_frame(0x123, bytes(range(8)))) == names


def test_a_multiplexed_message_is_read_branch_by_branch():
    decoder = decoder_of("python", MULTIPLEXED)
    frames = [Frame(0x123, bytes([page, 1, 2, 3, 4, 5, 6, 7])) for page in (1, 8, 4, 1)]

    decoded = decoder.decode(block_of(frames))

    assert [row[3] for row in rows(decoded)] == [0] * 4 + [1] * 5 + [2] * 2 + [3] * 4
    assert decoded.refusals.unknown_multiplexer == 1


def test_a_block_of_all_kinds_of_frames_keeps_their_order():
    decoder = decoder_of(
        "python",
        dataclasses.replace(MULTIPLEXED, frame_id=0x1),  # two levels: a function chooses
        message(
            Signal("Page", 0, 4, number=Number.SIGNED, is_multiplexer=True),
            Signal("Minus", 8, 8, multiplex=Multiplex(0, ((-2, -1),))),
            Signal("Plus", 16, 8, multiplex=Multiplex(0, ((1, 1),))),
            frame_id=0x2,  # one level, one byte: a menu
        ),
        message(Signal("Plain", 0, 8), Signal("More", 8, 16), frame_id=0x3),
    )
    frames = [
        Frame(0x2, bytes.fromhex("fe0a0b")),  # Page -2: Minus
        Frame(0x3, bytes.fromhex("070100")),
        Frame(0x1, bytes.fromhex("0801020304050607")),  # Always, Page, Some, Inner, Deep
        Frame(0x2, bytes.fromhex("f30a0b")),  # Page 3: nothing
        Frame(0x3, bytes.fromhex("0701")),  # short: Plain
        Frame(0x4, b""),  # unknown
        Frame(0x2, bytes.fromhex("f10a")),  # Page 1: Plus is cut off
        Frame(0x1, bytes.fromhex("0401020304050607")),  # Page 4: nothing
        Frame(0x2, bytes.fromhex("f10a0b")),  # Page 1: Plus
    ]

    decoded = decoder.decode(block_of(frames))

    assert [(frame, raw) for _, raw, _, frame in rows(decoded)] == [
        *[(0, -2), (0, 10)],
        *[(1, 7), (1, 1)],
        *[(2, 1), (2, 8), (2, 3), (2, 2), (2, 4)],
        (3, 3),
        (4, 7),
        (6, 1),
        *[(7, 1), (7, 4)],
        *[(8, 1), (8, 11)],
    ]
    assert decoded.refusals == Refusals(unknown_id=1, short=2, unknown_multiplexer=2)


def test_more_multiplexers_than_there_may_be_menus_are_read_all_the_same(few_menus):
    page = Signal("Page", 0, 8, is_multiplexer=True)
    child = Signal("Child", 8, 8, multiplex=Multiplex(0, ((1, 1),)))
    layouts = [message(page, child, frame_id=can_id) for can_id in range(5)]
    decoder = decoder_of("python", *layouts)
    frames = [Frame(can_id, bytes([page, 7])) for can_id in range(5) for page in (1, 2)]

    decoded = decoder.decode(block_of(frames))

    assert decoded.raw.tolist() == [1, 7, 2] * 5
    assert decoded.refusals == Refusals(unknown_multiplexer=5)


def test_a_plan_without_messages_knows_nobody():
    decoded = decoder_of("python").decode(block_of([Frame(0x1, b"\1"), Frame(0x2, b"")]))

    assert (rows(decoded), decoded.refusals) == ([], Refusals(unknown_id=2))


def test_scales_beyond_all_floats_warn_nobody():
    layout = message(
        Signal("S", 0, 8, scale=1e308, offset=1e308), Signal("T", 8, 64, number=Number.FLOAT)
    )
    decoder = decoder_of("python", dataclasses.replace(layout, length=9))

    decoded = decoder.decode(block_of([Frame(0x123, b"\xff" * 9)]))

    assert decoded.value.tolist()[0] == float("inf")
