"""Standard drive cycles: speed over time, from tables that regulations print.

    wltc    WLTC class 3b, UN GTR No. 15          1800 s, 23.3 km
    udds    US city, 40 CFR Part 86               1369 s, 12.0 km
    us06    US aggressive, 40 CFR Part 86          600 s, 12.9 km
    hwfet   US highway, 40 CFR Part 600            765 s, 16.5 km

Rule 1: a table is a file of this package: comment lines, then km/h at 1 Hz, separated by commas.
Rule 2: between two seconds the speed is linear; after its end a cycle begins again.
"""

import math
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairway.errors import BadInput

CYCLES = ("wltc", "udds", "us06", "hwfet")

# No road vehicle of ours goes faster; a table in another unit would show here.
SPEED_MAX_KM_H = 300.0


@dataclass(frozen=True, slots=True, eq=False)
class DriveCycle:
    """A speed to follow: `speed_m_s[i]` is due at second i."""

    name: str
    speed_m_s: NDArray[np.float64]

    @property
    def duration_s(self) -> float:
        """From the first to the last entry."""
        return float(len(self.speed_m_s) - 1)

    @property
    def distance_m(self) -> float:
        """What a vehicle covers that follows exactly."""
        return float(np.sum(self.speed_m_s[1:] + self.speed_m_s[:-1]) / 2.0)

    def speed_at(self, time_s: ArrayLike) -> NDArray[np.float64]:
        """Return the speed due at each of `time_s`, in m/s."""
        within = np.mod(np.asarray(time_s, np.float64), self.duration_s)
        return np.interp(within, np.arange(len(self.speed_m_s)), self.speed_m_s)


def parse_cycle(text: str, *, name: str) -> DriveCycle:
    """Return the cycle in a table.  Raises BadInput naming the first entry that is no speed."""
    entries = [
        entry
        for line in text.splitlines()
        if not line.startswith("#")
        for entry in line.split(",")
        if entry.strip()
    ]
    if len(entries) < 2:
        raise BadInput(f"the cycle {name} has {len(entries)} entries: at least 2 are needed")
    speed = np.array([_speed(entry, name, second) for second, entry in enumerate(entries)])
    return DriveCycle(name, speed / 3.6)


def load_cycle(name: str) -> DriveCycle:
    """Return one of CYCLES.  Raises BadInput for any other name."""
    if name not in CYCLES:
        raise BadInput(f"no drive cycle is called {name!r:.40}: choose one of {', '.join(CYCLES)}")
    table = files("simulators") / "cycles" / f"{name}.csv"
    return parse_cycle(table.read_text(encoding="utf-8"), name=name)


def _speed(entry: str, name: str, second: int) -> float:
    try:
        speed = float(entry)
    except ValueError:
        speed = math.nan
    if not 0.0 <= speed <= SPEED_MAX_KM_H:
        raise BadInput(
            f"second {second} of the cycle {name} is {entry!r:.20}: not 0 to {SPEED_MAX_KM_H:.0f} km/h"
        )
    return speed
