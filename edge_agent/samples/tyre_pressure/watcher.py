"""Which tyre loses air, long before a warning lamp sees it: the trend of pressure at one temperature.

    pressure, temperature > at 20 degrees (gas law) > means of 10 s > slope of each - that of the others

Rule 1: nothing here does I/O or reads a clock: state, reading -> state.
Rule 2: what all wheels do together is weather, height or a warm road; a leak is one wheel alone.
Rule 3: pressure comes in steps of 1 kPa: a fall counts once it is more than steps can feign.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import median

AIR_KPA = 101.3
ZERO_C_K = 273.15
REFERENCE_K = 293.15
BIN_S = 10.0
BINS_MAX = 360  # an hour
BACK_MAX_S = 60.0  # a reading that is older than that comes from a clock that was set
SPAN_MIN_S = 120.0
FALL_MIN_KPA = 3.0  # within what is remembered
CERTAIN = 4.0  # standard errors
STEP_ERROR_KPA = 0.29  # of values in steps of 1 kPa: 1 / sqrt(12)
LOW_SHARE = 0.8  # of what the maker asks for, when the law wants a lamp
HOURS_MAX = 1000.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One tyre at one moment."""

    wheel: str  # as "Row1.Left"
    time_s: float
    pressure_kpa: float  # above the air around
    temperature_c: float


@dataclass(frozen=True, slots=True)
class Wheel:
    """What is remembered of one tyre: means of 10 s, the oldest first, and the one that grows."""

    bins: tuple[tuple[float, float], ...] = ()  # time_s, kPa at 20 degrees
    start_s: float = 0.0
    sum_kpa: float = 0.0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through what is remembered."""

    kpa_per_h: float
    error_kpa_per_h: float
    now_kpa: float  # at 20 degrees
    span_s: float


@dataclass(frozen=True, slots=True)
class State:
    """All wheels."""

    wheels: Mapping[str, Wheel] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alarm:
    """The tyre to look at; "" when all are fine."""

    wheel: str = ""
    is_leaking: bool = False
    is_low: bool = False
    leak_kpa_per_h: float = 0.0  # positive: lost
    hours_to_low: float = HOURS_MAX


def at_20_degrees(pressure_kpa: float, temperature_c: float) -> float:
    """Return what the same air in the same tyre would have at 20 degrees (Gay-Lussac's law)."""
    absolute = (pressure_kpa + AIR_KPA) * REFERENCE_K / (temperature_c + ZERO_C_K)
    return absolute - AIR_KPA


def observe(state: State, reading: Reading) -> State:
    """Return what is known after one more reading."""
    wheel = state.wheels.get(reading.wheel, Wheel(start_s=reading.time_s))
    if reading.time_s < wheel.start_s:
        if reading.time_s > wheel.start_s - BACK_MAX_S:
            return state
        wheel = Wheel(start_s=reading.time_s)
    if wheel.count and reading.time_s - wheel.start_s >= BIN_S:
        mean = (wheel.start_s + BIN_S / 2, wheel.sum_kpa / wheel.count)
        wheel = Wheel((*wheel.bins, mean)[-BINS_MAX:], start_s=reading.time_s)
    kpa = at_20_degrees(reading.pressure_kpa, reading.temperature_c)
    wheel = replace(wheel, sum_kpa=wheel.sum_kpa + kpa, count=wheel.count + 1)
    return State({**state.wheels, reading.wheel: wheel})


def trend(wheel: Wheel) -> Trend | None:
    """Return the straight line through a wheel's means (least squares), None while it would say nothing."""
    points = wheel.bins
    if len(points) < 3 or points[-1][0] - points[0][0] < SPAN_MIN_S:
        return None
    n = len(points)
    mean_s = sum(time for time, _ in points) / n
    mean_kpa = sum(kpa for _, kpa in points) / n
    square = sum((time - mean_s) ** 2 for time, _ in points)
    slope = sum((time - mean_s) * (kpa - mean_kpa) for time, kpa in points) / square
    left = sum((kpa - mean_kpa - slope * (time - mean_s)) ** 2 for time, kpa in points)
    noise = max(left / (n - 2), STEP_ERROR_KPA**2)
    now = mean_kpa + slope * (points[-1][0] - mean_s)
    return Trend(slope * 3600, (noise / square) ** 0.5 * 3600, now, points[-1][0] - points[0][0])


def judge(state: State, placard_kpa: float) -> Alarm:
    """Return the alarm about the worst tyre; `placard_kpa` is what the maker asks for at 20 degrees."""
    trends = {name: found for name, wheel in state.wheels.items() if (found := trend(wheel))}
    low_kpa = LOW_SHARE * placard_kpa
    alarms = [_judged(name, trends, low_kpa) for name in sorted(trends)]
    return min(alarms, key=_urgency, default=Alarm())


def _urgency(one: Alarm) -> tuple[bool, bool, float]:
    return (not one.is_low, not one.is_leaking, one.hours_to_low)


def _judged(name: str, trends: Mapping[str, Trend], low_kpa: float) -> Alarm:
    own = trends[name]
    others = [one.kpa_per_h for other, one in trends.items() if other != name]
    loss = (median(others) if len(others) > 1 else 0.0) - own.kpa_per_h
    is_leaking = loss > CERTAIN * own.error_kpa_per_h and loss * own.span_s / 3600 >= FALL_MIN_KPA
    is_low = own.now_kpa < low_kpa
    if not is_leaking and not is_low:
        return Alarm()
    hours = max(own.now_kpa - low_kpa, 0.0) / loss if is_leaking else HOURS_MAX
    return Alarm(name, is_leaking, is_low, max(loss, 0.0), min(hours, HOURS_MAX))
