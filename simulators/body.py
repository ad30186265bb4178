"""What people and weather do to a car: doors, belts, wipers, traffic, by a seeded schedule.

    rule (how rare, how long, which values) + seed + vehicle number -> timeline -> value at a time

Rule 1: a timeline knows only its seed and the time asked for: asking twice, or far ahead, changes nothing.
Rule 2: levels between two events are constant; what moves slowly (a window) is a ramp after the event.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Habit:
    """Something that now and then takes another value for a while."""

    name: str
    wait_s: float  # mean time between two occasions
    lasts_s: tuple[float, float]
    values: tuple[float, ...] = (1.0,)
    rest: float = 0.0  # the value in between
    ramp_s: float = 0.0  # how long it takes to get to a value


HABITS = (
    Habit("rain_percent", 260.0, (60.0, 180.0), (15.0, 30.0, 55.0, 90.0), ramp_s=20.0),
    Habit("indicate_left", 48.0, (3.0, 7.0)),
    Habit("indicate_right", 55.0, (3.0, 7.0)),
    Habit("hazard", 900.0, (5.0, 15.0)),
    Habit("high_beam", 180.0, (0.6, 8.0)),
    Habit("horn", 600.0, (0.3, 1.2)),
    Habit("washer", 400.0, (1.0, 2.5)),
    Habit("fog_front", 900.0, (60.0, 200.0)),
    Habit("window_fl", 150.0, (15.0, 60.0), (10.0, 35.0, 100.0), ramp_s=3.5),
    Habit("window_fr", 260.0, (15.0, 60.0), (10.0, 50.0, 100.0), ramp_s=3.5),
    Habit("window_rl", 500.0, (15.0, 60.0), (20.0, 80.0), ramp_s=3.5),
    Habit("window_rr", 520.0, (15.0, 60.0), (20.0, 80.0), ramp_s=3.5),
    Habit("sunroof", 600.0, (60.0, 240.0), (-40.0, 50.0, 100.0), ramp_s=6.0),
    Habit("sunshade", 500.0, (120.0, 400.0), (50.0, 100.0), ramp_s=6.0),
    Habit("seat_heat_driver", 300.0, (60.0, 300.0), (1.0, 3.0, 5.0)),
    Habit("seat_heat_passenger", 500.0, (60.0, 300.0), (2.0, 4.0)),
    Habit("massage", 700.0, (120.0, 300.0), (1.0, 3.0, 5.0)),
    Habit("wheel_heat", 600.0, (120.0, 300.0)),
    Habit("wish_offset_c", 240.0, (60.0, 200.0), (-2.0, -1.0, 1.0, 2.5)),
    Habit("recirculation", 200.0, (30.0, 90.0)),
    Habit("defrost", 400.0, (40.0, 120.0)),
    Habit("volume_up", 70.0, (20.0, 60.0), (8.0, 15.0, -10.0)),
    Habit("media_source", 240.0, (60.0, 240.0), (1.0, 2.0, 4.0, 5.0), rest=3.0),
    Habit("voice", 400.0, (2.0, 6.0)),
    Habit("lane_left", 210.0, (0.4, 1.5)),
    Habit("lane_right", 240.0, (0.4, 1.5)),
    Habit("blind_left", 45.0, (2.0, 6.0)),
    Habit("blind_right", 60.0, (2.0, 6.0)),
    Habit("lead_m", 40.0, (15.0, 60.0), (18.0, 32.0, 55.0, 90.0), rest=0.0),
    Habit("attention_loss", 150.0, (3.0, 10.0), (15.0, 40.0), ramp_s=2.0),
    Habit("hands_off", 90.0, (2.0, 8.0)),
    Habit("cruise", 120.0, (40.0, 120.0)),
    Habit("dark", 400.0, (30.0, 120.0), (1.0,), ramp_s=2.0),  # a tunnel, a wood
    Habit("pothole", 12.0, (0.05, 0.2), (0.5, 1.0, 2.0)),
    Habit("offline", 200.0, (3.0, 25.0)),
    Habit("network_generation", 180.0, (30.0, 120.0), (2.0, 4.0), rest=3.0),
    Habit("speed_limit_km_h", 60.0, (40.0, 120.0), (30.0, 70.0, 100.0, 130.0), rest=50.0),
    Habit("fault", 420.0, (60.0, 200.0), (1.0, 2.0)),
    Habit("sport", 300.0, (40.0, 150.0), (1.0, 2.0)),
)

# One draw covers this long; a timeline grows by whole pieces.
_PIECE_S = 3600.0


class Timeline:
    """The value of one habit over time."""

    def __init__(self, habit: Habit, seed: int, vehicle: int) -> None:
        self._habit = habit
        number = HABITS.index(habit) if habit in HABITS else len(HABITS)
        self._random = np.random.Generator(np.random.PCG64([seed, vehicle, number]))
        self._starts = [0.0]
        self._levels = [habit.rest]
        self._known_s = 0.0

    def at(self, time_s: float) -> float:
        """Return the value at `time_s`, 0 or later."""
        while self._known_s <= time_s:
            self._extend()
        entry = bisect_right(self._starts, time_s) - 1
        level = self._levels[entry]
        ramp_s = self._habit.ramp_s
        if ramp_s == 0.0 or entry == 0:
            return level
        before = self._levels[entry - 1]
        share = min((time_s - self._starts[entry]) / ramp_s, 1.0)
        return before + (level - before) * share

    def _extend(self) -> None:
        habit, draw = self._habit, self._random
        # The first occasion comes early, so that a short drive shows something too.
        now_s = self._known_s + float(draw.exponential(habit.wait_s)) * (
            0.4 if self._known_s == 0.0 else 1.0
        )
        end_s = self._known_s + _PIECE_S
        while now_s < end_s:
            self._starts.append(now_s)
            self._levels.append(habit.values[int(draw.integers(len(habit.values)))])
            now_s += max(float(draw.uniform(*habit.lasts_s)), 2.0 * habit.ramp_s)
            self._starts.append(now_s)
            self._levels.append(habit.rest)
            now_s += habit.ramp_s + float(draw.exponential(habit.wait_s))
        self._known_s = max(end_s, now_s)


class Habits:
    """All timelines of one vehicle."""

    def __init__(self, seed: int, vehicle: int) -> None:
        self._timelines = {habit.name: Timeline(habit, seed, vehicle) for habit in HABITS}

    def at(self, time_s: float) -> dict[str, float]:
        """Return the value of every habit."""
        return {name: timeline.at(time_s) for name, timeline in self._timelines.items()}
