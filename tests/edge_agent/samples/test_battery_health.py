import lzma
import math
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.samples.battery_health.__main__ import OURS, signals_of
from edge_agent.samples.battery_health.estimator import (
    REST_S,
    Health,
    Pack,
    Reading,
    State,
    health,
    observe,
    soc_at,
)
from simulators import battery as physics
from tests.shared_data import shared

# The simulated pack has 180 Ah and 85 mOhm: to a maker of 200 Ah and 68 mOhm it has aged.
AGED = Pack(capacity_ah=200.0, resistance_ohm=0.068)


def driven(profile, *, temperature_c=25.0, soc=0.9, dt_s=0.1, seed=1, noise_v=0.05, noise_a=0.1):
    """Yield what the bus would say of a battery that gives `profile`, pairs of (seconds, watts)."""
    noise = np.random.default_rng(seed)
    cells, now_s = physics.rested(np.array([soc])), 1000.0
    warm = np.array([temperature_c])
    for seconds, watts in profile:
        for _ in range(round(seconds / dt_s)):
            cells = physics.step(cells, np.array([float(watts)]), warm, dt_s)
            now_s += dt_s
            voltage = float(cells.voltage_v[0]) + noise.normal(0.0, noise_v)
            current = -float(cells.current_a[0]) + noise.normal(0.0, noise_a)
            yield Reading(now_s, round(voltage, 2), round(current / 0.05) * 0.05, temperature_c)


def learned(readings, pack=AGED, state=None):
    state = state or State()
    for reading in readings:
        state = observe(state, reading, pack)
    return state


def town(minutes, watts=30_000):
    """A drive in town: the pedal pressed and let go."""
    return [(5, watts), (5, 0)] * (minutes * 6)


REST = [(REST_S + 60, 0)]


def test_steps_of_current_tell_the_resistance_of_a_new_and_of_an_aged_battery():
    told = health(learned(driven(town(2))), AGED)

    assert told.resistance_ohm is not None
    assert math.isclose(told.resistance_ohm, physics.R0_OHM, rel_tol=0.03)
    assert told.resistance_growth_percent is not None
    assert math.isclose(told.resistance_growth_percent, 25.0, abs_tol=4.0)


def test_the_cold_is_not_taken_for_age():
    told = health(learned(driven(town(2), temperature_c=-10.0)), AGED)

    assert told.resistance_ohm is not None
    assert math.isclose(told.resistance_ohm, physics.R0_OHM, rel_tol=0.05)


def test_from_rest_to_rest_the_charge_tells_the_capacity_and_how_sure_that_is():
    hard = [(1200, 60_000)]

    told = health(learned(driven([*REST, *hard, *REST], dt_s=0.5)), AGED)

    assert told.travels == 1
    assert told.state_of_health_percent is not None
    assert told.spread_percent is not None
    assert math.isclose(told.state_of_health_percent, 90.0, abs_tol=3.0)
    assert abs(told.state_of_health_percent - 90.0) < 3 * told.spread_percent
    assert told.parked_s > REST_S


def test_more_travels_make_it_surer():
    once = [*REST, (1200, 60_000)]

    one = health(learned(driven([*once, *REST], dt_s=0.5)), AGED)
    two = health(learned(driven([*once, *once, *REST], dt_s=0.5)), AGED)

    assert two.travels == 2
    assert one.spread_percent is not None
    assert two.spread_percent is not None
    assert two.spread_percent < one.spread_percent


def test_without_two_rests_there_is_no_state_of_health_and_none_is_said():
    told = health(learned(driven([(600, 60_000), *REST], dt_s=0.5)), AGED)

    assert told.state_of_health_percent is None
    assert f"{OURS}.StateOfHealth" not in signals_of(told)
    assert signals_of(told)[f"{OURS}.IsLearning"] is True


def test_a_way_too_short_to_tell_waits_for_the_next_rest():
    some = [(300, 18_000)]  # 4 Ah of 180

    state = learned(driven([*REST, *some, *REST], dt_s=0.5))

    assert state.capacity is None
    assert learned(driven([*REST, *some, *REST, (1200, 60_000), *REST], dt_s=0.5)).travels == 1


def test_a_gap_while_driving_ends_the_count_and_one_while_parked_does_not():
    readings = list(driven([*REST, (1200, 60_000), *REST], dt_s=0.5))
    under_way = [one for one in readings if not 1400 <= one.time_s < 1460]
    parked = [one for one in readings if not 1020 <= one.time_s < 1080]

    assert len(under_way) < len(readings)
    assert len(parked) < len(readings)
    assert learned(under_way).capacity is None
    assert learned(parked).travels == 1


def test_readings_that_are_told_twice_or_late_change_nothing():
    readings = list(driven(town(1)))
    state = learned(readings)

    assert learned(readings[-30:], state=state) == state


def test_a_clock_that_is_set_back_loses_the_count_and_not_what_was_learned():
    readings = list(driven([*REST, (1200, 60_000), *REST], dt_s=0.5))
    state = learned(readings)

    after = observe(state, replace(readings[-1], time_s=readings[-1].time_s - 1e5), AGED)

    assert after.capacity == state.capacity
    assert (state.anchor is None, after.anchor) == (False, None)


def test_what_was_learned_goes_on_in_another_life():
    first = learned(driven([*REST, (1200, 60_000), *REST], dt_s=0.5))
    reborn = State(resistance=first.resistance, capacity=first.capacity, travels=first.travels)

    second = learned(driven([*REST, (1200, 60_000), *REST], dt_s=0.5, seed=2), state=reborn)

    assert second.travels == 2
    assert second.capacity is not None
    assert first.capacity is not None
    assert second.capacity.variance < first.capacity.variance


@given(st.floats(2.5, 4.4))
def test_a_voltage_at_rest_is_always_a_state_of_charge(voltage_v: float):
    soc, slope = soc_at(voltage_v, Pack())

    assert 0.0 <= soc <= 1.0
    assert slope > 0.0


@given(
    st.lists(
        st.builds(
            Reading,
            st.floats(0, 1e10),
            st.floats(0, 1000),
            st.floats(-1000, 1000),
            st.floats(-60, 100),
        ),
        max_size=30,
    )
)
def test_no_sequence_of_readings_breaks_it(readings: list[Reading]):
    told = health(learned(readings), AGED)

    assert told.resistance_ohm is None or told.resistance_ohm > 0.0
    assert told.state_of_health_percent is None or told.state_of_health_percent > 0.0


def test_a_real_car_that_stands_tells_its_state_of_charge_but_no_health():
    """A parked EV's own battery controller, asked over UDS every 2 s for 4 minutes."""
    pack = Pack(cells=98, capacity_ah=180.0)
    readings = list(_kona())

    state = learned(readings, pack)

    assert len(readings) == 120
    assert {one.current_a for one in readings} <= {0.0, 0.1, 0.2, 0.3}
    assert health(state, pack) == replace(Health(), parked_s=health(state, pack).parked_s)
    assert health(state, pack).parked_s > 230
    assert state.anchor is not None
    assert math.isclose(state.anchor.soc, 0.50, abs_tol=0.1)  # the car itself says 50 %


def _kona():
    """Return readings from the answers 62 01 01: state of charge, current and voltage at their places."""
    path = shared("edge/css_canedge/nissan_uds.candump.log.xz")
    answer = b""
    with lzma.open(path, "rt") as log:
        for line in log:
            stamp, _, frame = line.split()
            if not frame.startswith("7EC#"):
                continue
            data = bytes.fromhex(frame[4:])
            if data[0] >> 4 == 1:
                answer = data[2:]
                continue
            answer += data[1:]
            if data[0] == 0x28 and answer.startswith(bytes.fromhex("620101")):
                assert answer[7] == 100  # half percents
                current = int.from_bytes(answer[13:15], "big", signed=True) / 10
                voltage = int.from_bytes(answer[15:17], "big") / 10
                yield Reading(float(stamp.strip("()")), voltage, current)
