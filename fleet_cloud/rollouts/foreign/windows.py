"""Maintenance windows, as hawkBit's users write them: Quartz cron expressions and durations.

    second minute hour day-of-month month day-of-week [year]      0 30 2 ? * SUN      duration 01:00:00

Rule 1: a window is open from each moment that fits the schedule, for its duration.
Rule 2: what cannot be read is refused when it is assigned, not when the vehicle asks.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from fairway.clock import NS_PER_S
from fairway.errors import BadInput
from fleet_cloud.rollouts.foreign.model import Window

DURATION_MAX_S = 24 * 3600
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
        start=1,
    )
}
_DAYS = {
    name: number
    for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], start=1)
}
# What each field may say: its name, its least and its greatest number, and names for numbers.
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 1, 7, _DAYS),
    ("year", 1970, 2199, {}),
)
_DURATION = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})")
_ZONE = re.compile(r"(?:Z|([+-])(\d{2}):(\d{2}))")


def window_of(schedule: str, duration: str, zone: str) -> Window:
    """Return the window that a user describes.  Raises BadInput."""
    _fields(schedule)
    found = _DURATION.fullmatch(duration)
    seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]) if found else 0
    if not 0 < seconds <= DURATION_MAX_S:
        raise BadInput(f"the duration {duration[:40]!r} is not HH:MM:SS, of up to 24 hours")
    offset = _ZONE.fullmatch(zone)
    if offset is None:
        raise BadInput(f"the timezone {zone[:40]!r} is not an offset from UTC such as +01:00")
    sign = -1 if offset[1] == "-" else 1
    offset_s = sign * (int(offset[2]) * 3600 + int(offset[3]) * 60) if offset[1] else 0
    return Window(schedule, seconds, offset_s)


def is_open(window: Window, now_ns: int) -> bool:
    """Whether the window is open at a moment."""
    seconds, minutes, hours, days, months, weekdays, years = _fields(window.schedule)
    local = datetime.fromtimestamp(now_ns // NS_PER_S, UTC) + timedelta(seconds=window.offset_s)
    first = local - timedelta(seconds=window.duration_s)
    minute = local.replace(second=0)
    while minute > first - timedelta(minutes=1):
        if (
            minute.minute in minutes
            and minute.hour in hours
            and minute.day in days
            and minute.month in months
            and minute.isoweekday() % 7 + 1 in weekdays
            and minute.year in years
            and any(first < minute + timedelta(seconds=s) <= local for s in seconds)
        ):
            return True
        minute -= timedelta(minutes=1)
    return False


def _fields(schedule: str) -> list[frozenset[int]]:
    parts = schedule.upper().split()
    if len(schedule) > 200 or len(parts) not in (6, 7):
        raise BadInput(
            f"the schedule {schedule[:80]!r} is no cron expression: second minute hour day month weekday [year]"
        )
    parts += ["*"] * (7 - len(parts))
    return [_numbers(text, *field) for text, field in zip(parts, _FIELDS, strict=True)]


def _numbers(
    text: str, what: str, least: int, most: int, names: Mapping[str, int]
) -> frozenset[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        begin, dash, end = span.partition("-")
        try:
            if span in ("*", "?"):
                low, high = least, most
            else:
                low = names.get(begin) or int(begin)
                high = (names.get(end) or int(end)) if dash else (most if step else low)
            every = int(step) if step else 1
        except ValueError as error:
            raise BadInput(f"{part[:40]!r} is not a {what} of a schedule") from error
        if not (least <= low <= high <= most and every >= 1):
            raise BadInput(f"{part[:40]!r} is not a {what} of a schedule: {least} to {most}")
        numbers.update(range(low, high + 1, every))
    return frozenset(numbers)
