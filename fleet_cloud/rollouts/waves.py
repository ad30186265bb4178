"""Who is in which wave, how many may be offered the update now, and when vehicles may install.

Rule 1: a wave with a filter takes those that it names, whatever stands before it; shares are of the others.
Rule 2: a share is exact: of seven vehicles, ten per cent is one.
Rule 3: what a rate did not use up is kept for a minute at most: after an outage nobody is flooded.
"""

import math
from collections.abc import Callable, Sequence

from fairway.clock import NS_PER_S
from fleet_cloud.control.query import Attributes, parse
from fleet_cloud.rollouts.model import Counts, Rate, Wave, WaveKept, Window

_MINUTE_NS = 60 * NS_PER_S
_DAY_MINUTES = 24 * 60
# The Unix epoch was a Thursday.
_EPOCH_WEEKDAY = 3

# The wave of vehicles whose share is not cut yet.
UNCUT = -1


def sorter(waves: Sequence[Wave], *, is_first_scan: bool) -> Callable[[Attributes], int]:
    """Return what says in which wave a vehicle is: UNCUT until shares are cut; late ones join the last."""
    tests = [(number, parse(wave.filter)) for number, wave in enumerate(waves) if wave.filter]
    rest = UNCUT if is_first_scan else len(waves) - 1

    def wave_of(known: Attributes) -> int:
        return next((number for number, test in tests if test(known)), rest)

    return wave_of if is_first_scan else lambda _known: rest


def cuts(waves: Sequence[Wave], vehicles: int) -> list[tuple[int, int]]:
    """Return (wave, how many) for the waves that share `vehicles`, in order; the last takes what is left."""
    left, made = vehicles, []
    for number, wave in enumerate(waves):
        if wave.filter:
            continue
        share = left
        if wave.percent is not None and number != len(waves) - 1:
            share = min(left, math.ceil(vehicles * wave.percent / 100))
        made.append((number, share))
        left -= share
    if left:  # the last wave has a filter, and takes who is left as well
        made.append((len(waves) - 1, left))
    return made


def allowance(
    rate: Rate | None, kept: WaveKept, counts: Counts, now_ns: int
) -> tuple[int | None, int]:
    """Return how many more may be offered the update now (None: any number), and until when that uses up."""
    if rate is None:
        return None, now_ns
    since_ns = max(kept.paced_time_ns or kept.opened_time_ns, now_ns - _MINUTE_NS)
    per_minute = rate_now(rate, counts)
    count = int(per_minute * (now_ns - since_ns) / _MINUTE_NS)
    used_ns = math.ceil(count * _MINUTE_NS / per_minute)
    return count, min(since_ns + used_ns, now_ns)


def rate_now(rate: Rate, counts: Counts) -> float:
    """Return how many a minute are offered the update, after the increases that were earned."""
    steps = 0
    if rate.each_notified:
        steps = counts.notified // rate.each_notified
    elif rate.each_succeeded:
        steps = counts.committed // rate.each_succeeded
    # A factor of 5 a thousand times is more than there are vehicles.
    grown = rate.base_per_minute * rate.increment_factor ** min(steps, 100)
    return min(grown, rate.maximum_per_minute or grown, 1e9)


def window_open(windows: Sequence[Window], now_ns: int) -> bool:
    """Whether vehicles may install now."""
    return not windows or any(_is_in(window, now_ns) for window in windows)


def _is_in(window: Window, now_ns: int) -> bool:
    minutes = now_ns // _MINUTE_NS + window.offset_minutes
    day, minute = divmod(minutes, _DAY_MINUTES)
    weekday = (day + _EPOCH_WEEKDAY) % 7
    if window.from_minute < window.to_minute:
        return weekday in window.days and window.from_minute <= minute < window.to_minute
    if minute >= window.from_minute:
        return weekday in window.days
    return (weekday - 1) % 7 in window.days and minute < window.to_minute
