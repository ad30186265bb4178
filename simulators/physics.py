"""An electric car on the road: driver, forces, motor, battery and heat, for one vehicle or for thousands.

    speed due -> driver -> force wished -> motor (as far as motor and battery allow) + friction brake
    forces -> acceleration -> speed, distance          motor + 12 V + climate -> battery -> heat

Rule 1: step(car, state, inputs, dt_s) -> state; every field is an array over vehicles; no clock, no chance.
Rule 2: work is force times the mean speed of the step, so that the energies of a drive add up.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from simulators import battery as batteries
from simulators import heat as heats
from simulators.battery import Battery
from simulators.heat import Heat, HeatSources

Floats = NDArray[np.float64]

GRAVITY_M_S2 = 9.81
AIR_KG_M3 = 1.2


@dataclass(frozen=True, slots=True)
class Car:
    """What does not change: a mid-size car with one motor on the rear axle."""

    mass_kg: float = 2_060.0
    mass_factor: float = 1.04  # wheels and rotor must be turned up too
    drag_area_m2: float = 0.64
    rolling: float = 0.0098
    wheel_radius_m: float = 0.335
    gear_ratio: float = 9.1
    gear_efficiency: float = 0.975
    torque_max_nm: float = 330.0
    power_max_w: float = 165_000.0
    regen_torque_max_nm: float = 170.0
    lift_off_m_s2: float = 0.7  # deceleration when the accelerator is let go
    pedal_lag_s: float = 0.25  # a foot is not a controller


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What acts on the vehicles during one step."""

    target_m_s: Floats  # speed due at the end of the step
    target_m_s2: Floats  # how fast that changes
    grade: Floats
    ambient_c: Floats
    sun_w: Floats
    cabin_wish_c: Floats
    climate_on: Floats
    low_voltage_w: Floats  # everything on 12 V
    ready: Floats  # 1 when the car may drive


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """The longitudinal state and its forces."""

    speed_m_s: Floats
    acceleration_m_s2: Floats
    distance_m: Floats
    wish_m_s2: Floats  # what the foot asks for, behind the driver's wish by a lag
    integral_m_s2: Floats
    accelerator: Floats  # 0 to 1
    brake: Floats  # 0 to 1
    wish_nm: Floats  # at the motor shaft
    torque_nm: Floats
    torque_max_nm: Floats
    torque_min_nm: Floats
    mean_m_s: Floats  # of the step's start and end
    drive_n: Floats  # of the motor, at the road
    friction_n: Floats
    drag_n: Floats
    rolling_n: Floats
    climb_n: Floats
    shaft_w: Floats
    inverter_w: Floats  # electrical, into the inverter
    copper_w: Floats
    iron_w: Floats
    switching_w: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Energy:
    """Where energy went since the start, in J."""

    battery_out: Floats
    battery_in: Floats
    battery_loss: Floats
    traction: Floats
    regenerated: Floats
    drive_loss: Floats
    gear_loss: Floats
    low_voltage: Floats
    climate: Floats
    drag: Floats
    rolling: Floats
    climb: Floats
    friction: Floats


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Everything that changes."""

    motion: Motion
    battery: Battery
    heat: Heat
    energy: Energy


def parked(soc: Floats, ambient_c: Floats, distance_m: Floats) -> State:
    """Return vehicles that have stood long."""
    zero = np.zeros_like(soc)
    motion = dict.fromkeys((field.name for field in fields(Motion)), zero)
    return State(
        Motion(**{**motion, "distance_m": distance_m}),
        batteries.rested(soc),
        heats.at_rest(ambient_c),
        Energy(**dict.fromkeys((field.name for field in fields(Energy)), zero)),
    )


def step(car: Car, state: State, inputs: Inputs, dt_s: float) -> State:
    """Let `dt_s` pass."""
    motion = _move(car, state, inputs, dt_s)
    heat = state.heat
    climate_w = heat.compressor_w + heat.heater_w
    asked_w = motion.inverter_w + inputs.low_voltage_w + climate_w
    battery = batteries.step(state.battery, asked_w, heat.battery_c, dt_s)
    sources = HeatSources(
        motor_loss_w=motion.copper_w + motion.iron_w,
        inverter_loss_w=motion.switching_w,
        battery_loss_w=battery.loss_w,
        friction_w=np.maximum(motion.friction_n, 0.0) * motion.mean_m_s,
        rolling_w=motion.rolling_n * motion.mean_m_s,
        speed_m_s=motion.mean_m_s,
        ambient_c=inputs.ambient_c,
        sun_w=inputs.sun_w,
        cabin_wish_c=inputs.cabin_wish_c,
        climate_on=inputs.climate_on,
    )
    energy = _spent(state.energy, motion, battery, inputs.low_voltage_w, climate_w, dt_s)
    return State(motion, battery, heats.step(heat, sources, dt_s), energy)


def _move(car: Car, state: State, inputs: Inputs, dt_s: float) -> Motion:
    old = state.motion
    speed = old.speed_m_s
    rolls = np.where(speed > 0.0, 1.0, 0.0)
    drag = 0.5 * AIR_KG_M3 * car.drag_area_m2 * speed**2
    rolling = car.mass_kg * GRAVITY_M_S2 * car.rolling * rolls
    climb = car.mass_kg * GRAVITY_M_S2 * np.sin(np.arctan(inputs.grade))
    inertia = car.mass_kg * car.mass_factor
    wish, integral = _driver(car, old, inputs, dt_s)
    force = (inertia * wish + drag + rolling + climb) * inputs.ready
    # Where the car stands and is to stand, the brake holds it and the motor rests.
    is_held = (speed < 0.05) & (inputs.target_m_s < 0.05)
    force = np.where(is_held, 0.0, force)
    per_force = car.wheel_radius_m / car.gear_ratio
    wish_nm = force * per_force
    torque_max, torque_min = _torque_limits(car, state)
    # A gearbox eats from the side that drives it.
    through = np.where(wish_nm >= 0.0, car.gear_efficiency, 1.0 / car.gear_efficiency)
    torque = np.clip(wish_nm / through, torque_min, torque_max)
    motor_n = torque * through / per_force
    friction = np.maximum(motor_n - force, 0.0) * np.where(force < 0.0, 1.0, 0.0)
    wanted = speed + dt_s * (motor_n - friction - drag - rolling - climb) / inertia
    new_speed = np.where(is_held, 0.0, np.maximum(wanted, 0.0))
    # Whatever keeps the car from rolling back, or stops it within the step, is the friction brake.
    acceleration = (new_speed - speed) / dt_s
    friction = motor_n - drag - rolling - climb - inertia * acceleration
    friction = np.where(np.abs(friction) < 1e-6, 0.0, friction)
    mean = (speed + new_speed) / 2.0
    omega = mean * car.gear_ratio / car.wheel_radius_m
    copper, iron, switching = _losses(torque, omega)
    shaft = torque * omega
    return Motion(
        speed_m_s=new_speed,
        acceleration_m_s2=acceleration,
        distance_m=old.distance_m + mean * dt_s,
        wish_m_s2=wish,
        integral_m_s2=integral,
        accelerator=np.clip(wish_nm / np.maximum(torque_max, 1.0), 0.0, 1.0),
        brake=np.where(
            is_held, 0.25, np.clip((-force / car.mass_kg - car.lift_off_m_s2) / 8.0, 0.0, 1.0)
        ),
        wish_nm=np.clip(wish_nm, -500.0, 500.0),
        torque_nm=torque,
        torque_max_nm=torque_max,
        torque_min_nm=torque_min,
        mean_m_s=mean,
        drive_n=motor_n,
        friction_n=friction,
        drag_n=drag,
        rolling_n=rolling,
        climb_n=climb,
        shaft_w=shaft,
        inverter_w=shaft + copper + iron + switching,
        copper_w=copper,
        iron_w=iron,
        switching_w=switching,
    )


def _driver(car: Car, old: Motion, inputs: Inputs, dt_s: float) -> tuple[Floats, Floats]:
    """A proportional-integral controller with a slow foot; returns the wish and the integral."""
    error = inputs.target_m_s - old.speed_m_s
    rests = inputs.target_m_s < 0.05
    integral = np.where(rests, 0.0, np.clip(old.integral_m_s2 + 0.25 * error * dt_s, -0.6, 0.6))
    wish = np.clip(inputs.target_m_s2 + 1.3 * error + integral, -7.0, 4.5)
    share = 1.0 - np.exp(-dt_s / car.pedal_lag_s)
    return old.wish_m_s2 + share * (wish - old.wish_m_s2), integral


def _torque_limits(car: Car, state: State) -> tuple[Floats, Floats]:
    """The most the motor can drive and brake with, given speed, heat and battery."""
    heat, battery = state.heat, state.battery
    omega = state.motion.speed_m_s * car.gear_ratio / car.wheel_radius_m
    turning = np.maximum(omega, 1.0)
    hot = np.clip((165.0 - heat.stator_c) / 20.0, 0.1, 1.0)
    give = batteries.discharge_limit_w(battery.soc, heat.battery_c)
    take = batteries.charge_limit_w(battery.soc, heat.battery_c)
    most = np.minimum(car.torque_max_nm, np.minimum(car.power_max_w, 0.92 * give) / turning)
    # Near standstill the motor cannot brake: its voltage no longer covers its own losses.
    fade = np.clip((state.motion.speed_m_s - 0.8) / 2.0, 0.0, 1.0)
    least = np.minimum(car.regen_torque_max_nm, take / turning) * fade
    return most * hot, -least * hot


def _losses(torque_nm: Floats, omega_rad_s: Floats) -> tuple[Floats, Floats, Floats]:
    """Copper, iron and switching losses of the drive unit in W."""
    copper = 0.095 * torque_nm**2
    iron = 0.75 * omega_rad_s + 0.00045 * omega_rad_s**2
    switching = 45.0 + 1.9 * np.abs(torque_nm) + 0.003 * np.abs(torque_nm * omega_rad_s)
    return copper, iron, switching * np.where(np.abs(torque_nm) + omega_rad_s > 0.01, 1.0, 0.2)


def _spent(
    old: Energy,
    motion: Motion,
    battery: Battery,
    low_voltage_w: Floats,
    climate_w: Floats,
    dt_s: float,
) -> Energy:
    mean = motion.mean_m_s
    power_w = Energy(
        battery_out=np.maximum(battery.power_w, 0.0),
        battery_in=-np.minimum(battery.power_w, 0.0),
        battery_loss=battery.loss_w,
        traction=np.maximum(motion.inverter_w, 0.0),
        regenerated=-np.minimum(motion.inverter_w, 0.0),
        drive_loss=motion.copper_w + motion.iron_w + motion.switching_w,
        gear_loss=motion.shaft_w - motion.drive_n * mean,
        low_voltage=low_voltage_w,
        climate=climate_w,
        drag=motion.drag_n * mean,
        rolling=motion.rolling_n * mean,
        climb=motion.climb_n * mean,
        friction=motion.friction_n * mean,
    )
    return Energy(
        **{
            field.name: getattr(old, field.name) + dt_s * getattr(power_w, field.name)
            for field in fields(Energy)
        }
    )
