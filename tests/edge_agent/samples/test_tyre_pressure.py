import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.samples.tyre_pressure.__main__ import OURS, WHEELS, path_of, signals_of
from edge_agent.samples.tyre_pressure.watcher import (
    AIR_KPA,
    Alarm,
    Reading,
    State,
    at_20_degrees,
    judge,
    observe,
)

PLACARD_KPA = 240.0
COLD_KPA = {"Row1.Left": 248.0, "Row1.Right": 245.0, "Row2.Left": 251.0, "Row2.Right": 247.0}


def driven(seconds, *, leaks=(), ambient_c=20.0, warms_c=20.0, height_kpa=0.0, every_s=1.0):
    """Return what is known after a drive of tyres that warm up; some lose air, in kPa an hour."""
    state, now_s, losses = State(), 0.0, dict(leaks)
    while now_s <= seconds:
        warm_c = ambient_c + warms_c * (1.0 - math.exp(-now_s / 900.0))
        for number, wheel in enumerate(WHEELS):
            absolute = COLD_KPA[wheel] + AIR_KPA - losses.get(wheel, 0.0) * now_s / 3600.0
            gauge = absolute * (warm_c + 273.15) / 293.15 - AIR_KPA + height_kpa * now_s / 3600.0
            # The bus says whole kilopascals and degrees.
            reading = Reading(
                wheel, now_s + 0.25 * number, float(round(gauge)), float(round(warm_c))
            )
            state = observe(state, reading)
        now_s += every_s
    return state


def test_at_one_temperature_a_warm_tyre_has_the_pressure_it_had_when_cold():
    assert math.isclose(at_20_degrees(273.3, 40.0), 249.3 + 1.2, abs_tol=2.0)
    assert at_20_degrees(240.0, 20.0) == pytest.approx(240.0)


def test_tyres_that_only_warm_up_raise_no_alarm():
    assert judge(driven(1800), PLACARD_KPA) == Alarm()


def test_weather_and_height_change_all_tyres_and_are_no_leak():
    assert judge(driven(3600, height_kpa=-15.0, ambient_c=5.0), PLACARD_KPA) == Alarm()


def test_a_slow_leak_is_found_while_the_tyre_warms_up_and_its_pressure_rises():
    alarm = judge(driven(1800, leaks={"Row2.Left": 15.0}.items()), PLACARD_KPA)

    assert (alarm.wheel, alarm.is_leaking, alarm.is_low) == ("Row2.Left", True, False)
    assert math.isclose(alarm.leak_kpa_per_h, 15.0, rel_tol=0.35)
    assert math.isclose(alarm.hours_to_low, (251 - 7.5 - 192) / 15.0, rel_tol=0.4)


def test_a_puncture_is_found_within_three_minutes():
    alarm = judge(driven(180, leaks={"Row1.Right": 400.0}.items()), PLACARD_KPA)

    assert (alarm.wheel, alarm.is_leaking) == ("Row1.Right", True)


def test_a_tyre_that_is_low_already_is_told_and_comes_before_one_that_leaks():
    state = driven(1800, leaks={"Row1.Left": 15.0}.items())
    for second in range(1800):
        state = observe(state, Reading("Spare", float(second), 150.0, 20.0))

    alarm = judge(state, PLACARD_KPA)

    assert (alarm.wheel, alarm.is_low, alarm.is_leaking) == ("Spare", True, False)


def test_nothing_is_said_before_two_minutes():
    assert judge(driven(100, leaks={"Row1.Left": 2000.0}.items()), PLACARD_KPA) == Alarm()


def test_a_clock_that_is_set_back_begins_anew():
    state = driven(600)

    state = observe(state, Reading("Row1.Left", -1e6, 240.0, 20.0))

    assert state.wheels["Row1.Left"].bins == ()
    assert observe(state, Reading("Row1.Left", -1e6 - 30, 240.0, 20.0)) == state


def test_an_hour_is_remembered_and_no_more():
    state = driven(3 * 3600, every_s=5.0)

    assert {len(wheel.bins) for wheel in state.wheels.values()} == {360}


def test_what_is_published_is_in_the_alarm():
    said = signals_of(Alarm("Row1.Left", is_leaking=True, leak_kpa_per_h=12.0, hours_to_low=3.0))

    assert said[f"{OURS}.Wheel"] == "Row1.Left"
    assert said[f"{OURS}.IsLeaking"] is True
    assert path_of("Row1.Left", "Pressure") == "Vehicle.Chassis.Axle.Row1.Wheel.Left.Tire.Pressure"


@given(
    st.lists(
        st.builds(
            Reading,
            st.sampled_from(WHEELS),
            st.floats(0, 1e10),
            st.floats(0, 1000),
            st.floats(-60, 150),
        ),
        max_size=60,
    )
)
def test_no_sequence_of_readings_breaks_it(readings: list[Reading]):
    state = State()
    for reading in readings:
        state = observe(state, reading)

    assert judge(state, PLACARD_KPA).hours_to_low >= 0.0
