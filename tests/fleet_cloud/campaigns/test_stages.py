"""Staged starts: who is reached, when a share is raised, and when it stops."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fleet_cloud.campaigns.stages import (
    STAGES_MAX,
    Stage,
    checked,
    is_reached,
    refused_too_often,
    scheduled_percent,
)

S = 1_000_000_000
FLEET = [f"VIN{number}" for number in range(10_000)]


@given(st.floats(0, 100), st.floats(0, 100))
def test_raising_a_share_never_takes_a_vehicle_out(one: float, other: float):
    small, large = sorted((one, other))

    for vehicle in FLEET[:200]:
        assert is_reached("c", vehicle, large) or not is_reached("c", vehicle, small)


@pytest.mark.parametrize("percent", [1, 5, 25, 50, 90])
def test_a_share_is_about_as_large_as_it_says(percent: int):
    reached = sum(is_reached("c", vehicle, percent) for vehicle in FLEET)

    assert abs(reached - 100 * percent) < 200


def test_everybody_is_reached_by_all_and_nobody_by_none():
    assert all(is_reached("c", vehicle, 100) for vehicle in FLEET)
    assert not any(is_reached("c", vehicle, 0) for vehicle in FLEET)


def test_another_campaign_begins_with_other_vehicles():
    first = {vehicle for vehicle in FLEET if is_reached("a", vehicle, 10)}
    second = {vehicle for vehicle in FLEET if is_reached("b", vehicle, 10)}

    assert len(first & second) < 200


@pytest.mark.parametrize(
    ("after_s", "percent"), [(0, 5), (59.9, 5), (60, 25), (3599, 25), (3600, 100), (10**6, 100)]
)
def test_a_schedule_raises_when_its_time_has_come(after_s: float, percent: float):
    stages = (Stage(5), Stage(25, 60), Stage(100, 3600))

    assert scheduled_percent(stages, 7 * S, 7 * S + int(after_s * S)) == percent


def test_without_a_schedule_everybody_is_reached_and_a_clock_set_back_keeps_the_first_stage():
    assert scheduled_percent((), 0, 0) == 100
    assert scheduled_percent((Stage(5), Stage(9, 60)), 10 * S, 0) == 5


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([Stage(0)], "stages[0]: percent is above 0"),
        ([Stage(101)], "stages[0]: percent"),
        ([Stage(5, 10)], "stages[0].after_s: the first stage begins with the start"),
        ([Stage(5), Stage(5, 10)], "stages[1]: is not larger, or not later"),
        ([Stage(5), Stage(6)], "stages[1]: is not larger, or not later"),
        ([Stage(5), Stage(9, 10**9)], "stages[1]: percent"),
        ([Stage(5)] * (STAGES_MAX + 1), "at most 20"),
    ],
)
def test_stages_only_raise(stages: list[Stage], said: str):
    with pytest.raises(BadInput, match=re.escape(said)):
        checked(stages)


@pytest.mark.parametrize(
    ("answered", "refused", "most", "stops"),
    [(0, 0, 0, False), (10, 1, 10, False), (10, 2, 10, True), (1, 1, 10, True), (5, 0, 0, False)],
)
def test_a_stage_stops_when_more_than_a_share_refuse(answered, refused, most, stops):
    assert refused_too_often(answered, refused, most) is stops
