import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.canbus.decoder import Interpreter, make_decoder
from edge_agent.canbus.frames import EXTENDED
from edge_agent.canbus.j1939 import pgn_of
from edge_agent.canbus.model import Database, Message, Multiplex, Number, Signal
from edge_agent.canbus.plan import PLAN_MAX_BUSES, BusDatabases, compile_plan
from edge_agent.canbus.plan_multiplex import MULTIPLEX_MAX_DEPTH, disjoint
from fairway.errors import BadInput
from tests.edge_agent.canbus import golden


def message(name: str, frame_id: int, *signals: Signal, is_extended: bool = False) -> Message:
    return Message(name, frame_id, is_extended, 8, signals or (Signal("S", 0, 8),))


def plan_of(*databases: Database):
    return compile_plan([BusDatabases("can0", databases)])


def test_signals_are_numbered_and_named_in_order():
    first = message("A", 1, Signal("X", 0, 8), Signal("Y", 8, 8))
    plan = plan_of(Database("db", (first, message("B", 2))))

    assert [entry.name for entry in plan.signals] == ["can0.A.X", "can0.A.Y", "can0.B.S"]
    assert [entry.number for entry in plan.signals] == [0, 1, 2]
    assert plan.signals[1].message is first
    assert plan.signals[1].signal is first.signals[1]
    assert plan.problems == ()


def test_a_repeated_name_gets_a_number():
    twice = message("A", 1, Signal("X", 0, 8), Signal("X", 8, 8), Signal("X", 16, 8))
    plan = plan_of(
        Database("one", (twice,)), Database("two", (message("A", 2, Signal("X", 0, 8)),))
    )

    assert [entry.name for entry in plan.signals] == [
        "can0.A.X",
        "can0.A.X#2",
        "can0.A.X#3",
        "can0.A.X#4",
    ]
    assert [entry.short_name for entry in plan.signals] == ["X", "X#2", "X#3", "X"]


def test_the_first_database_keeps_an_id_and_the_other_is_told():
    plan = plan_of(
        Database("one", (message("A", 1),)),
        Database("two", (message("B", 1), message("C", 2))),
    )

    assert [entry.name for entry in plan.signals] == ["can0.A.S", "can0.C.S"]
    assert [problem.text for problem in plan.problems] == [
        "can0: B of two (id 0x1) is hidden by A of one, which came first"
    ]


def test_the_first_message_of_a_file_keeps_an_id_too():
    plan = plan_of(Database("one", (message("A", 1), message("B", 1))))

    assert [entry.name for entry in plan.signals] == ["can0.A.S"]
    assert "B of one (id 0x1) is hidden by A of one" in plan.problems[0].text


def test_an_earlier_j1939_database_keeps_its_whole_group():
    group = message("EEC1", 0x0CF00400, Signal("Speed", 0, 8), is_extended=True)
    exact = message("Mine", 0x0CF00433, Signal("Other", 0, 8), is_extended=True)
    j1939 = Database("j1939", (group,), is_j1939=True)
    plain = Database("plain", (exact,))

    one, other = plan_of(j1939, plain), plan_of(plain, j1939)

    assert "is hidden by EEC1 of j1939" in one.problems[0].text
    assert make_decoder(one).decode_frame(0x0CF00433 | EXTENDED, b"\1") == {"Speed": 1.0}
    assert make_decoder(other).decode_frame(0x0CF00433 | EXTENDED, b"\1") == {"Other": 1.0}
    assert make_decoder(other).decode_frame(0x0CF00434 | EXTENDED, b"\1") == {"Speed": 1.0}


@pytest.mark.parametrize(
    ("signal", "why"),
    [
        (Signal("S", 0, 0), "has 0 bits"),
        (Signal("S", -1, 8), "from bit -1"),
        (Signal("S", 0, 24, number=Number.FLOAT), "float of 24 bits"),
        (Signal("S", 600_000, 8), "ends after byte 65535"),
    ],
)
def test_a_signal_that_cannot_be_read_is_left_out_and_told(signal: Signal, why: str):
    plan = plan_of(Database("db", (message("A", 1, signal, Signal("T", 0, 8)),)))

    assert why in plan.problems[0].text
    assert make_decoder(plan).decode_frame(1, b"\5" * 8) == {"T": 5.0}


@pytest.mark.parametrize(
    "signals",
    [
        (
            Signal("A", 0, 8, multiplex=Multiplex(1, ((0, 9),))),
            Signal("B", 8, 8, multiplex=Multiplex(0, ((0, 9),))),
        ),
        (Signal("A", 0, 8, multiplex=Multiplex(0, ((0, 9),))),),
        (Signal("A", 0, 8, multiplex=Multiplex(7, ((0, 9),))),),
        (Signal("W", 0, 72), Signal("A", 0, 8, multiplex=Multiplex(0, ((0, 9),)))),
    ],
)
def test_what_hangs_on_no_readable_multiplexer_is_left_out_and_told(signals):
    plan = plan_of(Database("db", (message("M", 1, *signals),)))

    assert "signal A hangs on a multiplexer that cannot be read" in plan.problems[0].text
    assert "A" not in make_decoder(plan).decode_frame(1, bytes(9))


def chain(depth: int, arms: int) -> tuple[Signal, ...]:
    """Return selectors that each hang on all `arms` values of the one before."""
    return tuple(
        Signal(
            f"S{level}",
            0,
            8,
            multiplex=Multiplex(level - 1, ((0, 0),)) if level else None,
        )
        for level in range(depth)
    ) + tuple(
        Signal(f"T{level}_{arm}", 8, 8, multiplex=Multiplex(level, ((arm, arm),)))
        for level in range(depth)
        for arm in range(1, arms)
    )


@pytest.mark.parametrize("interpreter", golden.INTERPRETERS)
def test_multiplexers_are_followed_to_a_depth(interpreter: Interpreter):
    plan = plan_of(Database("db", (message("M", 1, *chain(MULTIPLEX_MAX_DEPTH + 8, 20)),)))

    found = make_decoder(plan, interpreter=interpreter).decode_frame(1, bytes(8))

    assert "multiplexers deeper than 32 are not followed" in plan.problems[0].text
    assert list(found) == [f"S{level}" for level in range(MULTIPLEX_MAX_DEPTH)]


def test_ranges_that_multiply_without_end_cost_only_their_message():
    ranges = tuple((value, value) for value in range(0, 256, 2))
    levels = tuple(
        Signal(f"S{i}", 0, 8, multiplex=Multiplex(i - 1, ranges) if i else None) for i in range(9)
    )
    others = tuple(
        Signal(f"T{i}_{value}", 8, 8, multiplex=Multiplex(i, ((value, value),)))
        for i in range(9)
        for value in range(256)
    )
    started = time.monotonic()

    plan = plan_of(Database("db", (message("Bomb", 1, *levels, *others), message("Good", 2))))

    assert time.monotonic() - started < 20
    assert "its multiplexers combine in more than" in plan.problems[0].text
    assert make_decoder(plan).decode_frame(1, bytes(8)) == {}
    assert make_decoder(plan).decode_frame(2, b"\7") == {"S": 7.0}


def test_two_buses_of_one_name_are_refused():
    with pytest.raises(BadInput, match="two buses are called can0"):
        compile_plan([BusDatabases("can0", ()), BusDatabases("can0", ())])


def test_more_buses_than_a_frame_can_name_are_refused():
    with pytest.raises(BadInput, match="257 buses are given"):
        compile_plan([BusDatabases(f"can{i}", ()) for i in range(PLAN_MAX_BUSES + 1)])


@given(
    st.lists(
        st.tuples(st.integers(-9, 30), st.integers(0, 9), st.integers(0, 4)).map(
            lambda drawn: (drawn[0], drawn[0] + drawn[1], drawn[2])
        ),
        max_size=8,
    )
)
def test_arms_are_disjoint_and_bring_what_their_ranges_say(ranges):
    arms = disjoint(ranges)

    assert all(one[1] < other[0] for one, other in itertools.pairwise(arms))
    for value in range(-12, 45):
        wanted = tuple(sorted({member for low, high, member in ranges if low <= value <= high}))
        found = [members for low, high, members in arms if low <= value <= high]
        assert found == ([wanted] if wanted else [])


@pytest.mark.parametrize(
    ("can_id", "pgn"),
    [
        (0x18FEF1FE, 0xFEF1),
        (0x0CF00400, 0xF004),
        (0x18EAFF00, 0xEA00),  # PDU1: the destination FF does not count
        (0x1DEFFF00, 0x1EF00),  # data page 1
        (0x18FEF1FE | EXTENDED, 0xFEF1),
    ],
)
def test_the_parameter_group_of_an_id(can_id: int, pgn: int):
    assert pgn_of(can_id) == pgn
