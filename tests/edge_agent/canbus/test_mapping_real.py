"""What other mappings cannot say, on real databases and, where there is some, on real traffic."""

import csv
import lzma
from pathlib import Path
from typing import Any

import cantools
import pytest

from edge_agent.canbus import database
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.frames import EXTENDED, Frame, block_of
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.plan import BusDatabases, compile_plan
from fairway.catalog.load import catalog_of
from tests.shared_data import shared

Rows = dict[str, list[tuple[int, float | bool | str]]]


def mapped(path: Path, overlay: str, frames: list[Frame]) -> Rows:
    plan = compile_plan([BusDatabases("can0", (database.load(path),))])
    mapping = compile_mapping(
        plan, catalog_of([("overlay.vspec", overlay.encode())]), unmapped=False, strict=True
    )
    decoder, rows = make_decoder(plan), Rows()
    for start in range(0, len(frames), 256):
        block = block_of(frames[start : start + 256])
        for name, time_ns, value in mapping.apply(decoder.decode(block), block).rows():
            rows.setdefault(name, []).append((time_ns, value))
    return rows


def leaf(path: str, datatype: str, entry: str) -> str:
    return f"{path}:\n  type: sensor\n  datatype: {datatype}\n  dbc2vss: {entry}\n"


def candump(path: Path, channel: str) -> list[Frame]:
    frames = []
    with lzma.open(path, "rt") as file:
        for line in file:
            stamp, name, frame = line.split()
            if name != channel:
                continue
            can_id, data = frame.split("#")
            seconds, micros = stamp.strip("()").split(".")
            flag = EXTENDED if len(can_id) > 3 else 0
            time_ns = (int(seconds) * 10**6 + int(micros)) * 1000
            frames.append(Frame(int(can_id, 16) | flag, bytes.fromhex(data), time_ns))
    return frames


def message_of(theirs: cantools.database.Database, can_id: int) -> Any:
    return theirs.get_message_by_frame_id(can_id)


def test_two_messages_with_one_signal_name_feed_two_leaves():
    path = shared("edge/mapping/duplicate_signal_name.kcd")
    theirs = cantools.database.Database()
    theirs.add_kcd_file(path)
    frames = [
        Frame((0x16, 0x1A)[n % 2], bytes([n * 37 % 240]), (n + 1) * 1_000_000) for n in range(60)
    ]

    rows = mapped(
        path,
        leaf("Vehicle.First", "float", "{signal: SignalOne, message: First, interval_ms: 0}")
        + leaf("Vehicle.Second", "float", "{signal: Second.SignalOne, interval_ms: 0}"),
        frames,
    )

    for name, can_id in (("First", 0x16), ("Second", 0x1A)):
        assert rows[f"Vehicle.{name}"] == [
            (frame.time_ns, message_of(theirs, can_id).decode(frame.data)["SignalOne"])
            for frame in frames
            if frame.can_id == can_id
        ]


def test_a_value_of_the_multiplexer_is_an_instance():
    path = shared("edge/tesla_model3/DogMode.dbc")
    theirs = cantools.database.Database(strict=False)
    theirs.add_dbc_file(path)
    message = message_of(theirs, 0x243)
    frames = []
    for n in range(90):
        index = n % 3
        values = dict.fromkeys(
            (
                s.name
                for s in message.signals
                if s.multiplexer_ids is None or index in s.multiplexer_ids
            ),
            0.0,
        )
        values["VCRIGHT_hvacStatusIndex"] = index
        if index == 0:
            values["VCRIGHT_hvacCabinTempEst"] = 18.0 + n / 10
        if index == 1:
            values |= {"VCRIGHT_tempDuctLeft": n / 2, "VCRIGHT_tempDuctRight": 40 - n / 4}
        data = message.encode(values, strict=False)
        frames.append(Frame(0x243, data, (n + 1) * 1_000_000))

    rows = mapped(
        path,
        leaf(
            "Vehicle.Cabin.HVAC.AmbientAirTemperature",
            "float",
            "{signal: VCRIGHT_hvacCabinTempEst, multiplexer: 0, interval_ms: 0}",
        )
        + leaf(
            "Vehicle.Cabin.HVAC.Station.Row1.Left.Temperature",
            "float",
            "{signal: VCRIGHT_tempDuctLeft, multiplexer: [{signal: VCRIGHT_hvacStatusIndex, value: 1}], "
            "interval_ms: 0}",
        ),
        frames,
    )

    for path_, signal, index in (
        ("Vehicle.Cabin.HVAC.AmbientAirTemperature", "VCRIGHT_hvacCabinTempEst", 0),
        ("Vehicle.Cabin.HVAC.Station.Row1.Left.Temperature", "VCRIGHT_tempDuctLeft", 1),
    ):
        told = [n for n in range(len(frames)) if n % 3 == index]
        assert [time_ns for time_ns, _ in rows[path_]] == [frames[n].time_ns for n in told]
        expected = [message.decode(frames[n].data)[signal] for n in told]
        assert [value for _, value in rows[path_]] == pytest.approx(expected, abs=1e-9)


def test_two_signals_of_a_toyota_are_one_steering_angle_and_it_is_the_cars_own():
    drive = "edge/rav4_comma2k19"
    frames = candump(shared(f"{drive}/rav4_2017_comma2k19_seg40.candump.log.xz"), "can0")
    with shared(f"{drive}/rav4_truth_steering.csv").open(newline="") as file:
        truth = [
            (round(float(row["unix_time_s"]) * 1e6), float(row["steering_angle_deg"]))
            for row in csv.DictReader(file)
        ]

    rows = mapped(
        shared("can/dbc/opendbc/toyota_new_mc_pt_generated.dbc"),
        leaf(
            "Vehicle.Chassis.SteeringWheel.Angle",
            "double",
            "{message: STEER_ANGLE_SENSOR, signals: {whole: STEER_ANGLE, fraction: STEER_FRACTION}, "
            "interval_ms: 0, transform: {math: whole + fraction}}",
        ),
        [frame for frame in frames if frame.can_id == 0x25],
    )

    ours = rows["Vehicle.Chassis.SteeringWheel.Angle"]
    assert [round(time_ns / 1000) for time_ns, _ in ours] == [time_us for time_us, _ in truth]
    assert [value for _, value in ours] == pytest.approx([value for _, value in truth], abs=1e-9)


def test_a_parameter_group_is_found_whoever_sends_it():
    frames = candump(shared("can/logs/css-electronics/j1939-truck-a.candump.log.xz"), "can1")
    engine = [frame for frame in frames if frame.can_id & 0x1FFFFFFF == 0x0CF00400]
    assert engine, "the truck's engine has the address 0, the database says 0xFE"

    rows = mapped(
        shared("edge/css_canedge/CSS-Electronics-SAE-J1939-DEMO.dbc"),
        leaf(
            "Vehicle.Powertrain.CombustionEngine.Speed",
            "float",
            "{signal: EngineSpeed, pgn: 61444, interval_ms: 0}",
        ),
        frames,
    )

    # SAE J1939-71, SPN 190: bytes 4 and 5, 0.125 rpm a bit; 0xFE00 and above are no values.
    raw = [(frame.time_ns, int.from_bytes(frame.data[3:5], "little")) for frame in engine]
    expected = [(time_ns, value * 0.125) for time_ns, value in raw if value < 0xFE00]
    assert len(expected) > 1000
    assert rows["Vehicle.Powertrain.CombustionEngine.Speed"] == expected
