"""A heavy truck on the road: diesel engine, twelve gears, retarder and brakes, for one or for thousands.

    speed due -> force wished -> gear -> engine torque (as far as its curve allows) or retarder + brakes
    torque, engine speed -> fuel -> heat -> coolant, oil

Rule 1: step(truck, state, inputs, dt_s) -> state; every field is an array over vehicles; no clock, no chance.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRAVITY_M_S2 = 9.81
AIR_KG_M3 = 1.2
DIESEL_J_L = 35.9e6

# Full-load torque over engine speed, of a 13-litre engine.
_CURVE_RPM = np.array([500.0, 700.0, 900.0, 1000.0, 1400.0, 1600.0, 1800.0, 2100.0])
_CURVE_NM = np.array([900.0, 1600.0, 2300.0, 2500.0, 2500.0, 2250.0, 1950.0, 1200.0])
# Twelve gears, each 1.29 times the next; the last is direct.
RATIOS = 1.286 ** np.arange(11, -1, -1, dtype=np.float64)
IDLE_RPM = 600.0
UP_RPM, DOWN_RPM = 1_500.0, 1_050.0
SHIFT_S = 0.7
REFERENCE_NM = 2_500.0


@dataclass(frozen=True, slots=True)
class Rig:
    """A tractor with a half-full trailer."""

    mass_kg: float = 24_000.0
    tractor_kg: float = 7_800.0
    mass_factor: float = 1.05
    drag_area_m2: float = 5.6
    rolling: float = 0.0058
    wheel_radius_m: float = 0.5
    final_drive: float = 2.64
    efficiency: float = 0.95
    retarder_max_n: float = 26_000.0
    limiter_m_s: float = 89.0 / 3.6
    pedal_lag_s: float = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class DieselState:
    """Everything that changes, one entry a vehicle."""

    speed_m_s: Floats
    acceleration_m_s2: Floats
    distance_m: Floats
    wish_m_s2: Floats
    gear: Floats  # 1 to 12; 0 is neutral
    shift_s: Floats  # left of the change under way
    engine_rpm: Floats
    torque_nm: Floats
    wish_nm: Floats
    pedal: Floats  # 0 to 1
    brake: Floats
    retarder: Floats  # 0 to 1
    fuel_l_h: Floats
    fuel_l: Floats  # since the start
    turns: Floats  # of the engine since the start
    coolant_c: Floats
    oil_c: Floats
    gearbox_c: Floats
    exhaust_c: Floats
    boost_kpa: Floats
    cab_c: Floats
    tyre_c: Floats
    supply_kpa: Floats


@dataclass(frozen=True, slots=True, eq=False)
class DieselInputs:
    """What acts on the vehicles during one step."""

    target_m_s: Floats
    grade: Floats
    ambient_c: Floats


def parked(ambient_c: Floats, distance_m: Floats) -> DieselState:
    """Return trucks that have idled for a while."""
    zero = np.zeros_like(ambient_c)
    values = dict.fromkeys((field.name for field in fields(DieselState)), zero)
    values |= {
        "distance_m": distance_m,
        "engine_rpm": zero + IDLE_RPM,
        "coolant_c": ambient_c + 35.0,
        "oil_c": ambient_c + 30.0,
        "gearbox_c": ambient_c + 10.0,
        "exhaust_c": ambient_c + 110.0,
        "cab_c": ambient_c + 3.0,
        "tyre_c": ambient_c,
        "supply_kpa": zero + 880.0,
    }
    return DieselState(**values)


def step(rig: Rig, old: DieselState, inputs: DieselInputs, dt_s: float) -> DieselState:
    """Let `dt_s` pass."""
    speed = old.speed_m_s
    drag = 0.5 * AIR_KG_M3 * rig.drag_area_m2 * speed**2
    rolling = rig.mass_kg * GRAVITY_M_S2 * rig.rolling * (speed > 0.0)
    climb = rig.mass_kg * GRAVITY_M_S2 * np.sin(np.arctan(inputs.grade))
    inertia = rig.mass_kg * rig.mass_factor
    target = np.minimum(inputs.target_m_s, rig.limiter_m_s)
    is_held = (speed < 0.05) & (target < 0.05)
    wish = np.clip(0.9 * (target - speed), -3.5, 1.2)
    wish = old.wish_m_s2 + (1.0 - np.exp(-dt_s / rig.pedal_lag_s)) * (wish - old.wish_m_s2)
    force = np.where(is_held, 0.0, inertia * wish + drag + rolling + climb)
    gear, shift_s, per_speed = _gear(rig, old, is_held, dt_s)
    is_open = (gear == 0.0) | (shift_s > 0.0)
    geared_rpm = speed * per_speed * 60.0 / (2.0 * np.pi)
    rpm_due = np.where(is_open, IDLE_RPM, np.maximum(geared_rpm, IDLE_RPM))
    rpm = old.engine_rpm + (rpm_due - old.engine_rpm) * (1.0 - np.exp(-dt_s / 0.15))
    wish_nm = force / np.maximum(per_speed * rig.efficiency, 1e-6)
    most_nm = np.interp(rpm, _CURVE_RPM, _CURVE_NM)
    torque = np.where(is_open, 0.0, np.clip(wish_nm, 0.0, most_nm))
    engine_n = torque * per_speed * rig.efficiency
    slow_n = np.maximum(-force, 0.0)
    retarder_n = np.minimum(slow_n, rig.retarder_max_n) * np.clip((speed - 3.0) / 5.0, 0.0, 1.0)
    brake_n = slow_n - retarder_n
    pulled = speed + dt_s * (engine_n - retarder_n - brake_n - drag - rolling - climb) / inertia
    new_speed = np.where(is_held, 0.0, np.maximum(pulled, 0.0))
    mean = (speed + new_speed) / 2.0
    fuel_l_h = _fuel_l_h(torque, rpm)
    fuel_w = fuel_l_h / 3600.0 * DIESEL_J_L
    return DieselState(
        speed_m_s=new_speed,
        acceleration_m_s2=(new_speed - speed) / dt_s,
        distance_m=old.distance_m + mean * dt_s,
        wish_m_s2=wish,
        gear=gear,
        shift_s=shift_s,
        engine_rpm=rpm,
        torque_nm=torque,
        wish_nm=np.clip(wish_nm, 0.0, REFERENCE_NM),
        pedal=np.clip(wish_nm / most_nm, 0.0, 1.0),
        brake=np.where(is_held, 0.3, np.clip(brake_n / 90_000.0, 0.0, 1.0)),
        retarder=retarder_n / rig.retarder_max_n,
        fuel_l_h=fuel_l_h,
        fuel_l=old.fuel_l + fuel_l_h * dt_s / 3600.0,
        turns=old.turns + rpm / 60.0 * dt_s,
        boost_kpa=_towards(old.boost_kpa, 220.0 * torque / REFERENCE_NM, 1.2, dt_s),
        cab_c=_towards(old.cab_c, np.full_like(speed, 21.0), 240.0, dt_s),
        tyre_c=_towards(old.tyre_c, inputs.ambient_c + 1.3 * mean, 600.0, dt_s),
        supply_kpa=_supply(old, brake_n, dt_s),
        **_heat(old, inputs, fuel_w, mean, dt_s),
    )


def _gear(
    rig: Rig, old: DieselState, is_held: NDArray[np.bool_], dt_s: float
) -> tuple[Floats, Floats, Floats]:
    """Return gear, time left of a change, and engine angle per distance (0 in neutral)."""
    shift_s = np.maximum(old.shift_s - dt_s, 0.0)
    speed = old.speed_m_s
    rpm = speed * _per_speed(rig, old.gear) * 60.0 / (2.0 * np.pi)
    may = shift_s == 0.0
    # One gear up, or down as far as the speed asks for when braking hard.
    up = may & (rpm > UP_RPM) & (old.gear > 0.0) & (old.gear < len(RATIOS))
    down = may & (rpm < DOWN_RPM) & (old.gear > 1.0)
    start = (old.gear == 0.0) & ~is_held
    steps = np.where(up, 1.0, 0.0) - np.where(down, 1.0, 0.0) * np.where(rpm < 800.0, 2.0, 1.0)
    gear = np.where(start, 1.0, np.maximum(old.gear + steps, np.minimum(old.gear, 1.0)))
    gear = np.where(is_held, 0.0, gear)
    changed = (gear != old.gear) & (gear > 1.0) & (old.gear > 0.0)
    shift_s = np.where(changed & (speed > 2.0), SHIFT_S, shift_s)
    return gear, shift_s, _per_speed(rig, gear)


def ratio(gear: Floats) -> Floats:
    """Return the gearbox ratio of each gear, 0 in neutral."""
    number = np.clip(gear, 1.0, len(RATIOS)).astype(np.intp) - 1
    return np.where(gear > 0.0, RATIOS[number], 0.0)


def _per_speed(rig: Rig, gear: Floats) -> Floats:
    return ratio(gear) * rig.final_drive / rig.wheel_radius_m


def _fuel_l_h(torque_nm: Floats, rpm: Floats) -> Floats:
    """Fuel by a Willans line: proportional to work plus what friction costs; cut off while pushed."""
    shaft_w = torque_nm * rpm * 2.0 * np.pi / 60.0
    friction_w = 14.0 * rpm + 0.006 * rpm**2
    cut = (torque_nm <= 0.0) & (rpm > 900.0)
    return np.where(cut, 0.0, (shaft_w / 0.46 + friction_w / 0.46) / DIESEL_J_L * 3600.0)


def _heat(
    old: DieselState, inputs: DieselInputs, fuel_w: Floats, speed: Floats, dt_s: float
) -> dict[str, Floats]:
    air = inputs.ambient_c
    is_open = np.clip((old.coolant_c - 82.0) / 8.0, 0.02, 1.0)  # the thermostat
    radiator_w = is_open * (400.0 + 120.0 * speed) * (old.coolant_c - air)
    return {
        "coolant_c": old.coolant_c + dt_s * (0.22 * fuel_w - radiator_w) / 250_000.0,
        "oil_c": _towards(old.oil_c, old.coolant_c + 8.0 + fuel_w / 60_000.0, 180.0, dt_s),
        "gearbox_c": _towards(old.gearbox_c, air + 30.0 + 0.8 * speed, 500.0, dt_s),
        "exhaust_c": _towards(old.exhaust_c, air + 110.0 + fuel_w / 2_400.0, 8.0, dt_s),
    }


def _supply(old: DieselState, brake_n: Floats, dt_s: float) -> Floats:
    """The compressor fills to 1,050 kPa; braking takes air."""
    filled = old.supply_kpa + dt_s * np.where(old.supply_kpa < 1_050.0, 4.0, 0.0)
    return np.maximum(filled - dt_s * brake_n / 8_000.0, 500.0)


def _towards(old: Floats, goal: Floats, tau_s: float, dt_s: float) -> Floats:
    return old + (goal - old) * (1.0 - float(np.exp(-dt_s / tau_s)))
