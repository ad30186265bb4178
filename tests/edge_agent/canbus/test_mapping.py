"""From frames to samples through a mapping: what each key of an entry does."""

import math

import pytest

from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.frames import Frame, block_of
from edge_agent.canbus.mapping_steps import Refusal
from fairway.samples import Kind
from tests.edge_agent.canbus.mapping_car import Car, drive, fixed


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


def test_a_block_of_nothing_is_a_block_of_nothing():
    car = Car(fixed("{signal: Speed}"))

    assert car.hear((0x7FF, "00", 0)) == []
    assert car.hear() == []


def test_a_mapping_of_nothing_maps_nothing():
    car = Car("Vehicle.A: {type: sensor, datatype: float}")

    assert len(car.mapping.table) == 0
    assert car.hear((256, drive(speed=1), 0)) == []
