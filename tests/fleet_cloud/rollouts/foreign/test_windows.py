"""Maintenance windows open and close as their schedule says."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.clock import NS_PER_S
from fairway.errors import BadInput
from fleet_cloud.rollouts.foreign.windows import is_open, window_of


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_S


@pytest.mark.parametrize(
    ("schedule", "duration", "zone", "moment", "opened"),
    [
        ("15 30 22 ? 11 * 2026", "00:01:00", "+00:00", "2026-11-29T22:30:14", False),
        ("15 30 22 ? 11 * 2026", "00:01:00", "+00:00", "2026-11-29T22:30:15", True),
        ("15 30 22 ? 11 * 2026", "00:01:00", "+00:00", "2026-11-29T22:31:14", True),
        ("15 30 22 ? 11 * 2026", "00:01:00", "+00:00", "2026-11-29T22:31:15", False),
        ("15 30 22 ? 11 * 2026", "00:01:00", "+00:00", "2027-11-29T22:30:20", False),
        ("0 0 2 ? * SUN", "02:00:00", "+02:00", "2026-11-29T00:30:00", True),  # 02:30 there
        ("0 0 2 ? * SUN", "02:00:00", "+02:00", "2026-11-30T00:30:00", False),  # a Monday
        ("0 0 23 ? * SAT", "03:00:00", "Z", "2026-11-29T01:59:59", True),  # over midnight
        ("0 0/15 9-17 ? * MON-FRI", "00:05:00", "Z", "2026-11-30T09:19:00", True),
        ("0 0/15 9-17 ? * MON-FRI", "00:05:00", "Z", "2026-11-30T09:21:00", False),
        ("0 0 0 1 JAN,JUL ?", "24:00:00", "-05:00", "2026-07-02T04:59:59", True),
    ],
)
def test_a_window_is_open_from_each_moment_of_its_schedule(
    schedule: str,
    duration: str,
    zone: str,
    moment: str,
    opened: bool,  # noqa: FBT001 - of the table
):
    assert is_open(window_of(schedule, duration, zone), at(moment)) is opened


@pytest.mark.parametrize(
    ("schedule", "duration", "zone"),
    [
        ("0 0 2 ? *", "01:00:00", "Z"),
        ("0 0 25 ? * SUN", "01:00:00", "Z"),
        ("0 0 2 ? * NEVER", "01:00:00", "Z"),
        ("0 0/0 2 ? * SUN", "01:00:00", "Z"),
        ("0 0 2 ? * SUN", "00:00:00", "Z"),
        ("0 0 2 ? * SUN", "24:00:01", "Z"),
        ("0 0 2 ? * SUN", "01:00:00", "Berlin"),
    ],
)
def test_what_is_no_window_is_refused(schedule: str, duration: str, zone: str):
    with pytest.raises(BadInput):
        window_of(schedule, duration, zone)


@given(st.text(max_size=60), st.text(max_size=12), st.text(max_size=8))
def test_garbage_is_refused_and_nothing_else_happens(schedule: str, duration: str, zone: str):
    try:
        window = window_of(schedule, duration, zone)
    except BadInput:
        return
    is_open(window, at("2026-11-29T00:00:00"))
