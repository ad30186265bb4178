"""What is particular to the interpreter without a compiler; test_decoder.py and the golden set do the rest."""

import dataclasses
from typing import Any

import pytest

from edge_agent.canbus import generated, python_table
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.frames import Frame, block_of
from edge_agent.canbus.model import Database, Message, Multiplex, Number, Signal
from edge_agent.canbus.plan import BusDatabases, compile_plan
from tests.edge_agent.canbus.test_decoder import MULTIPLEXED, decoder_of, message, rows


@pytest.fixture
def forgetful():
    """Let ids be forgotten soon."""
    before = python_table.KNOWN_MAX_IDS
    python_table.KNOWN_MAX_IDS = 3
    yield
    python_table.KNOWN_MAX_IDS = before


def test_a_stream_of_random_ids_fills_no_memory(forgetful):
    decoder = decoder_of("python", message(Signal("S", 0, 8)))

    for first in range(0, 400, 20):
        frames = [Frame(can_id, b"\7") for can_id in range(first, first + 20)]
        decoded = decoder.decode(block_of([*frames, Frame(0x123, b"\7")]))
        for frame in frames:
            decoder.decode_frame(frame.can_id, frame.data)
        assert decoded.raw.tolist()[-1] == 7

    table = decoder.decode.__self__
    assert len(table._rows[0]) <= 24
    assert len(table._values[0]) <= 4


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


def test_scales_beyond_all_floats_warn_nobody():
    layout = message(
        Signal("S", 0, 8, scale=1e308, offset=1e308), Signal("T", 8, 64, number=Number.FLOAT)
    )
    decoder = decoder_of("python", dataclasses.replace(layout, length=9))

    decoded = decoder.decode(block_of([Frame(0x123, b"\xff" * 9)]))

    assert decoded.value.tolist()[0] == float("inf")
