"""The traction battery: 96 cells in series, each an open-circuit voltage, a resistance and one RC pair.

    power asked for -> current -> terminal voltage, state of charge, heat

Rule 1: current is positive when the battery gives; what the bus shows turns the sign (positive = charging).
Rule 2: the current solves power = (E - R0 I) I exactly, so energy is neither made nor lost by the step.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CELLS = 96
CAPACITY_AH = 180.0
R0_OHM = 0.085  # of the pack at 25 degrees
R1_OHM = 0.048
TAU_S = 30.0
DISCHARGE_MAX_W = 190_000.0
CHARGE_MAX_W = 75_000.0
CELL_MIN_V = 2.8  # driving ends
CELL_MAX_V = 4.2  # charging ends

# Open-circuit voltage of one cell over its state of charge, as of a nickel-rich lithium cell.
_SOC = np.array([0.0, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
_OCV_V = np.array([2.9, 3.3, 3.45, 3.54, 3.59, 3.63, 3.68, 3.77, 3.87, 3.97, 4.07, 4.18])


@dataclass(frozen=True, slots=True, eq=False)
class Battery:
    """The state and what flows, one entry a vehicle."""

    soc: Floats  # 0 to 1
    rc_v: Floats  # over the RC pair
    voltage_v: Floats  # at the terminals
    current_a: Floats  # positive when giving
    power_w: Floats  # at the terminals, positive when giving
    loss_w: Floats  # becomes heat
    open_v: Floats


def rested(soc: Floats) -> Battery:
    """Return batteries at rest with that state of charge."""
    open_v = open_circuit_v(soc)
    zero = np.zeros_like(soc)
    return Battery(soc, zero, open_v, zero, zero, zero, open_v)


def open_circuit_v(soc: Floats) -> Floats:
    """Return the pack voltage at rest."""
    return np.asarray(CELLS * np.interp(soc, _SOC, _OCV_V))


def discharge_limit_w(soc: Floats, temperature_c: Floats) -> Floats:
    """Return the most power a battery gives: less when nearly empty, cold or hot."""
    return np.asarray(
        DISCHARGE_MAX_W * np.clip((soc - 0.02) / 0.08, 0.0, 1.0) * _comfort(temperature_c)
    )


def charge_limit_w(soc: Floats, temperature_c: Floats) -> Floats:
    """Return the most power a battery takes: less when nearly full, cold or hot."""
    return np.asarray(
        CHARGE_MAX_W * np.clip((0.98 - soc) / 0.08, 0.0, 1.0) * _comfort(temperature_c)
    )


def step(battery: Battery, power_w: Floats, temperature_c: Floats, dt_s: float) -> Battery:
    """Give (or take, where negative) `power_w` for `dt_s`."""
    resistance = R0_OHM * (1.0 + 0.012 * np.clip(25.0 - temperature_c, -10.0, 50.0))
    open_v = open_circuit_v(battery.soc)
    inner_v = open_v - battery.rc_v
    # Beyond the peak of power over current there is no solution: the battery gives what it can.
    room = np.maximum(inner_v**2 - 4.0 * resistance * power_w, 0.0)
    current = (inner_v - np.sqrt(room)) / (2.0 * resistance)
    voltage = inner_v - resistance * current
    fading = np.exp(-dt_s / TAU_S)
    given = voltage * current
    return Battery(
        soc=np.clip(battery.soc - current * dt_s / (3600.0 * CAPACITY_AH), 0.0, 1.0),
        rc_v=battery.rc_v * fading + R1_OHM * current * (1.0 - fading),
        voltage_v=voltage,
        current_a=current,
        power_w=given,
        loss_w=open_v * current - given,
        open_v=open_v,
    )


def _comfort(temperature_c: Floats) -> Floats:
    return np.asarray(
        np.interp(temperature_c, [-20.0, 0.0, 15.0, 45.0, 55.0], [0.25, 0.6, 1.0, 1.0, 0.2])
    )
