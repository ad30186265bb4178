"""Shares, filters, rates and hours."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_cloud.rollouts.model import Wave, Window
from fleet_cloud.rollouts.waves import UNCUT, cuts, sorter, window_open


@given(
    st.lists(st.floats(0.1, 30), max_size=3),
    st.integers(0, 10_000),
)
def test_shares_are_all_vehicles_each_once(percents: list[float], vehicles: int):
    waves = [Wave(str(n), percent=percent) for n, percent in enumerate(percents)] + [Wave("rest")]
    made = cuts(waves, vehicles)

    assert sum(count for _, count in made) == vehicles
    assert [wave for wave, _ in made] == list(range(len(waves)))
    for (_, count), percent in zip(made, percents, strict=False):
        assert 0 <= count <= vehicles * percent / 100 + 1


@pytest.mark.parametrize(
    ("vehicles", "made"),
    [(0, [0, 0, 0]), (1, [1, 0, 0]), (3, [1, 1, 1]), (7, [1, 2, 4]), (100, [10, 20, 70])],
)
def test_a_share_is_exact_and_rounded_up(vehicles: int, made: list[int]):
    waves = [Wave("a", percent=10), Wave("b", percent=20), Wave("c")]

    assert [count for _, count in cuts(waves, vehicles)] == made


def test_a_filter_takes_its_own_before_shares_are_cut():
    waves = [Wave("a", percent=50), Wave("b", filter="is_internal"), Wave("c")]
    first, late = sorter(waves, is_first_scan=True), sorter(waves, is_first_scan=False)

    assert (first({"is_internal": True}), first({})) == (1, UNCUT)
    assert (late({"is_internal": True}), late({})) == (2, 2)
    assert cuts(waves, 10) == [(0, 5), (2, 5)]


def test_a_last_wave_with_a_filter_takes_who_is_left_as_well():
    assert cuts([Wave("a", percent=50), Wave("b", filter="x")], 10) == [(0, 5), (1, 5)]


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp() * 1e9)


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2026-11-30T21:59", False),  # a Monday
        ("2026-11-30T22:00", True),
        ("2026-12-01T04:59", True),
        ("2026-12-01T05:00", False),
        ("2026-12-01T22:30", False),  # it begins on Mondays
    ],
)
def test_a_window_ends_on_the_next_day(when, is_open):
    night = Window(22 * 60, 5 * 60, days=frozenset({0}))

    assert window_open([night], at(when)) is is_open


def test_a_window_is_in_its_own_time():
    morning = Window(6 * 60, 7 * 60, offset_minutes=330)  # India

    assert window_open([morning], at("2026-11-30T00:30"))
    assert not window_open([morning], at("2026-11-30T06:30"))
    assert window_open([], at("2026-11-30T06:30"))
