"""What an electric car's control units see at one moment: the physics as plain numbers, named.

    State (arrays over vehicles) row i + habits + place + personality -> View (floats)

Rule 1: nothing is integrated here; what must remember lives in the state or in `Memory`.
Rule 2: a view is rebuilt for every step; the signal tables read nothing else.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from simulators import battery as batteries
from simulators.physics import Car, State
from simulators.route import Place
from simulators.view import View

Floats = NDArray[np.float64]

TRACK_M = 1.6
WHEELBASE_M = 2.85
STEERING_RATIO = 15.2
RESERVE_SOC = 0.04  # hidden from the driver

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Memory:
    """What control units remember from step to step."""

    consumption_kwh_100km: float = 0.0
    steering_deg: float = 0.0
    lock_after_start: bool = False
    indicator_s: float = 0.0
    energy_seen_j: float = 0.0
    distance_seen_m: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Personality:
    """What tells one car from the next."""

    vin: str
    odometer_km: float
    ambient_c: float
    soc: float
    start_m: float  # where on the route it begins
    cell_offset_v: Floats
    cell_ohm: Floats  # beyond the mean
    module_offset_c: Floats  # two sensors in each of 24 modules
    tyre_cold_kpa: Floats
    charged_kwh: float
    discharged_kwh: float
    soh_percent: float
    sensor_id: int


def make_personality(seed: int, vehicle: int, vin: str) -> Personality:
    """Draw a car."""
    draw = np.random.Generator(np.random.PCG64([seed, vehicle, 0xC0FFEE]))
    odometer = float(draw.uniform(800.0, 90_000.0))
    return Personality(
        vin=vin,
        odometer_km=odometer,
        ambient_c=float(draw.uniform(4.0, 27.0)),
        soc=float(draw.uniform(0.55, 0.92)),
        start_m=float(draw.uniform(0.0, 49_000.0)),
        cell_offset_v=draw.normal(0.0, 0.0025, batteries.CELLS),
        cell_ohm=draw.normal(0.0, 0.00004, batteries.CELLS),
        module_offset_c=draw.normal(0.0, 0.5, (24, 2)),
        tyre_cold_kpa=draw.normal(248.0, 4.0, 4),
        charged_kwh=odometer * 0.182,
        discharged_kwh=odometer * 0.171,
        soh_percent=float(np.clip(100.0 - odometer / 12_000.0, 88.0, 100.0)),
        sensor_id=int(draw.integers(0x1000_0000, 0x7FFF_FFFF)),
    )


def look(  # noqa: PLR0913 - one argument a part of the world
    car: Car,
    state: State,
    row: int,
    *,
    who: Personality,
    memory: Memory,
    place: Place,
    habit: dict[str, float],
    time_s: float,
    start_time_ns: int,
    ready_from_s: float,
) -> View:
    """Return the view of vehicle `row`."""
    view = View(**habit, who=who, car=car, time_s=time_s, page=0)
    for part in (state.motion, state.battery, state.energy):
        for field in fields(part):
            setattr(view, field.name, getattr(part, field.name)[row].item())
    for field in fields(state.heat):
        setattr(view, field.name, getattr(state.heat, field.name)[row].tolist())
    for field in fields(place):
        setattr(view, field.name, getattr(place, field.name)[row].item())
    view.ready = time_s >= ready_from_s
    view.gear = 3 if view.ready else 0
    view.utc = _EPOCH + timedelta(microseconds=(start_time_ns // 1000) + round(time_s * 1e6))
    _add_battery(view)
    _add_trip(view, memory)
    _add_chassis(view, memory)
    _add_body(view, memory)
    return view


def _add_battery(view: View) -> None:
    view.pack_a = -view.current_a  # the bus counts charging positive
    view.cell_mean_v = view.voltage_v / batteries.CELLS
    cells = view.cell_mean_v + view.who.cell_offset_v + view.who.cell_ohm * view.pack_a
    view.cell_v = cells
    view.cell_high, view.cell_low = int(np.argmax(cells)), int(np.argmin(cells))
    view.module_c = view.battery_c + view.who.module_offset_c
    view.soc_percent = 100.0 * view.soc
    view.shown_percent = 100.0 * max(view.soc - RESERVE_SOC, 0.0) / (1.0 - RESERVE_SOC)
    soc, heat = np.array([view.soc]), np.array([view.battery_c])
    view.give_w = batteries.discharge_limit_w(soc, heat)[0].item()
    view.take_w = batteries.charge_limit_w(soc, heat)[0].item()
    view.capacity_kwh = batteries.CAPACITY_AH * batteries.CELLS * 3.7 / 1000.0
    view.energy_kwh = view.soc * view.capacity_kwh * view.who.soh_percent / 100.0


def _add_trip(view: View, memory: Memory) -> None:
    view.trip_km = (view.distance_m - view.who.start_m) / 1000.0
    view.odometer_km = view.who.odometer_km + view.trip_km
    view.used_kwh = (view.battery_out - view.battery_in) / 3.6e6
    long_enough = view.trip_km > 0.3
    view.mean_kwh_100km = 100.0 * view.used_kwh / view.trip_km if long_enough else 17.0
    view.instant_kwh_100km = memory.consumption_kwh_100km
    per_km = max(0.5 * view.mean_kwh_100km + 8.5, 9.0) / 100.0
    view.range_km = max(view.energy_kwh - RESERVE_SOC * view.capacity_kwh, 0.0) / per_km
    spent = view.traction + view.low_voltage + view.climate
    view.regen_percent = 100.0 * view.regenerated / spent if spent > 3.6e4 else 0.0


def _add_chassis(view: View, memory: Memory) -> None:
    view.speed_km_h = 3.6 * view.speed_m_s
    view.motor_rad_s = view.speed_m_s * view.car.gear_ratio / view.car.wheel_radius_m
    view.motor_rpm = view.motor_rad_s * 60.0 / (2.0 * np.pi)
    # Within its lane a car wanders a little.
    view.wander_m = 0.18 * np.sin(0.21 * view.time_s) + 0.07 * np.sin(0.83 * view.time_s + 1.0)
    sway_m_s2 = 0.25 * np.cos(0.21 * view.time_s) * min(view.speed_m_s / 4.0, 1.0)
    bend = view.bend_1_m + sway_m_s2 / max(view.speed_m_s, 4.0) ** 2
    view.yaw_rad_s = bend * view.speed_m_s
    view.lateral_m_s2 = bend * view.speed_m_s**2
    view.road_wheel_deg = float(
        np.degrees(bend * WHEELBASE_M * (1.0 + (view.speed_m_s / 32.0) ** 2))
    )
    view.steering_deg = view.road_wheel_deg * STEERING_RATIO
    view.steering_deg_s = (view.steering_deg - memory.steering_deg) * 100.0
    # Left wheels are on the inside of a left bend; the driven rear wheels slip.
    turn = view.yaw_rad_s * TRACK_M / 2.0
    slip = 0.12 * view.drive_n / (view.car.mass_kg * 9.81)
    view.slip = (0.0, 0.0, slip, slip)
    view.wheel_m_s = tuple(
        max(view.speed_m_s + side * turn, 0.0) * (1.0 + wheel_slip)
        for side, wheel_slip in zip((-1.0, 1.0, -1.0, 1.0), view.slip, strict=True)
    )
    view.vertical_m_s2 = view.pothole * np.sin(40.0 * view.time_s) * min(view.speed_m_s / 10.0, 1.5)
    view.friction_nm = max(view.friction_n, 0.0) * view.car.wheel_radius_m
    view.brake_bar = max(
        view.friction_nm / 45.0, 60.0 * view.brake if view.speed_m_s < 0.05 else 0.0
    )
    view.pitch_deg = float(np.degrees(np.arctan(view.grade))) - 0.35 * view.acceleration_m_s2
    view.roll_deg = 0.45 * view.lateral_m_s2
    view.tyre_kpa = tuple(
        (cold + 101.3) * (warm + 273.15) / 293.15 - 101.3
        for cold, warm in zip(view.who.tyre_cold_kpa.tolist(), view.tyre_c, strict=True)
    )


def _add_body(view: View, memory: Memory) -> None:
    view.moving = view.speed_m_s > 0.1
    view.indicator_lit = (view.time_s % 0.7) < 0.35
    left = view.indicate_left or view.hazard
    right = (view.indicate_right and not view.indicate_left) or view.hazard
    view.left, view.right = bool(left), bool(right)
    view.wiping = view.rain_percent > 5.0
    view.night = view.dark > 0.5
    view.low_beam = view.night or view.rain_percent > 20.0
    # The driver gets in: door, then belt, then ready.
    view.door_fl = view.time_s < 0.8
    view.belted = view.time_s > 1.4
    view.locked = memory.lock_after_start
    view.wish_c = 21.0 + view.wish_offset_c
    view.low_voltage_v = 14.2 - 0.4 * view.low_beam - 0.15 * view.wiping
    view.cruising = bool(view.cruise) and view.speed_km_h > 50.0 and view.brake == 0.0
    view.lead = view.lead_m > 0.0 and view.speed_m_s > 2.0
    view.fault_number = int(view.fault)
