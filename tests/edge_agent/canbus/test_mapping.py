"""From frames to samples through a mapping: what each key of an entry does, and what is refused."""

import math

import pytest

from edge_agent.canbus.database import loads
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.frames import EXTENDED, Frame, block_of
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.mapping_steps import Refusal
from edge_agent.canbus.plan import BusDatabases, compile_plan
from fairway.catalog.load import catalog_of
from fairway.clock import NS_PER_MS
from fairway.errors import BadInput
from fairway.samples import Kind

DBC = b"""VERSION ""
BU_: X
BO_ 256 Drive: 8 X
 SG_ Speed : 0|16@1+ (0.01,0) [0|655.35] "km/h" X
 SG_ Torque : 16|16@1- (0.5,-10) [0|0] "Nm" X
 SG_ Gear : 32|3@1+ (1,0) [0|7] "" X
 SG_ Brake : 35|1@1+ (1,0) [0|1] "" X
 SG_ Level : 40|8@1+ (1,0) [0|255] "" X
 SG_ Wide : 48|16@1+ (1,0) [0|0] "" X
BO_ 512 Clock: 3 X
 SG_ Hour : 0|8@1+ (1,0) [0|23] "" X
 SG_ Minute : 8|8@1+ (1,0) [0|59] "" X
 SG_ Level : 16|8@1+ (1,0) [0|100] "%" X
BO_ 513 Seconds: 1 X
 SG_ Second : 0|8@1+ (1,0) [0|59] "" X
BO_ 768 Tyre: 3 X
 SG_ Which M : 0|8@1+ (1,0) [0|3] "" X
 SG_ PressureFL m0 : 8|16@1+ (1,0) [0|0] "kPa" X
 SG_ PressureFR m1 : 8|16@1+ (1,0) [0|0] "kPa" X
BO_ 769 Seat: 2 X
 SG_ Row : 0|8@1+ (1,0) [0|3] "" X
 SG_ Heat : 8|8@1+ (1,0) [0|100] "%" X
BO_ 800 Real: 8 X
 SG_ Exact : 0|32@1- (1,0) [0|0] "" X
BO_ 2364540158 EEC1: 8 X
 SG_ EngineSpeed : 24|16@1+ (0.125,0) [0|8031.875] "rpm" X
 SG_ Starter : 48|4@1+ (1,0) [0|15] "" X
BO_ 2566834686 EEC2: 8 X
 SG_ EngineSpeed : 0|16@1+ (1,0) [0|0] "rpm" X
VAL_ 256 Gear 0 "P" 1 "R" 2 "N" 3 "D" ;
VAL_ 256 Wide 0 "OFF" 40000 "ON" ;
SIG_VALTYPE_ 800 Exact : 1;
"""


def fixed(entry, datatype="float", extra=""):
    return f"Vehicle.A:\n  type: sensor\n  datatype: {datatype}\n{extra}  dbc2vss: {entry}\n"


def plan_of(*names, content=DBC):
    database = loads(content, name="car", suffix=".dbc")
    return compile_plan([BusDatabases(name, (database,)) for name in names or ("can0",)])


class Car:
    """Frames in, samples out."""

    def __init__(self, *overlays, unmapped=False, buses=("can0",), sift=None):
        self.plan = plan_of(*buses)
        catalog = catalog_of([(f"{n}.vspec", text.encode()) for n, text in enumerate(overlays)])
        self.mapping = compile_mapping(self.plan, catalog, unmapped=unmapped, sift=sift)
        self._decoder = make_decoder(self.plan)

    def hear(self, *frames):
        """(id, hex, time_ms[, bus]) ... as one block -> (name, time_ms, value) ..."""
        block = block_of(
            [
                Frame(can_id, bytes.fromhex(data), time_ms * NS_PER_MS, *bus)
                for can_id, data, time_ms, *bus in frames
            ]
        )
        samples = self.mapping.apply(self._decoder.decode(block), block)
        return [(name, time_ns // NS_PER_MS, value) for name, time_ns, value in samples.rows()]

    def values(self, *frames):
        return [value for _, _, value in self.hear(*frames)]

    @property
    def problems(self):
        return [str(problem) for problem in self.mapping.problems]

    @property
    def refused(self):
        return {reason: count for reason, count in self.mapping.refused.items() if count}


def drive(speed=0, torque=0, gear=0, brake=0, level=0, wide=0):
    raw = speed | (torque & 0xFFFF) << 16 | (gear | brake << 3) << 32 | level << 40 | wide << 48
    return raw.to_bytes(8, "little").hex()


def test_a_signal_becomes_the_value_of_its_leaf_at_the_time_of_its_frame():
    car = Car(fixed("{signal: Speed, interval_ms: 0}"))

    assert car.problems == []
    assert car.hear((256, drive(speed=1234), 7)) == [("Vehicle.A", 7, 12.34)]


def test_samples_keep_the_order_of_their_frames():
    car = Car(
        "Vehicle.A: {type: sensor, datatype: float, dbc2vss: {signal: Speed, interval_ms: 0}}\n"
        "Vehicle.B: {type: sensor, datatype: float, dbc2vss: {signal: Hour, interval_ms: 0}}\n"
        "Vehicle.C: {type: sensor, datatype: uint8, dbc2vss: {signal: Hour, interval_ms: 0}}\n"
    )

    told = car.hear((512, "050000", 3), (256, drive(speed=100), 1), (512, "060000", 2))

    assert told == [
        ("Vehicle.B", 3, 5.0),
        ("Vehicle.C", 3, 5.0),
        ("Vehicle.A", 1, 1.0),
        ("Vehicle.B", 2, 6.0),
        ("Vehicle.C", 2, 6.0),
    ]


def test_signals_without_a_mapping_keep_their_own_name():
    car = Car(fixed("{signal: Speed, interval_ms: 0}"), unmapped=True)

    told = car.hear((256, drive(speed=100, torque=-30, gear=3), 0))

    assert told == [
        ("Vehicle.A", 0, 1.0),
        ("can0.Drive.Torque", 0, -25.0),
        ("can0.Drive.Gear", 0, 3.0),
        ("can0.Drive.Brake", 0, 0.0),
        ("can0.Drive.Level", 0, 0.0),
        ("can0.Drive.Wide", 0, 0.0),
    ]


def test_the_table_says_kind_unit_grid_and_message():
    car = Car(
        "Vehicle.A: {type: sensor, datatype: float, unit: km/h, dbc2vss: {signal: Speed}}\n"
        "Vehicle.B: {type: sensor, datatype: float, dbc2vss: {signal: Torque}}\n"
        "Vehicle.C: {type: sensor, datatype: double, dbc2vss: {signal: Torque, transform: {math: x/2+1}}}\n"
        "Vehicle.D: {type: sensor, datatype: int16, dbc2vss: {signal: Torque}}\n"
        "Vehicle.E: {type: sensor, datatype: float, dbc2vss: {signal: Torque, transform: {math: x*x}}}\n"
        "Vehicle.F: {type: sensor, datatype: float, dbc2vss: {signal: Exact}}\n"
        "Vehicle.G: {type: sensor, datatype: boolean, dbc2vss: {signal: Brake}}\n"
        "Vehicle.H: {type: sensor, datatype: string, dbc2vss: {signal: Gear}}\n",
        unmapped=True,
    )

    rows = [(s.name, s.kind, s.unit, s.scale, s.offset) for s in car.mapping.table.signals[:9]]
    assert rows == [
        ("Vehicle.A", Kind.NUMBER, "km/h", 0.01, 0.0),
        ("Vehicle.B", Kind.NUMBER, "Nm", 0.5, -10.0),
        ("Vehicle.C", Kind.NUMBER, "", 0.25, -4.0),
        ("Vehicle.D", Kind.NUMBER, "Nm", 1.0, 0.0),
        ("Vehicle.E", Kind.NUMBER, "", 0.0, 0.0),
        ("Vehicle.F", Kind.NUMBER, "", 0.0, 0.0),
        ("Vehicle.G", Kind.BOOL, "", 0.0, 0.0),
        ("Vehicle.H", Kind.TEXT, "", 0.0, 0.0),
        ("can0.Drive.Level", Kind.NUMBER, "", 1.0, 0.0),
    ]
    groups = {s.name: s.group for s in car.mapping.table.signals}
    assert groups["Vehicle.A"] == groups["can0.Drive.Level"] != groups["can0.Clock.Hour"]


@pytest.mark.parametrize("math", ["x*3.6", "(x+100)/40", "-x", "32 - x/2", "3*(x-1)+x"])
def test_a_linear_formula_gives_values_on_a_grid_as_close_as_floats_come(math):
    car = Car(fixed(f"{{signal: Speed, interval_ms: 0, transform: {{math: '{math}'}}}}"))
    raw = [0, 1, 7, 29, 655, 65535]

    told = car.values(*[(256, drive(speed=speed), time) for time, speed in enumerate(raw)])

    (signal,) = car.mapping.table
    steps = [round((value - signal.offset) / signal.scale) for value in told]
    assert [step * signal.scale + signal.offset for step in steps] == told  # bit for bit
    written = [eval(math, {"x": speed * 0.01}) for speed in raw]
    assert told == pytest.approx(written, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("transform", "scale"),
    [
        ("{math: floor(x*10)}", 1.0),
        ("{math: x*x}", 0.0),
        ("{mapping: [{from: 0, to: 3}, {from: 1, to: -1}]}", 1.0),
        ("{mapping: [{from: 0, to: 0.5}]}", 0.0),
    ],
)
def test_a_transform_to_whole_numbers_is_known_to_give_them(transform, scale):
    car = Car(fixed(f"{{signal: Speed, transform: {transform}}}"))

    assert car.problems == []
    assert car.mapping.table[0].scale == scale


def test_an_interval_of_a_second_is_the_default():
    car = Car(fixed("{signal: Speed}"))

    told = car.hear(*[(256, drive(speed=time), time) for time in range(0, 2500, 100)])

    assert [time for _, time, _ in told] == [0, 1000, 2000]


def test_a_sample_that_is_due_uses_the_interval_up_even_if_unchanged():
    car = Car(fixed("{signal: Gear, interval_ms: 100, on_change: true}"))
    gears = {0: 0, 100: 0, 150: 3, 200: 3, 250: 0, 300: 3}

    told = car.hear(*[(256, drive(gear=gear), time) for time, gear in gears.items()])

    assert [(time, value) for _, time, value in told] == [(0, 0.0), (200, 3.0)]


def test_what_a_filter_remembers_outlives_a_block():
    car = Car(fixed("{signal: Gear, on_change: true}"))

    told = [car.values((256, drive(gear=gear), time)) for time, gear in enumerate([0, 0, 3, 3, 0])]

    assert told == [[0.0], [], [3.0], [], [0.0]]


@pytest.mark.parametrize(
    ("datatype", "transform", "frame", "value"),
    [
        ("float", "{math: 'x*2'}", {"speed": 150}, 3.0),
        ("int8", "{math: 'floor((x*40)-100)'}", {"speed": 213}, -15),
        ("uint8", "{math: 'x*100'}", {"speed": 29}, 29),  # 28.999999999999996
        ("uint8", "{math: 'x'}", {"speed": 199}, 1),
        ("int8", "{math: '0-x'}", {"speed": 199}, -1),
        ("boolean", "{math: 'x > 1'}", {"speed": 150}, True),
        ("boolean", "{math: 'x > 2'}", {"speed": 150}, False),
        ("int8", "{mapping: [{from: D, to: 1}, {from: R, to: -1}]}", {"gear": 1}, -1),
        ("int8", "{mapping: [{from: D, to: 1}, {from: 3, to: 2}]}", {"gear": 3}, 1),
        ("boolean", "{mapping: [{from: P, to: true}]}", {"gear": 0}, True),
        ("boolean", "{mapping: [{from: P, to: 'no'}]}", {"gear": 0}, False),
        ("string", "{mapping: [{from: P, to: PARK}]}", {"gear": 0}, "PARK"),
        ("string", "{mapping: [{from: 5, to: 5}]}", {"gear": 5}, "5"),
        ("float", "{mapping: [{from: 0.5, to: 7.5}]}", {"speed": 50}, 7.5),
        ("boolean", "{mapping: [{from: ON, to: on}, {from: 7, to: off}]}", {"wide": 40000}, True),
        ("boolean", "{mapping: [{from: ON, to: on}, {from: 7, to: off}]}", {"wide": 7}, False),
        ("boolean", "{mapping: [{from: true, to: false}]}", {"brake": 1}, False),
    ],
)
def test_a_transform_makes_the_value(datatype, transform, frame, value):
    (name,) = (
        {"speed": "Speed", "gear": "Gear", "wide": "Wide", "brake": "Brake"}[k] for k in frame
    )
    car = Car(fixed(f"{{signal: {name}, transform: {transform}}}", datatype))

    assert car.problems == []
    assert car.values((256, drive(**frame), 0)) == [value]


def test_a_value_no_row_is_for_is_ignored_and_counted():
    car = Car(fixed("{signal: Gear, transform: {mapping: [{from: D, to: 1}]}}", "int8"))

    assert car.values((256, drive(gear=2), 0)) == []
    assert car.values((256, drive(gear=7), 2000)) == []
    assert car.mapping.refused_by_leaf() == {"Vehicle.A": {Refusal.NO_MATCH: 2}}


def test_a_wide_table_is_looked_up_as_a_narrow_one_is():
    car = Car(
        fixed("{signal: Wide, interval_ms: 0, transform: {mapping: [{from: ON, to: 1}]}}", "int8")
    )

    assert car.values((256, drive(wide=40000), 0), (256, drive(wide=40001), 1)) == [1]
    assert car.refused == {Refusal.NO_MATCH: 1}


def test_a_formula_without_a_value_is_ignored_counted_and_uses_the_interval_up():
    car = Car(fixed("{signal: Level, message: Drive, interval_ms: 100, transform: {math: 10/x}}"))

    told = car.hear((256, drive(level=0), 0), (256, drive(level=5), 50), (256, drive(level=5), 100))

    assert told == [("Vehicle.A", 100, 2.0)]
    assert car.refused == {Refusal.NO_VALUE: 1}


def test_a_float_that_is_no_number_becomes_no_sample_of_a_leaf_but_one_of_its_own_name():
    mapped, raw = Car(fixed("{signal: Exact}")), Car(unmapped=True)
    nan = (800, "0000c07f00000000", 0)

    assert mapped.values(nan) == []
    assert mapped.refused == {Refusal.NO_VALUE: 1}
    assert math.isnan(raw.values(nan)[0])


@pytest.mark.parametrize(
    ("datatype", "extra", "speed"),
    [
        ("uint8", "", 25600),
        ("float", "  max: 100\n", 10001),
        ("float", "  min: 1\n", 99),
        ("uint16", "  allowed: [1, 2]\n", 300),
    ],
)
def test_a_value_outside_the_leaf_is_dropped_and_counted(datatype, extra, speed):
    car = Car(fixed("{signal: Speed, interval_ms: 0}", datatype, extra))

    assert car.values((256, drive(speed=speed), 0), (256, drive(speed=200), 1)) == [2]
    assert car.refused == {Refusal.OUTSIDE_LIMITS: 1}


def test_a_string_leaf_says_the_text_of_the_value_or_its_number():
    car = Car(fixed("{signal: Gear, interval_ms: 0}", "string"))

    assert car.values(
        (256, drive(gear=3), 0), (256, drive(gear=6), 1), (256, drive(gear=0), 2)
    ) == [
        "D",
        "6",
        "P",
    ]


def test_a_string_leaf_says_only_what_it_may():
    allowed = Car(fixed("{signal: Gear, interval_ms: 0}", "string", "  allowed: [P, D]\n"))
    shaped = Car(fixed("{signal: Gear, interval_ms: 0}", "string", "  pattern: '[A-M]'\n"))
    frames = [(256, drive(gear=gear), gear) for gear in range(8)]

    assert allowed.values(*frames) == ["P", "D"]
    assert shaped.values(*frames) == ["D"]
    assert allowed.refused == {Refusal.NO_MATCH: 6}


def test_a_block_carries_only_the_texts_it_says():
    car = Car(fixed("{signal: Gear, interval_ms: 0}", "string"))
    block = block_of([Frame(256, bytes.fromhex(drive(gear=3)))])

    samples = car.mapping.apply(make_decoder(car.plan).decode(block), block)

    assert (samples.texts, samples.value.tolist()) == (("D",), [0.0])


def test_unnamed_numbers_do_not_fill_the_memory_with_texts(monkeypatch):
    monkeypatch.setattr("edge_agent.canbus.mapping_steps.TEXTS_MAX", 10)
    car = Car(fixed("{signal: Speed, interval_ms: 0}", "string"))

    told = car.values(*[(256, drive(speed=speed * 50), speed) for speed in range(20)])

    assert told == ["0", "0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4", "4.5"]
    assert car.refused == {Refusal.NO_MATCH: 10}


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


def test_a_block_of_nothing_is_a_block_of_nothing():
    car = Car(fixed("{signal: Speed}"))

    assert car.hear((0x7FF, "00", 0)) == []
    assert car.hear() == []


def test_a_mapping_of_nothing_maps_nothing():
    car = Car("Vehicle.A: {type: sensor, datatype: float}")

    assert len(car.mapping.table) == 0
    assert car.hear((256, drive(speed=1), 0)) == []
