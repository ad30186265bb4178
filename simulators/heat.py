"""Temperatures: lumps of heat capacity that warm each other, the coolant and the air.

    losses -> stator, inverter -> coolant -> radiator -> air
    losses -> battery -> chiller or air          braking -> discs -> air          rolling -> tyres -> air

Rule 1: each lump is explicit: dT = dt * (heat in - conductance * difference) / capacity; the shortest time
        constant here is 25 s, so steps of up to a second are stable.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CABIN_J_K = 90_000.0
CABIN_W_K = 55.0
BATTERY_J_K = 380_000.0
BATTERY_COOLING_FROM_C = 33.0
BATTERY_HEATING_BELOW_C = 5.0
COMPRESSOR_MAX_W = 3_500.0
HEATER_MAX_W = 4_500.0
COEFFICIENT_OF_PERFORMANCE = 2.4
RADIATOR_FAN_FROM_C = 45.0


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """Temperatures in degrees Celsius, one entry a vehicle (tyres: four)."""

    battery_c: Floats
    stator_c: Floats
    rotor_c: Floats
    inverter_c: Floats
    gearbox_c: Floats
    coolant_c: Floats
    disc_c: Floats
    cabin_c: Floats
    tyre_c: Floats  # n rows of four
    compressor_w: Floats  # electrical
    heater_w: Floats  # electrical


@dataclass(frozen=True, slots=True, eq=False)
class HeatSources:
    """Where heat comes from during one step."""

    motor_loss_w: Floats
    inverter_loss_w: Floats
    battery_loss_w: Floats
    friction_w: Floats
    rolling_w: Floats
    speed_m_s: Floats
    ambient_c: Floats
    sun_w: Floats  # into the cabin
    cabin_wish_c: Floats
    climate_on: Floats  # 1 or 0


def at_rest(ambient_c: Floats) -> Heat:
    """Return vehicles that have stood long: everything is as warm as the air."""
    zero = np.zeros_like(ambient_c)
    tyres = np.repeat(ambient_c[:, None], 4, axis=1)
    lumps = ("battery", "stator", "rotor", "inverter", "gearbox", "coolant", "disc", "cabin")
    return Heat(
        **{f"{lump}_c": ambient_c for lump in lumps},
        tyre_c=tyres,
        compressor_w=zero,
        heater_w=zero,
    )


def step(heat: Heat, sources: HeatSources, dt_s: float) -> Heat:
    """Let `dt_s` pass."""
    air, wind = sources.ambient_c, sources.speed_m_s
    stator_out = 90.0 * (heat.stator_c - heat.coolant_c)
    inverter_out = 110.0 * (heat.inverter_c - heat.coolant_c)
    gearbox_out = (8.0 + 0.6 * wind) * (heat.gearbox_c - air)
    fan = np.clip((heat.coolant_c - RADIATOR_FAN_FROM_C) / 10.0, 0.0, 1.0)
    radiator = (45.0 + 9.0 * wind + 260.0 * fan) * (heat.coolant_c - air)
    chilled = np.clip((heat.battery_c - BATTERY_COOLING_FROM_C) / 4.0, 0.0, 1.0) * 2_500.0
    warmed = np.clip((BATTERY_HEATING_BELOW_C - heat.battery_c) / 4.0, 0.0, 1.0) * 2_000.0
    battery_in = sources.battery_loss_w + warmed - chilled - 18.0 * (heat.battery_c - air)
    cabin_loss = CABIN_W_K * (heat.cabin_c - air) - sources.sun_w
    wish = (1_400.0 * (sources.cabin_wish_c - heat.cabin_c) + cabin_loss) * sources.climate_on
    cooling_w = np.minimum(np.maximum(-wish, 0.0) / COEFFICIENT_OF_PERFORMANCE, COMPRESSOR_MAX_W)
    heating_w = np.minimum(np.maximum(wish, 0.0) / COEFFICIENT_OF_PERFORMANCE, HEATER_MAX_W)
    cabin_in = COEFFICIENT_OF_PERFORMANCE * (heating_w - cooling_w) - cabin_loss
    disc_out = (14.0 + 1.6 * wind) * (heat.disc_c - air)
    tyre_in = (sources.rolling_w * 0.14)[:, None]
    tyre_out = (5.0 + 0.9 * wind)[:, None] * (heat.tyre_c - air[:, None])
    return Heat(
        battery_c=heat.battery_c + dt_s * battery_in / BATTERY_J_K,
        stator_c=heat.stator_c + dt_s * (sources.motor_loss_w - stator_out) / 14_000.0,
        rotor_c=heat.rotor_c + dt_s * (heat.stator_c + 4.0 - heat.rotor_c) / 240.0,
        inverter_c=heat.inverter_c + dt_s * (sources.inverter_loss_w - inverter_out) / 2_800.0,
        gearbox_c=heat.gearbox_c + dt_s * (0.25 * sources.motor_loss_w - gearbox_out) / 16_000.0,
        coolant_c=heat.coolant_c + dt_s * (stator_out + inverter_out - radiator) / 26_000.0,
        disc_c=heat.disc_c + dt_s * (0.65 * sources.friction_w - disc_out) / 13_000.0,
        cabin_c=heat.cabin_c + dt_s * cabin_in / CABIN_J_K,
        tyre_c=heat.tyre_c + dt_s * (tyre_in - tyre_out) / 9_000.0,
        compressor_w=cooling_w + chilled / COEFFICIENT_OF_PERFORMANCE,
        heater_w=heating_w + warmed,
    )
