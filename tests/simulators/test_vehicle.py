"""A simulated vehicle sends every message of its databases on time, and what it sends is the physics."""

import hashlib
from collections import Counter

import numpy as np
import pytest

from edge_agent.canbus.database import load
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.frames import EXTENDED, FD, FrameBlock, joined
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.plan import BusDatabases, Plan, compile_plan
from fairway.catalog.load import load_catalog
from fairway.errors import BadInput, Conflict
from simulators.vehicle import DATABASES, START_TIME_NS, Options, Vehicle

FILES = {"ev": ("fairway_ev", "fairway_ev_fd"), "truck": ("fairway_truck",)}
SECONDS = 12


def plan_of(profile: str) -> Plan:
    return compile_plan(
        [
            BusDatabases(f"can{bus}", (load(DATABASES / f"{name}.dbc"),))
            for bus, name in enumerate(FILES[profile])
        ]
    )


def frames_of(options: Options, seconds: int = SECONDS) -> FrameBlock:
    vehicle = Vehicle(options)
    return joined([vehicle.advance(100) for _ in range(seconds)])


def digest(frames: FrameBlock) -> str:
    columns = (
        frames.bus,
        frames.can_id,
        frames.time_ns,
        frames.flags,
        frames.offset,
        frames.payload,
    )
    return hashlib.sha256(b"".join(column.tobytes() for column in columns)).hexdigest()


@pytest.fixture(scope="module")
def ev() -> FrameBlock:
    return frames_of(Options(cycle="us06", seed=5), 30)


@pytest.fixture(scope="module")
def truck() -> FrameBlock:
    return frames_of(Options(profile="truck", cycle="hwfet", seed=5), 30)


@pytest.mark.parametrize("profile", ["ev", "truck"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(profile: str):
    once, again, other = (
        digest(frames_of(Options(profile=profile, seed=seed), 5)) for seed in (3, 3, 4)
    )

    assert once == again
    assert once != other


def test_however_time_is_cut_the_bytes_are_the_same():
    whole = frames_of(Options(seed=3), 2)
    vehicle = Vehicle(Options(seed=3))
    pieces = joined([vehicle.advance(ticks) for ticks in (1, 7, 92, 99, 1)])

    assert digest(pieces) == digest(whole)


@pytest.mark.parametrize("profile", ["ev", "truck"])
def test_every_message_is_sent_at_its_cycle_time(profile: str, request: pytest.FixtureRequest):
    frames = request.getfixturevalue(profile)
    sent = Counter(zip(frames.bus.tolist(), frames.can_id.tolist(), strict=True))

    for bus, name in enumerate(FILES[profile]):
        for message in load(DATABASES / f"{name}.dbc").messages:
            can_id = message.frame_id | (EXTENDED if message.is_extended else 0)
            assert message.cycle_time_ms is not None
            due = 30_000 / message.cycle_time_ms
            assert sent[bus, can_id] == pytest.approx(due, abs=1.0), message.name


def test_cycle_times_hold_to_within_what_the_bus_needs(ev: FrameBlock):
    wheel_speeds = ev.time_ns[ev.can_id == 0x0D0]
    off_ms = np.diff(wheel_speeds) / 1e6 - 10.0

    assert np.max(np.abs(off_ms)) < 3.0
    assert (wheel_speeds[-1] - wheel_speeds[0]) / 1e6 == pytest.approx(
        10.0 * (len(wheel_speeds) - 1), abs=3.0
    )


@pytest.mark.parametrize(("profile", "least", "most"), [("ev", 700, 1500), ("truck", 150, 500)])
def test_the_buses_carry_what_such_buses_carry(profile: str, least: int, most: int):
    vehicle = Vehicle(Options(profile=profile))
    frames = vehicle.advance(500)

    assert least <= len(frames) / 5.0 <= most
    assert all(0.02 < load < 0.6 for load in vehicle.bus_loads)


def test_stamps_never_go_back_and_one_bus_never_sends_two_frames_at_once(ev: FrameBlock):
    assert np.all(np.diff(ev.time_ns) >= 0)
    for bus, shortest_ns in ((0, 170_000), (1, 60_000)):
        assert np.min(np.diff(ev.time_ns[ev.bus == bus])) >= shortest_ns


def test_only_the_fast_bus_sends_fd_frames(ev: FrameBlock):
    is_fd = (ev.flags & FD) != 0

    assert np.array_equal(is_fd, ev.bus == 1)
    assert np.max(np.diff(ev.offset)[is_fd]) == 64


def test_nothing_that_is_sent_is_refused_by_the_decoder(ev: FrameBlock, truck: FrameBlock):
    for profile, frames in (("ev", ev), ("truck", truck)):
        plan = plan_of(profile)
        decoded = make_decoder(plan).decode(frames)

        assert sum(decoded.refusals) == 0
        never = {plan.signals[n].name for n in set(range(len(plan.signals))) - set(decoded.signal)}
        assert never == set()


@pytest.mark.parametrize("profile", ["ev", "truck"])
def test_every_mapped_leaf_gets_values_and_none_is_refused(
    profile: str, request: pytest.FixtureRequest
):
    plan, frames = plan_of(profile), request.getfixturevalue(profile)
    overlays = [DATABASES / f"{name}.vspec" for name in FILES[profile]]
    catalogue = load_catalog([DATABASES / "fairway_vss.json", *overlays])
    mapping = compile_mapping(plan, catalogue, unmapped=False)

    samples = mapping.apply(make_decoder(plan).decode(frames), frames)

    silent = {
        signal.name for number, signal in enumerate(mapping.table) if number not in samples.signal
    }
    assert silent == set()
    assert sum(mapping.refused.values()) == 0


def test_what_is_decoded_is_the_physics_on_the_grid_of_the_signals():
    vehicle, decoder = Vehicle(Options(cycle="us06", seed=9)), make_decoder(plan_of("ev"))
    vehicle.advance(3000)
    # The last frame of a 10 ms message is of the last view.
    frames = list(vehicle.advance(1).frames()) + list(vehicle.advance(1).frames())
    seen: dict[str, float] = {}
    for frame in frames:
        seen |= decoder.decode_frame(frame.can_id, frame.data, frame.bus)
    view = vehicle.view
    assert view is not None

    assert view.speed_km_h > 20.0
    assert seen["VehicleSpeed"] == pytest.approx(view.speed_km_h, abs=0.005)
    assert seen["MotorTorque"] == pytest.approx(view.torque_nm, abs=0.05)
    assert seen["MotorSpeed"] == pytest.approx(view.motor_rpm, abs=0.5)
    assert seen["PackVoltage"] == pytest.approx(view.voltage_v, abs=0.005)
    assert seen["PackCurrent"] == pytest.approx(-view.current_a, abs=0.025)
    assert seen["SteeringAngle"] == pytest.approx(view.steering_deg, abs=0.05)
    assert seen["ImuAccelerationY"] == pytest.approx(view.lateral_m_s2, abs=1e-5)


def test_every_value_stays_inside_the_range_its_database_declares(ev: FrameBlock):
    plan = plan_of("ev")
    decoded = make_decoder(plan).decode(ev)
    least = np.full(len(plan.signals), np.inf)
    most = -least
    np.minimum.at(least, decoded.signal, decoded.value)
    np.maximum.at(most, decoded.signal, decoded.value)

    for number, entry in enumerate(plan.signals):
        low, high, step = entry.signal.minimum, entry.signal.maximum, entry.signal.scale
        if low is not None and high is not None and low < high:
            assert low - step / 2 <= least[number], entry.name
            assert most[number] <= high + step / 2, entry.name


def test_every_cell_every_tyre_and_every_track_has_its_turn(ev: FrameBlock):
    plan = plan_of("ev")
    decoded = make_decoder(plan).decode(ev)
    by_name: dict[str, set[float]] = {}
    for number, value in zip(decoded.signal.tolist(), decoded.value.tolist(), strict=True):
        if plan.signals[number].signal.is_multiplexer:
            by_name.setdefault(plan.signals[number].signal.name, set()).add(value)

    assert by_name["CellGroup"] == set(map(float, range(24)))
    assert by_name["TyreWheel"] == {0.0, 1.0, 2.0, 3.0}
    assert by_name["TrackIndex"] == set(map(float, range(16)))
    assert by_name["ReportPage"] == {0.0, 1.0, 2.0}
    assert by_name["DtcSlot"] == {0.0, 1.0, 2.0, 3.0}


def test_the_vin_on_the_bus_is_the_one_given():
    vin = "WFWEV0123456789AB"
    vehicle, decoder = Vehicle(Options(vin=vin)), make_decoder(plan_of("ev"))
    parts: dict[str, float] = {}
    for frame in vehicle.advance(400).frames():
        if frame.can_id == 0x1B6:
            parts |= decoder.decode_frame(frame.can_id, frame.data, 0)
    said = b"".join(
        int(parts[f"VinPart{part}"]).to_bytes(length, "little")
        for part, length in ((1, 6), (2, 6), (3, 5))
    )

    assert said.decode("ascii") == vin


def test_the_clock_on_the_bus_is_that_of_the_frames():
    vehicle, decoder = Vehicle(Options()), make_decoder(plan_of("ev"))
    vehicle.begin(START_TIME_NS + 86_399_000_000_000)  # one second before midnight
    seen: dict[str, float] = {}
    for frame in vehicle.advance(300).frames():
        if frame.can_id == 0x234:
            seen |= decoder.decode_frame(frame.can_id, frame.data, 0)

    assert (seen["UtcYear"], seen["UtcMonth"], seen["UtcDay"]) == (2026, 1, 6)
    assert (seen["UtcHour"], seen["UtcMinute"]) == (8, 0)


def test_a_vehicle_that_drives_keeps_its_clock():
    vehicle = Vehicle(Options())
    vehicle.advance(1)

    with pytest.raises(Conflict, match="keeps its clock"):
        vehicle.begin(0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(profile="boat"), "ev or truck"),
        (Options(cycle="nedc"), "wltc"),
        (Options(vin="short"), "17 capital letters"),
        (Options(vin="I" * 17), "17 capital letters"),
        (Options(seed=-1), "whole numbers"),
    ],
)
def test_what_cannot_be_driven_is_refused_in_a_sentence(options: Options, said: str):
    with pytest.raises(BadInput, match=said):
        Vehicle(options)
