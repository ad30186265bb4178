"""When a vehicle may install, and what is said when it may not."""

from dataclasses import replace

import pytest

from edge_agent.updates.conditions import (
    CONDITIONS,
    Facts,
    Terms,
    consent_lacks,
    known,
    minutes,
    unmet,
)
from edge_agent.updates.order import Consent, Order, Task
from edge_agent.updates.planner import whole
from fairway.errors import BadInput
from tests.edge_agent.updates.releases import assigned
from tests.edge_agent.updates.vehicle_rig import PARKED

EVERY = Terms(conditions=("parked", "ignition_off", "battery", "charge"))
WELL = replace(PARKED, charge_percent=80.0)


def order(**install: object) -> Order:
    image = assigned("maps", 2, **install)
    return Order("a", "t", 1, (Task(image, whole(image.image)),))


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"speed_km_h": 12.0}, "the vehicle moves at 12 km/h"),
        ({"speed_km_h": -3.0}, "the vehicle moves at -3 km/h"),
        ({"speed_km_h": None}, "nobody says how fast the vehicle moves"),
        ({"is_brake_set": False}, "the parking brake is not set, and the gear is not in park"),
        ({"is_brake_set": None}, "nobody says whether the parking brake is set"),
        ({"is_ignition_on": True}, "the ignition is on"),
        ({"is_ignition_on": None}, "nobody says whether the ignition is off"),
        ({"battery_v": 11.9}, "the battery has 11.9 V, and 12.2 V are needed"),
        ({"battery_v": None}, "nobody says how the battery is"),
        ({"charge_percent": 5.0}, "the traction battery is at 5 %, and 20 % are needed"),
        ({"charge_percent": None}, "nobody says how far the traction battery is charged"),
    ],
)
def test_what_is_not_met_is_said(facts: dict[str, object], reason: str):
    assert unmet(order(), replace(WELL, **facts), EVERY, now_ns=0) == (reason,)  # type: ignore[arg-type]


def test_when_all_is_met_nothing_is_said():
    assert unmet(order(), WELL, EVERY, now_ns=0) == ()


@pytest.mark.parametrize("gear", [126, "P"])
def test_a_gear_in_park_is_as_good_as_a_brake(gear: float | str):
    assert unmet(order(), replace(WELL, is_brake_set=None, gear=gear), EVERY, now_ns=0) == ()


def test_nothing_known_meets_nothing():
    assert len(unmet(order(), Facts(), EVERY, now_ns=0)) == 4


def test_a_release_adds_conditions_and_one_that_is_not_known_is_never_met():
    asked = order(conditions=("charge", "garage"))

    said = unmet(asked, replace(WELL, charge_percent=3.0), Terms(), now_ns=0)

    assert said == (
        "the traction battery is at 3 %, and 20 % are needed",
        "the release demands 'garage', which this vehicle does not know",
    )


@pytest.mark.parametrize(
    ("window", "minute", "is_open"),
    [
        (("01:00", "05:00"), "03:00", True),
        (("01:00", "05:00"), "05:00", False),
        (("22:00", "04:30"), "23:59", True),
        (("22:00", "04:30"), "00:00", True),
        (("22:00", "04:30"), "04:30", False),
    ],
)
def test_a_window_is_a_window_also_over_midnight(
    window: tuple[str, str], minute: str, *, is_open: bool
):
    terms = Terms(conditions=(), window=(minutes(window[0]), minutes(window[1])))

    said = unmet(order(), replace(WELL, minute_of_day=minutes(minute)), terms, now_ns=0)

    assert bool(said) != is_open


def test_the_driver_is_asked_only_where_the_release_says_so():
    terms = Terms(conditions=())

    assert unmet(order(), WELL, terms, now_ns=0) == ()
    asking = order(needs_consent=True)
    assert unmet(asking, WELL, terms, now_ns=0) == ("the driver has not said yes yet",)
    assert unmet(replace(asking, consent=Consent.ACCEPTED), WELL, terms, now_ns=0) == ()


def test_what_is_postponed_is_asked_again_later():
    asking = replace(
        order(needs_consent=True), consent=Consent.POSTPONED, postponed_until_ns=90 * 10**9
    )

    assert consent_lacks(asking, now_ns=0) == "the driver has postponed it, for 2 minutes yet"
    assert consent_lacks(asking, now_ns=90 * 10**9) == "the driver has not said yes yet"


def test_names_of_conditions_are_checked():
    assert known(CONDITIONS) == tuple(CONDITIONS)
    with pytest.raises(BadInput, match="choose from parked"):
        known(["parkd"])


@pytest.mark.parametrize("text", ["7", "25:00", "12:60", "ab:cd", "12:5", ""])
def test_what_is_no_time_of_the_day_is_refused(text: str):
    with pytest.raises(BadInput, match="22:30"):
        minutes(text)
