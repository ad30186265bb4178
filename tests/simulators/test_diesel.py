"""The truck obeys: it shifts, burns what a truck burns, and follows a cycle as far as its weight lets it."""

import numpy as np
import pytest

from simulators import diesel
from simulators.drive_cycle import load_cycle

RIG = diesel.Rig()
STEP_S = 0.05


@pytest.fixture(scope="module")
def highway():
    cycle = load_cycle("hwfet")
    states = [diesel.parked(np.array([15.0]), np.zeros(1))]
    for step in range(round(cycle.duration_s / STEP_S)):
        now = diesel.DieselInputs(
            cycle.speed_at(np.array([step * STEP_S])), np.zeros(1), np.array([15.0])
        )
        states.append(diesel.step(RIG, states[-1], now, STEP_S))
    return cycle, states


def test_it_burns_what_a_truck_burns(highway):
    end = highway[1][-1]

    assert 25.0 < end.fuel_l[0] / end.distance_m[0] * 1e5 < 45.0


def test_it_goes_through_its_gears_and_keeps_the_engine_in_its_range(highway):
    gears = {state.gear[0] for state in highway[1]}
    speeds = np.array([state.engine_rpm[0] for state in highway[1]])

    assert {1.0, 6.0, 11.0, 12.0} <= gears
    assert speeds.min() >= 590.0
    assert speeds.max() <= 1_800.0


def test_it_never_exceeds_its_limiter(highway):
    speeds = np.array([state.speed_m_s[0] for state in highway[1]])

    assert speeds.max() * 3.6 < 89.5
    assert highway[1][-1].distance_m[0] == pytest.approx(highway[0].distance_m, rel=0.05)


def test_torque_stays_under_the_full_load_curve(highway):
    assert all(0.0 <= state.torque_nm[0] <= diesel.REFERENCE_NM for state in highway[1])


def test_it_warms_up_to_its_thermostat_and_no_further(highway):
    coolant = np.array([state.coolant_c[0] for state in highway[1]])

    assert coolant[0] == 50.0
    assert 75.0 < coolant.max() < 105.0


def test_a_hundred_trucks_drive_exactly_as_one_does():
    one = diesel.parked(np.full(1, 15.0), np.zeros(1))
    many = diesel.parked(np.full(100, 15.0), np.zeros(100))
    for step in range(600):
        target = 12.0 * (1.0 - np.cos(step * STEP_S / 5.0))
        one, many = (
            diesel.step(
                RIG,
                state,
                diesel.DieselInputs(
                    np.full(count, target), np.full(count, 0.01), np.full(count, 15.0)
                ),
                STEP_S,
            )
            for state, count in ((one, 1), (many, 100))
        )

    assert np.array_equal(many.speed_m_s, np.repeat(one.speed_m_s, 100))
    assert np.array_equal(many.fuel_l, np.repeat(one.fuel_l, 100))
