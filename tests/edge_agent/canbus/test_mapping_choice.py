"""Which signal an entry means (message, bus, multiplexer, parameter group), and several in one value."""

import pytest

from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.frames import EXTENDED, Frame, block_of
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.mapping_steps import Refusal
from fairway.catalog.load import catalog_of
from fairway.errors import BadInput
from tests.edge_agent.canbus.mapping_car import DBC, Car, drive, fixed, plan_of


@pytest.mark.parametrize(
    "entry",
    [
        "{signal: Clock.Level}",
        "{signal: can0.Clock.Level}",
        "{signal: Level, message: Clock}",
        "{signal: Level, message: Clock, bus: can0}",
    ],
)
def test_a_name_in_two_messages_is_told_apart(entry):
    car = Car(fixed(entry))

    assert car.values((256, drive(level=9), 0), (512, "000007", 0)) == [7.0]


def test_a_name_on_two_buses_is_told_apart_by_the_bus():
    car = Car(fixed("{signal: Speed, bus: can1}"), buses=("can0", "can1"))

    assert car.values((256, drive(speed=100), 0, 0), (256, drive(speed=200), 0, 1)) == [2.0]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "{signal: Level}",
            "Level is the name of 2 signals: can0.Drive.Level, can0.Clock.Level; say which",
        ),
        ("{signal: Nothing}", "no database has a signal called Nothing"),
        ("{signal: speed}", "no database has a signal called speed; did you mean Speed?"),
        (
            "{signal: Speed, message: Clock}",
            "no signal called Speed in a message Clock; there is can0.Drive",
        ),
        ("{signal: Speed, bus: can7}", "no signal called Speed on a bus can7"),
        ("{signal: Speed, pgn: 61444}", "no signal called Speed with PGN 61444"),
        (
            "{signal: Speed, multiplexer: 1}",
            "no signal called Speed selected by its multiplexer = 1",
        ),
        ("{signal: PressureFL, multiplexer: 1}", "there is can0.Tyre.PressureFL (multiplexer 0)"),
        (
            "{signal: Speed, multiplexer: [{signal: Hour, value: 1}]}",
            "the multiplexer Hour is no signal of Drive",
        ),
        ("{signal: Speed, transform: {math: x +}}", "math 'x +', character 4: the expression ends"),
        ("{signal: Speed, transform: {math: y}}", "math 'y', character 1: y is not known here"),
        (
            "{signals: {a: Hour, b: Hour}, transform: {math: a+b}}",
            "two of its signals are the same one",
        ),
        (
            "{signal: Gear, transform: {mapping: [{from: X, to: 1}]}}",
            "Gear has no value called X; it has P, R",
        ),
        (
            "{signal: Gear, transform: {mapping: [{from: 0.5, to: 1}]}}",
            "Gear never has the value 0.5",
        ),
        ("{signal: Gear, transform: {mapping: [{from: P, to: far}]}}", "'far' is no number"),
    ],
)
def test_what_cannot_be_mapped_is_told_by_path_and_nothing_is_guessed(entry, problem):
    car = Car(fixed(entry))

    (told,) = car.problems
    assert told.startswith("Vehicle.A: ")
    assert problem in told


@pytest.mark.parametrize(
    ("datatype", "extra", "entry", "problem"),
    [
        ("string[]", "", "{signal: Speed}", "a leaf of datatype string[] cannot be mapped"),
        ("string", "", "{signal: Speed, transform: {math: x}}", "math gives a number"),
        ("string", "  pattern: '['\n", "{signal: Gear}", "'[' is no regular expression"),
        (
            "string",
            "  allowed: [A]\n",
            "{signal: Gear, transform: {mapping: [{from: P, to: B}]}}",
            "'B' is not among",
        ),
        (
            "uint8",
            "",
            "{signal: Gear, transform: {mapping: [{from: P, to: -1}]}}",
            "-1 is not among",
        ),
        (
            "boolean",
            "",
            "{signal: Gear, transform: {mapping: [{from: P, to: 2}]}}",
            "2 is neither true nor false",
        ),
    ],
)
def test_what_the_leaf_cannot_take_is_told(datatype, extra, entry, problem):
    car = Car(fixed(entry, datatype, extra))

    assert any(problem in told for told in car.problems)


def test_a_leaf_that_cannot_be_mapped_leaves_its_signal_under_its_own_name():
    car = Car(fixed("{signal: Hour, transform: {math: '('}}"), unmapped=True)

    assert car.hear((512, "05", 0)) == [("can0.Clock.Hour", 0, 5.0)]


def test_a_target_that_no_bus_has_is_told_too():
    car = Car(
        "Vehicle.A: {type: actuator, datatype: float, vss2dbc: {signal: Nothing}}\n"
        "Vehicle.B: {type: actuator, datatype: float, vss2dbc: {signal: Speed, transform: {math: 1/}}}\n"
    )

    assert car.problems == [
        "Vehicle.A: vss2dbc: no database has a signal called Nothing",
        "Vehicle.B: vss2dbc: character 3: the expression ends where a value is expected",
    ]


def test_a_strict_mapping_has_no_problems_or_does_not_exist():
    catalog = catalog_of([("a.vspec", fixed("{signal: Nothing}").encode())])

    with pytest.raises(BadInput, match=r"Vehicle.A: no database has a signal called Nothing"):
        compile_mapping(plan_of(), catalog, unmapped=False, strict=True)


def test_a_multiplexer_value_picks_the_instance():
    same = DBC.replace(b"PressureFL", b"Pressure").replace(b"PressureFR", b"Pressure")
    plan = plan_of(content=same)
    overlay = "".join(
        f"Vehicle.{side}: {{type: sensor, datatype: uint16, "
        f"dbc2vss: {{signal: Pressure, multiplexer: {value}}}}}\n"
        for value, side in enumerate(["Left", "Right"])
    )
    catalog = catalog_of([("a.vspec", overlay.encode())])
    mapping = compile_mapping(plan, catalog, unmapped=False)
    block = block_of([Frame(768, bytes.fromhex("00c800")), Frame(768, bytes.fromhex("01d200"))])

    samples = mapping.apply(make_decoder(plan).decode(block), block)

    assert mapping.problems == ()
    assert list(samples.rows()) == [("Vehicle.Left", 0, 200.0), ("Vehicle.Right", 0, 210.0)]


def test_a_multiplexer_value_picks_its_frames_of_a_signal_that_comes_with_several_values():
    """One signal for all wheels, extended multiplexing over a range: `multiplexer: 1` is one wheel."""
    wide = DBC.replace(b"PressureFL", b"Pressure").replace(
        b' SG_ PressureFR m1 : 8|16@1+ (1,0) [0|0] "kPa" X\n', b""
    )
    plan = plan_of(content=wide + b"SG_MUL_VAL_ 768 Pressure Which 0-3;\n")
    overlay = "".join(
        f"Vehicle.{side}: {{type: sensor, datatype: uint16, dbc2vss: "
        f"{{signal: Pressure, interval_ms: 0, multiplexer: {value}}}}}\n"
        for value, side in enumerate(["Left", "Right"])
    )
    catalog = catalog_of([("a.vspec", overlay.encode())])
    mapping = compile_mapping(plan, catalog, unmapped=False)
    frames = ("00c800", "01d200", "02dc00")
    block = block_of([Frame(768, bytes.fromhex(data)) for data in frames])

    samples = mapping.apply(make_decoder(plan).decode(block), block)

    assert mapping.problems == ()
    assert list(samples.rows()) == [("Vehicle.Left", 0, 200.0), ("Vehicle.Right", 0, 210.0)]


def test_a_signal_of_the_frame_can_select_like_a_multiplexer():
    car = Car(
        "Vehicle.Row1: {type: sensor, datatype: uint8, dbc2vss: "
        "{signal: Heat, interval_ms: 0, multiplexer: [{signal: Row, value: 1}]}}\n"
        "Vehicle.Row2: {type: sensor, datatype: uint8, dbc2vss: "
        "{signal: Heat, interval_ms: 0, multiplexer: [{signal: Row, value: 2}]}}\n"
    )

    told = car.hear((769, "0132", 0), (769, "0264", 1), (769, "0364", 2), (769, "0133", 3))

    assert told == [
        ("Vehicle.Row1", 0, 50.0),
        ("Vehicle.Row2", 1, 100.0),
        ("Vehicle.Row1", 3, 51.0),
    ]


EEC1 = 0x0CF00400 | EXTENDED


def test_a_parameter_group_tells_signals_of_one_name_apart():
    car = Car(fixed("{signal: EngineSpeed, pgn: 61444, interval_ms: 0}"))

    assert car.problems == []
    assert car.values((EEC1 | 0xFE, "ffffff401fffffff", 0)) == [1000.0]


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        ("ffffff00fbffffff", {}),  # 8,032 rpm is a value, if a high one
        ("ffffffff00feffff", {}),
        ("ffffff00fefffff0", {Refusal.NOT_AVAILABLE: 1}),
        ("ffffffffffffffff", {Refusal.NOT_AVAILABLE: 1}),
    ],
)
def test_error_and_not_available_codes_of_a_parameter_group_are_no_values(data, refused):
    car = Car(fixed("{signal: EngineSpeed, pgn: 61444}"))

    car.hear((EEC1 | 0xFE, data, 0))

    assert car.refused == refused


def test_two_codes_of_a_short_parameter_are_no_values():
    car = Car(fixed("{signal: Starter, pgn: 61444, interval_ms: 0}", "uint8"))

    told = car.values(*[(EEC1 | 0xFE, f"ffffffffffff{code:02x}ff", code) for code in range(12, 16)])

    assert told == [12, 13]


TIME = "{signals: {h: Hour, m: Minute}, interval_ms: 0, transform: {math: h*60+m}}"


def test_signals_of_one_frame_become_one_value():
    car = Car(fixed(TIME, "uint16"))

    assert car.problems == []
    assert car.hear((512, "0a1e00", 1), (512, "0a1f00", 2)) == [
        ("Vehicle.A", 1, 630.0),
        ("Vehicle.A", 2, 631.0),
    ]


def test_a_frame_too_short_for_one_part_makes_no_value():
    car = Car(fixed(TIME, "uint16"))

    assert car.hear((512, "0a", 1), (512, "0b0100", 2)) == [("Vehicle.A", 2, 661.0)]


APART = (
    "{signals: {m: Minute, s: Second}, interval_ms: 0, max_age_ms: 50, transform: {math: m*60+s}}"
)


def test_signals_of_two_frames_become_a_value_when_the_last_one_comes():
    car = Car(fixed(APART, "uint16"))

    assert car.hear((512, "000100", 0), (513, "05", 10)) == [("Vehicle.A", 10, 65.0)]


def test_each_part_is_used_once_so_that_no_value_is_torn():
    car = Car(fixed(APART, "uint16"))

    told = car.values(
        (512, "000100", 0),
        (513, "05", 5),
        (512, "000200", 10),
        (512, "000300", 20),
        (513, "06", 25),
    )

    assert told == [65, 186]  # never 2 * 60 + 5


def test_a_part_that_is_too_old_waits_for_its_next_frame():
    car = Car(fixed(APART, "uint16"))

    told = car.hear((512, "000100", 0), (513, "05", 51), (512, "000200", 60))

    assert told == [("Vehicle.A", 60, 125.0)]


def test_parts_may_come_in_different_blocks():
    car = Car(fixed(APART, "uint16"))

    assert car.hear((512, "000100", 0)) == []
    assert car.hear((513, "05", 10)) == [("Vehicle.A", 10, 65.0)]


def test_an_interval_thins_composed_values_and_limits_hold_for_them():
    car = Car(fixed(TIME.replace("interval_ms: 0", "interval_ms: 10"), "uint8"))

    told = car.hear(*[(512, f"0{hour}0000", hour * 5) for hour in range(6)])

    assert told == [("Vehicle.A", 0, 0.0), ("Vehicle.A", 10, 120.0), ("Vehicle.A", 20, 240.0)]
    assert car.values((512, "0a0000", 100)) == []
    assert car.refused == {Refusal.OUTSIDE_LIMITS: 1}


def test_an_unavailable_part_makes_no_value():
    car = Car(
        fixed(
            "{signals: {n: EngineSpeed, s: Starter}, pgn: 61444, interval_ms: 0, transform: {math: n+s}}"
        )
    )

    told = car.values((EEC1 | 0xFE, "ffffff401ffff1ff", 0), (EEC1 | 0xFE, "ffffffffff00f1ff", 1))

    assert told == [1001.0]
