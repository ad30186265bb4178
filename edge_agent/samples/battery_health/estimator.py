"""How much of a traction battery is left, from voltage, current and temperature alone.

    current steps  > resistance = dV / dI, brought to 25 degrees
    rest A ... Ah counted ... rest B  > capacity = charge / (soc(B) - soc(A)), soc from the voltage at rest

Rule 1: nothing here does I/O or reads a clock: state, reading -> state.
Rule 2: each observation weighs by what it can know: a rest on a flat piece of the curve says little, one after
        a long way along it much.
Rule 3: without knowledge there is no number: a battery that was never at rest twice has no state of health.
"""

from bisect import bisect_right
from dataclasses import dataclass, field, replace

# Of one cell: the voltage's error at rest (sensor, hysteresis, rest of the relaxation).
REST_ERROR_V = 0.004
CHARGE_ERROR = 0.005  # of the charge that was counted: the current sensor's gain
STEP_MIN_A = 20.0
STEP_MAX_S = 0.5  # a slower step shows the cells' relaxation, too
STEP_ERROR_V = 0.1
GAP_MAX_S = 2.0  # over a longer gap nobody counted
BACK_MAX_S = 60.0  # a reading that is older than that comes from a clock that was set
REST_A = 1.0  # what a parked vehicle takes
REST_S = 180.0  # six time constants of the relaxation
TRAVEL_MIN = 0.05  # state of charge between two rests that can tell a capacity
KELVIN_25 = 0.012  # resistance per degree below 25
AGEING = 1.0 + 1e-6  # an observation makes older knowledge so much less certain


@dataclass(frozen=True, slots=True)
class Pack:
    """What the maker says of the battery."""

    cells: int = 96  # in series
    capacity_ah: float = 180.0  # when new
    resistance_ohm: float = 0.085  # of the pack when new, at 25 degrees
    soc: tuple[float, ...] = (0.0, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    open_v: tuple[float, ...] = (
        2.9,
        3.3,
        3.45,
        3.54,
        3.59,
        3.63,
        3.68,
        3.77,
        3.87,
        3.97,
        4.07,
        4.18,
    )  # of one cell, at these states of charge


@dataclass(frozen=True, slots=True)
class Reading:
    """The battery at one moment."""

    time_s: float
    voltage_v: float
    current_a: float  # positive when charging, as in VSS
    temperature_c: float = 25.0


@dataclass(frozen=True, slots=True)
class Belief:
    """A number, and how far it may be off."""

    value: float
    variance: float

    def with_one(self, seen: float, variance: float) -> "Belief":
        """Return what is believed after another observation (a Kalman filter of a constant)."""
        before = self.variance * AGEING
        gain = before / (before + variance)
        return Belief(self.value + gain * (seen - self.value), (1.0 - gain) * before)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A rest: where on the curve it was, and what was counted by then."""

    soc: float
    variance: float
    charge_ah: float
    is_open: bool = True  # still at rest: a later reading is a better one


@dataclass(frozen=True, slots=True)
class State:
    """All that is remembered."""

    resistance: Belief | None = None  # ohm at 25 degrees
    capacity: Belief | None = None  # Ah
    anchor: Anchor | None = None
    charge_ah: float = 0.0  # counted since the beginning
    last: Reading | None = None
    rest_since_s: float | None = None
    steps: int = 0
    travels: int = 0  # from rest to rest


@dataclass(frozen=True, slots=True)
class Health:
    """What can be said now; None where nothing can."""

    resistance_ohm: float | None = None
    resistance_growth_percent: float | None = None  # beyond a new battery's
    state_of_health_percent: float | None = None  # of the capacity
    spread_percent: float | None = None  # one standard deviation of it
    parked_s: float = 0.0
    steps: int = 0
    travels: int = field(default=0)


def observe(state: State, reading: Reading, pack: Pack) -> State:
    """Return what is known after one more reading; one that is older than the last changes nothing.

    Unless it is much older: the vehicle's clock was set, and the count begins anew.
    """
    last = state.last
    if last is not None and reading.time_s <= last.time_s:
        if reading.time_s > last.time_s - BACK_MAX_S:
            return state
        state, last = replace(state, anchor=None, rest_since_s=None, last=None), None
    after = replace(state, last=reading)
    if last is None:
        return _rested(after, reading, pack)
    gap_s = reading.time_s - last.time_s
    is_idle = abs(last.current_a) < REST_A and abs(reading.current_a) < REST_A
    if gap_s <= GAP_MAX_S:
        counted = 0.5 * (last.current_a + reading.current_a) * gap_s / 3600.0
        after = replace(after, charge_ah=state.charge_ah + counted)
    elif not is_idle:
        after = replace(after, anchor=None, rest_since_s=None)
    if gap_s <= STEP_MAX_S:
        after = _stepped(after, last, reading)
    return _rested(after, reading, pack)


def health(state: State, pack: Pack) -> Health:
    """Return what can be said."""
    now_s = state.last.time_s if state.last else 0.0
    resistance, capacity = state.resistance, state.capacity
    return Health(
        resistance_ohm=resistance.value if resistance else None,
        resistance_growth_percent=(
            100.0 * (resistance.value / pack.resistance_ohm - 1.0) if resistance else None
        ),
        state_of_health_percent=100.0 * capacity.value / pack.capacity_ah if capacity else None,
        spread_percent=100.0 * capacity.variance**0.5 / pack.capacity_ah if capacity else None,
        parked_s=now_s - state.rest_since_s if state.rest_since_s is not None else 0.0,
        steps=state.steps,
        travels=state.travels,
    )


def soc_at(open_cell_v: float, pack: Pack) -> tuple[float, float]:
    """Return the state of charge at an open-circuit voltage of one cell, and the curve's slope there in V."""
    high = min(max(bisect_right(pack.open_v, open_cell_v), 1), len(pack.open_v) - 1)
    low = high - 1
    slope = (pack.open_v[high] - pack.open_v[low]) / (pack.soc[high] - pack.soc[low])
    soc = pack.soc[low] + (open_cell_v - pack.open_v[low]) / slope
    return min(max(soc, 0.0), 1.0), slope


def _stepped(state: State, last: Reading, reading: Reading) -> State:
    step_a = reading.current_a - last.current_a
    if abs(step_a) < STEP_MIN_A:
        return state
    below = min(max(25.0 - reading.temperature_c, -10.0), 50.0)
    seen = (reading.voltage_v - last.voltage_v) / step_a / (1.0 + KELVIN_25 * below)
    if seen <= 0.0:
        return state  # a broken pair of readings, not a battery
    variance = 2.0 * (STEP_ERROR_V / step_a) ** 2
    before = state.resistance
    after = before.with_one(seen, variance) if before else Belief(seen, variance)
    return replace(state, resistance=after, steps=state.steps + 1)


def _rested(state: State, reading: Reading, pack: Pack) -> State:
    """Follow a rest, and close the way from the rest before."""
    if abs(reading.current_a) >= REST_A:
        anchor = replace(state.anchor, is_open=False) if state.anchor else None
        return replace(state, rest_since_s=None, anchor=anchor)
    since_s = reading.time_s if state.rest_since_s is None else state.rest_since_s
    state = replace(state, rest_since_s=since_s)
    if reading.time_s - since_s < REST_S:
        return state
    soc, slope = soc_at(reading.voltage_v / pack.cells, pack)
    here = Anchor(soc, (REST_ERROR_V / slope) ** 2, state.charge_ah)
    if state.anchor is None or state.anchor.is_open:
        return replace(state, anchor=here)
    return _travelled(replace(state, anchor=here), state.anchor, here)


def _travelled(state: State, start: Anchor, end: Anchor) -> State:
    travel = end.soc - start.soc
    charge = end.charge_ah - start.charge_ah
    if abs(travel) < TRAVEL_MIN or charge / travel <= 0.0:
        # Too short to tell: the next rest measures from the older one.
        return replace(state, anchor=replace(start, is_open=False))
    seen = charge / travel
    relative = (start.variance + end.variance) / travel**2 + CHARGE_ERROR**2
    variance = seen**2 * relative
    before = state.capacity
    after = before.with_one(seen, variance) if before else Belief(seen, variance)
    return replace(state, capacity=after, travels=state.travels + 1)
