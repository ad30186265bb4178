"""Whole drives through a mapping: a frame-by-frame reference, and the CAN provider's real Tesla."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.canbus.database import load, loads
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.frames import Frame, block_of
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.plan import BusDatabases, compile_plan
from edge_agent.canbus.sift import by_rounds
from fairway.catalog.load import catalog_of, load_catalog
from fairway.clock import NS_PER_MS
from tests.shared_data import shared

DBC = b"""VERSION ""
BU_: X
BO_ 1 One: 2 X
 SG_ A : 0|8@1+ (1,0) [0|0] "" X
 SG_ B : 8|8@1+ (1,0) [0|0] "" X
BO_ 2 Two: 1 X
 SG_ C : 0|8@1+ (1,0) [0|0] "" X
VAL_ 2 C 0 "zero" 1 "one" 2 "two" ;
"""
# Leaf -> what one frame's signals give it (None: nothing), as plainly as it can be said.
LEAVES = {
    "Vehicle.A": ("float", "{signal: A, interval_ms: 0}", lambda s: s.get("A")),
    "Vehicle.AA": ("float", "{signal: A, interval_ms: 7, on_change: true}", lambda s: s.get("A")),
    "Vehicle.Inverse": (
        "float",
        "{signal: A, interval_ms: 3, transform: {math: 6/x}}",
        lambda s: 6 / s["A"] if s.get("A") else None,
    ),
    "Vehicle.Both": (
        "uint8",
        "{signals: {a: A, b: B}, interval_ms: 0, on_change: true, transform: {math: a*10+b}}",
        lambda s: v if "A" in s and (v := s["A"] * 10 + s["B"]) < 256 else None,
    ),
    "Vehicle.Word": (
        "string",
        "{signal: C, on_change: true}",
        lambda s: ["zero", "one", "two", "3"][s["C"]] if "C" in s else None,
    ),
    "Vehicle.Is": (
        "boolean",
        "{signal: C, interval_ms: 2, transform: {mapping: [{from: one, to: true}, {from: two, to: false}]}}",
        lambda s: {1: True, 2: False}.get(s.get("C")),
    ),
}
FROM = {"Vehicle.Word": "C", "Vehicle.Is": "C"}
PLAN = compile_plan([BusDatabases("can0", (loads(DBC, name="car", suffix=".dbc"),))])
CATALOG = catalog_of(
    [
        (
            "car.vspec",
            "".join(
                f"{path}: {{type: sensor, datatype: {kind}, dbc2vss: {entry}}}\n"
                for path, (kind, entry, _) in LEAVES.items()
            ).encode(),
        )
    ]
)
ENTRIES = {leaf.path: leaf.dbc2vss for leaf in CATALOG if leaf.dbc2vss is not None}

one = st.tuples(st.just(1), st.tuples(st.integers(0, 30), st.integers(0, 3)))
two = st.tuples(st.just(2), st.tuples(st.integers(0, 3)))
drives = st.lists(st.tuples(one | two, st.integers(0, 4)), max_size=60)


def frames_of(drive):
    time_ms, frames = 0, []
    for (can_id, data), wait_ms in drive:
        time_ms += wait_ms
        frames.append(Frame(can_id, bytes(data), time_ms * NS_PER_MS))
    return frames


def one_by_one(frames):
    """Interval, transform, change, publish: frame by frame, leaf by leaf, as the CAN provider does."""
    last_time: dict[str, int] = {}
    last_value: dict[str, object] = {}
    told = []
    for frame in frames:
        names = ("A", "B") if frame.can_id == 1 else ("C",)
        signals = dict(zip(names, frame.data, strict=True))
        for path, (_, _, value_of) in LEAVES.items():
            entry = ENTRIES[path]
            if FROM.get(path, "A") not in signals:
                continue
            if (
                path in last_time
                and frame.time_ns - last_time[path] < entry.interval_ms * NS_PER_MS
            ):
                continue
            last_time[path] = frame.time_ns
            value = value_of(signals)
            if value is None or (entry.on_change and last_value.get(path) == value):
                continue
            last_value[path] = value
            told.append((path, frame.time_ns, value))
    return told


def mapped(frames, block_frames, sift):
    mapping, decoder = compile_mapping(PLAN, CATALOG, unmapped=False, sift=sift), make_decoder(PLAN)
    told: list[tuple[str, int, float | bool | str]] = []
    for start in range(0, len(frames), block_frames):
        block = block_of(frames[start : start + block_frames])
        told.extend(mapping.apply(decoder.decode(block), block).rows())
    return told


@settings(max_examples=150)
@given(drive=drives, block_frames=st.integers(1, 61), sift=st.sampled_from([None, by_rounds]))
def test_blocks_of_any_size_tell_what_frame_by_frame_would(drive, block_frames, sift):
    frames = frames_of(drive)

    told = mapped(frames, block_frames, sift)

    def ordered(rows):
        return sorted(rows, key=lambda row: (row[1], row[0]))

    assert ordered(told) == ordered(one_by_one(frames))
    assert [time_ns for _, time_ns, _ in told] == sorted(time_ns for _, time_ns, _ in told)


def candump(path):
    """The frames of a small candump text."""
    for line in path.read_text().splitlines():
        stamp, _, frame = line.split()
        can_id, data = frame.split("#")
        seconds, micros = stamp.strip("()").split(".")
        yield Frame(
            int(can_id, 16), bytes.fromhex(data), (int(seconds) * 10**6 + int(micros)) * 1000
        )


@pytest.fixture(scope="module")
def tesla():
    """Every sample that the mapping of the CAN provider's own test makes of its log, and what it refused."""
    folder = shared("edge/tesla_model3")
    plan = compile_plan([BusDatabases("vcan0", (load(folder / "it-can.dbc"),))])
    catalog = load_catalog([folder / "it-vss_4.0-dogmode.json", folder / "it-mapping.vspec"])
    mapping = compile_mapping(plan, catalog, unmapped=True)
    decoder, frames = make_decoder(plan), list(candump(folder / "it-candump0.log"))
    samples: dict[str, list[tuple[int, float | bool | str]]] = {}
    for start in range(0, len(frames), 256):
        block = block_of(frames[start : start + 256])
        for name, time_ns, value in mapping.apply(decoder.decode(block), block).rows():
            samples.setdefault(name, []).append((time_ns, value))
    return mapping, samples, frames


def test_the_tesla_mapping_loads_unchanged_and_tells_its_one_ambiguity(tesla):
    mapping, _, _ = tesla

    paths = [problem.path for problem in mapping.problems]
    assert paths == [
        "Vehicle.Powertrain.ElectricMotor.Temperature",  # vss2dbc for a sensor
        "Vehicle.Powertrain.TractionBattery.Charging.IsCharging",  # a name in two messages
    ]


def test_the_tesla_log_drives_sanely(tesla):
    mapping, samples, frames = tesla
    seconds = (frames[-1].time_ns - frames[0].time_ns) / 1e9
    speed = np.array([value for _, value in samples["Vehicle.Speed"]])
    load_percent = [value for _, value in samples["Vehicle.OBD.EngineLoad"]]

    assert speed.min() == 72
    assert speed.max() == 104
    assert np.abs(np.diff(speed)).max() <= 2
    assert all(value == math.floor(value) and 0 <= value <= 20 for value in load_percent)
    assert {value for _, value in samples["Vehicle.Powertrain.Transmission.CurrentGear"]} == {1}
    assert {v for _, v in samples["Vehicle.Powertrain.Transmission.IsParkLockEngaged"]} == {False}
    assert seconds * 8 < len(speed) <= seconds * 10 + 1  # every 100 ms
    assert not any(mapping.refused.values())


def test_the_tesla_log_keeps_its_unmapped_signals(tesla):
    _, samples, frames = tesla

    raw = samples["vcan0.ID118DriveSystemStatus.DI_brakePedalState"]
    assert len(raw) == sum(frame.can_id == 0x118 for frame in frames)
    assert "vcan0.ID257DIspeed.DI_uiSpeed" not in samples
