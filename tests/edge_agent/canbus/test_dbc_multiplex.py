"""Who multiplexes whom."""

from pathlib import Path

import pytest

from edge_agent.canbus import database, dbc
from edge_agent.canbus.model import Database, Message, Multiplex
from tests.shared_data import shared


def read(lines: list[str], more: str = "") -> Database:
    signals = "".join(f' SG_ {line}@1+ (1,0) [0|0] "" X\n' for line in lines)
    return dbc.read(f"BO_ 1 M: 8 X\n{signals}{more}".encode(), name="bus")


def multiplex(lines: list[str], more: str = "") -> list[Multiplex | None]:
    (message,) = read(lines, more).messages
    return [signal.multiplex for signal in message.signals]


def message_of(path: Path, name: str) -> Message:
    return next(m for m in database.load(path).messages if m.name.startswith(name))


def test_a_marked_signal_waits_for_its_value():
    lines = ["Mode M : 0|8", "Speed m3 : 8|8", "Always : 16|8"]

    assert multiplex(lines) == [None, Multiplex(0, ((3, 3),)), None]
    assert [one.is_multiplexer for one in read(lines).messages[0].signals] == [True, False, False]


def test_ranges_outweigh_the_mark():
    lines = ["Mode M : 0|8", "Speed m0 : 8|8"]

    assert multiplex(lines, "SG_MUL_VAL_ 1 Speed Mode 0-0, 3-5, 9;\n")[1] == Multiplex(
        0, ((0, 0), (3, 5), (9, 9))
    )


def test_multiplexers_nest():
    lines = ["Row m1 : 16|8", "Page m2M : 8|8", "Mode M : 0|8"]
    more = "SG_MUL_VAL_ 1 Row Page 1-1;\nSG_MUL_VAL_ 1 Page Mode 2-2;\n"

    assert multiplex(lines, more) == [Multiplex(1, ((1, 1),)), Multiplex(2, ((2, 2),)), None]


def test_children_keep_their_multiplexer_when_its_long_name_differs():
    # cantools looks for the short name of the parent and never decodes these 47 signals.
    message = message_of(shared("can/dbc/model3dbc/Model3CAN.dbc"), "ID201")

    (index,) = [i for i, signal in enumerate(message.signals) if signal.is_multiplexer]
    children = [s for s in message.signals if s.multiplex and s.multiplex.parent == index]

    assert message.signals[index].name == "VCFRONT_loggingAndVitals10HzIndex"
    assert len(children) == 47


def test_a_full_name_is_found_by_the_32_characters_that_ranges_keep():
    name = "a_name_that_is_longer_than_32_characters"

    assert multiplex(
        [f"{name} M : 0|8", "Speed m0 : 8|8"], f"SG_MUL_VAL_ 1 Speed {name[:32]} 7-7;\n"
    )[1] == Multiplex(0, ((7, 7),))


def test_a_multiplexer_marked_m_instead_of_capital_m():
    # cantools loses these children.
    message = message_of(shared("can/dbc/opendbc/vw_pq.dbc"), "Motor_2")

    assert message.signals[0].is_multiplexer
    assert [one.multiplex.ranges[0][0] for one in message.signals if one.multiplex] == [2, 3, 0, 1]


def test_a_child_without_a_multiplexer_is_read_always_and_told():
    database = read(["Speed m3 : 8|8"])

    assert database.messages[0].signals[0].multiplex is None
    assert database.problems[0].severity == "error"
    assert database.problems[0].line == 2


def test_a_child_of_one_of_two_multiplexers_is_told():
    problems = read(["A M : 0|8", "B M : 8|8", "Speed m3 : 16|8"]).problems

    assert "its multiplexer cannot be told" in problems[0].text


@pytest.mark.parametrize(
    "more",
    [
        "SG_MUL_VAL_ 1 A B 1-1;\nSG_MUL_VAL_ 1 B A 1-1;\n",
        "SG_MUL_VAL_ 1 A A 1-1;\n",
    ],
)
def test_what_depends_on_itself_is_cut_loose(more: str):
    lines = ["A m1M : 0|8", "B m1M : 8|8"]

    assert None in multiplex(lines, more)
    assert any("depends on itself" in problem.text for problem in read(lines, more).problems)


def test_a_chain_of_too_many_multiplexers_is_cut():
    lines = ["S0 M : 0|4"] + [f"S{i} m1M : {4 * i}|4" for i in range(1, 12)]
    more = "".join(f"SG_MUL_VAL_ 1 S{i} S{i - 1} 1-1;\n" for i in range(1, 12))

    database = read(lines, more)

    assert [one.multiplex is None for one in database.messages[0].signals].index(True, 1) == 9


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ("SG_MUL_VAL_ 1 Ghost Mode 1-1;\n", "message M has no signal Ghost to multiplex"),
        ("SG_MUL_VAL_ 1 Speed Ghost 1-1;\n", "message M has no signal Ghost to multiplex"),
        ("SG_MUL_VAL_ 1 Speed Mode 5-2;\n", "signal Speed has an empty range"),
        ("SG_MUL_VAL_ 9 Speed Mode 1-1;\n", "multiplexer range of message 9, which is not here"),
        (
            "SG_MUL_VAL_ 1 Speed Mode 1-1;\nSG_MUL_VAL_ 1 Speed Page 1-1;\n",
            "signal Speed has a second multiplexer Page",
        ),
    ],
)
def test_a_range_that_makes_no_sense_is_told(more: str, text: str):
    lines = ["Mode M : 0|8", "Page m9M : 8|8", "Speed m3 : 16|8"]

    assert any(text in problem.text for problem in read(lines, more).problems)
