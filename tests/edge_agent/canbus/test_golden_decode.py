"""Every value of the golden set, by both interpreters; and what ours reads where the oracle cannot."""

import dataclasses

import pytest

from edge_agent.canbus.database import load
from edge_agent.canbus.decoder import Interpreter, make_decoder
from edge_agent.canbus.frames import block_of
from edge_agent.canbus.model import Number
from edge_agent.canbus.plan import BusDatabases, Plan, compile_plan
from tests.edge_agent.canbus import golden
from tests.shared_data import SHARED, shared

GOLDEN_VALUES = 118_525
NAMES = golden.databases() if (SHARED / "can/golden").exists() else []


def plan_of(name: str) -> Plan:
    return compile_plan([BusDatabases("can0", (load(shared("can/dbc") / name),))])


def values(plan: Plan, frames: list[golden.GoldenFrame], interpreter: Interpreter):
    """Decode golden frames; return for each a dict of signal number to (raw, value)."""
    decoder = make_decoder(plan, interpreter=interpreter)
    decoded = decoder.decode(block_of([frame.frame for frame in frames]))
    found: list[dict[int, tuple[int, float]]] = [{} for _ in frames]
    for signal, raw, value, frame in zip(*(column.tolist() for column in decoded[:4]), strict=True):
        found[frame][signal] = (raw, value)
    return found


def numbers_of(plan: Plan):
    """Return {(message, id, extended): {signal name: number}}."""
    numbers: dict[tuple[str, int, bool], dict[str, int]] = {}
    for entry in plan.signals:
        key = (entry.message.name, entry.message.frame_id, entry.message.is_extended)
        numbers.setdefault(key, {})[entry.short_name] = entry.number
    return numbers


@pytest.mark.parametrize("interpreter", golden.INTERPRETERS)
@pytest.mark.parametrize("name", NAMES or [pytest.param("", id="missing")])
def test_every_golden_value_is_ours(name: str, interpreter: Interpreter):
    frames = [frame for frame in golden.frames_of(name) if frame.message["signals"]]
    plan = plan_of(name)
    numbers = numbers_of(plan)
    assert plan.problems == ()

    wrong = []
    for frame, found in zip(frames, values(plan, frames, interpreter), strict=True):
        if frame.raw is None or frame.physical is None or "caveat" in frame.message:
            continue
        named = {plan.signals[number].short_name: pair for number, pair in found.items()}
        for signal, raw, physical in zip(
            frame.message["signals"], frame.raw, frame.physical, strict=True
        ):
            entry = plan.signals[numbers[frame.key][signal]]
            if not agrees(named.get(signal), raw, physical, entry.signal.number):
                wrong.append(
                    (frame.key, frame.data.hex(), signal, raw, physical, named.get(signal))
                )

    assert wrong == []


def agrees(pair, raw, physical, kind: Number) -> bool:
    """Return whether our (raw, value) says what the oracle says; its raw floats are not bits."""
    if pair is None or raw is None:
        return pair is None and raw is None
    is_same_raw = kind is Number.FLOAT or wrapped(raw) == pair[0]
    return is_same_raw and golden.same(pair[1], golden.number(physical))


def wrapped(raw: int) -> int:
    """Return the low 64 bits as the signed number that a column holds."""
    return ((raw & (1 << 64) - 1) ^ (1 << 63)) - (1 << 63)


def test_the_golden_set_is_whole():
    values = sum(
        raw is not None
        for name in golden.databases()
        for frame in golden.frames_of(name)
        for raw in frame.raw or ()
    )

    assert values == GOLDEN_VALUES


@pytest.mark.parametrize("interpreter", golden.INTERPRETERS)
def test_an_unknown_multiplexer_value_does_not_take_the_rest_of_the_frame(interpreter: Interpreter):
    name = "kuksa-can-provider/Model3CAN.dbc"
    plan = plan_of(name)
    frames = [frame for frame in golden.frames_of(name) if frame.raw is None]
    always = {
        key: {
            plan.signals[number].number
            for number in signals.values()
            if plan.signals[number].signal.multiplex is None
        }
        for key, signals in numbers_of(plan).items()
    }

    found = values(plan, frames, interpreter)

    assert len(frames) > 5  # the oracle raises on each of them
    assert [set(pairs) for pairs in found] == [always[frame.key] for frame in frames]


@pytest.mark.parametrize("interpreter", golden.INTERPRETERS)
def test_a_long_multiplexer_name_loses_no_signals(interpreter: Interpreter):
    # SG_MUL_VAL_ keeps 32 characters of the multiplexer's name: the oracle never decodes what hangs on it.
    database = load(shared("can/dbc") / "kuksa-can-provider/Model3CAN.dbc")
    message = next(message for message in database.messages if message.frame_id == 0x201)
    decoder = make_decoder(
        compile_plan([BusDatabases("can0", (database,))]), interpreter=interpreter
    )
    children = {s.name for s in message.signals if s.multiplex is not None}

    selected: set[str] = set()
    for selector in range(256):
        selected |= decoder.decode_frame(0x201, bytes([selector]) + bytes(7)).keys()

    assert len(children) == 47
    assert children <= selected


@pytest.mark.parametrize("interpreter", golden.INTERPRETERS)
def test_children_of_a_multiplexer_that_is_marked_m_are_decoded(interpreter: Interpreter):
    database = load(shared("can/dbc") / "opendbc/vw_pq.dbc")
    message = next(message for message in database.messages if message.name == "Motor_2")
    children = {s.name for s in message.signals if s.multiplex is not None}
    decoder = make_decoder(
        compile_plan([BusDatabases("can0", (database,))]), interpreter=interpreter
    )

    selected: set[str] = set()
    for selector in range(256):
        selected |= decoder.decode_frame(message.frame_id, bytes([selector]) + bytes(7)).keys()

    assert children
    assert children <= selected


@pytest.mark.parametrize("interpreter", golden.INTERPRETERS)
def test_both_signals_of_one_name_are_decoded(interpreter: Interpreter):
    # The oracle keeps one of them: whichever comes last in its dict.
    database = load(shared("can/dbc") / "canmatrix/j1939.dbc")
    message = next(message for message in database.messages if message.name == "EEC3")
    database = dataclasses.replace(database, messages=(message,))
    decoder = make_decoder(
        compile_plan([BusDatabases("can0", (database,))]), interpreter=interpreter
    )
    names = [signal.name for signal in message.signals]
    twice = {name for name in names if names.count(name) > 1}

    found = decoder.decode_frame(message.frame_id | 1 << 31, bytes(range(message.length)))

    assert twice
    assert len(found) == len(names)
    assert {f"{name}#2" for name in twice} <= found.keys()
