"""Drives in which something is wrong with the car: physics of battery and tyres, as frames of fairway_ev.dbc.

power in town > Battery (simulators.battery) > BMS_PackStatus        air in a tyre > gas law > TPM_Tyre
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from simulators import battery as physics

START_S = 1_767_600_000.0
WHEELS = ("Row1.Left", "Row1.Right", "Row2.Left", "Row2.Right")
COLD_KPA = dict(zip(WHEELS, (248.0, 245.0, 251.0, 247.0), strict=True))
AIR_KPA = 101.3


def drive(
    to: Path,
    *,
    seconds: int,
    leaks_kpa_per_h: Mapping[str, float] | None = None,
    temperature_c: float = 25.0,
) -> Path:
    """Write a drive in town as a candump log; some tyres lose air."""
    frames = sorted(
        [*_battery(seconds, temperature_c), *_tyres(seconds, leaks_kpa_per_h or {})],
        key=lambda frame: frame[0],
    )
    to.write_text(
        "".join(
            f"({START_S + time_s:.6f}) can0 {number:03X}#{data.hex().upper()}\n"
            for time_s, number, data in frames
        )
    )
    return to


def _battery(seconds: int, temperature_c: float) -> Iterator[tuple[float, int, bytes]]:
    cells = physics.rested(np.array([0.8]))
    for number in range(seconds * 10):
        watts = 30_000.0 if number // 50 % 2 else 0.0  # 5 s pressed, 5 s let go
        cells = physics.step(cells, np.array([watts]), np.array([temperature_c]), 0.1)
        voltage = round(float(cells.voltage_v[0]) / 0.01) << 16
        current = (round(-float(cells.current_a[0]) / 0.05) & 0xFFFF) << 32
        yield 0.1 * number, 0x0C0, (voltage | current).to_bytes(8, "little")
        if number % 5 == 0:
            mean = round(temperature_c / 0.2) & 0x3FF
            yield 0.1 * number + 0.01, 0x1C6, (mean << 20).to_bytes(8, "little")


def _tyres(seconds: int, leaks: Mapping[str, float]) -> Iterator[tuple[float, int, bytes]]:
    for number in range(seconds * 4):
        time_s, index = 0.25 * number + 0.02, number % 4
        warm_c = 20.0 + 15.0 * (1.0 - math.exp(-time_s / 900.0))
        air = COLD_KPA[WHEELS[index]] + AIR_KPA - leaks.get(WHEELS[index], 0.0) * time_s / 3600.0
        gauge = air * (warm_c + 273.15) / 293.15 - AIR_KPA
        bits = index | round(gauge / 0.5) << 2 | round(warm_c + 40) << 12
        yield time_s, 0x1F0, bits.to_bytes(8, "little")
