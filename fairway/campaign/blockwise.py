"""One campaign over a whole block: what runner.py does moment by moment, in far fewer steps.

    results of its condition > only where something can happen > trigger

Rule 1: a result that cannot move the trigger is not looked at: while nothing changes, true or false is the same
        at each point until a time the trigger itself names.
Rule 2: timers of the trigger fire before a moment of their time, and after an evaluation by time alone.
"""

import numpy as np

from fairway.campaign import columns
from fairway.campaign.columns import Points, Results, Rows
from fairway.campaign.fetch import Fetch
from fairway.campaign.model import TriggerMode
from fairway.campaign.moments import Moments, Positions
from fairway.campaign.runner import Now, Output, Runner
from fairway.campaign.trigger import State


def run(runner: Runner, rows: Rows, output: Output) -> None:
    """Take the rows of a block, and that it is `rows.until_ns` then."""
    results = {id(watch): columns.evaluate(watch, rows) for watch in runner.watches}
    for fetch in runner.fetches:
        if fetch.watch is not None:
            _fetch(runner, fetch, results[id(fetch.watch)], rows.moments, output)
    if runner.watch is not None:
        _trigger(runner, results[id(runner.watch)], rows.moments, output)
    runner.fire_before(rows.until_ns + 1, rows.moments, output)
    runner.find_due()


def _trigger(runner: Runner, results: Results, here: Moments, output: Output) -> None:
    points, is_true = results.points, results.is_true
    changes = np.flatnonzero(np.diff(is_true)) + 1
    at, count = 0, len(is_true)
    while at < count:
        now = _now(points, at, here)
        runner.fire_before(now.drive_ns + (not points.is_timer[at]), here, output)
        result = bool(is_true[at])
        runner.take_result(now, output, is_true=result)
        at = max(at + 1, _next(runner, points, at, changes, is_true=result))


def _next(runner: Runner, points: Points, at: int, changes: Positions, *, is_true: bool) -> int:
    """Return the next point after `at` where a result may do something."""
    trigger = runner.trigger
    if trigger.state in (State.FALSE, State.COLLECTING_FALSE):
        # Until the interval has passed nothing is remembered; after it only true is.
        possible = int(np.searchsorted(points.drive_ns, trigger.open_ns, side="left"))
        return possible if is_true or possible > at else _change(changes, at, len(points.row))
    change = _change(changes, at, len(points.row))
    if trigger.mode is TriggerMode.RISING_EDGE or trigger.interval_ns:
        return change  # while it is true the trigger's own timers do the rest
    if trigger.state is State.COLLECTING_TRUE:
        return min(change, int(np.searchsorted(points.drive_ns, runner.end_ns, side="left")))
    return at + 1


def _change(changes: Positions, at: int, count: int) -> int:
    next_one = int(np.searchsorted(changes, at, side="right"))
    return int(changes[next_one]) if next_one < len(changes) else count


def _fetch(runner: Runner, fetch: Fetch, results: Results, here: Moments, output: Output) -> None:
    points = results.points
    for at, is_true in enumerate(results.is_true.tolist()):
        runner.take_fetch_result(fetch, _now(points, at, here), output, is_true=is_true)


def _now(points: Points, at: int, here: Moments) -> Now:
    drive_ns, row = int(points.drive_ns[at]), int(points.row[at])
    if points.is_timer[at]:
        return Now(drive_ns, row, here.wall_ns(drive_ns))
    return Now(drive_ns, row, int(here.block.time_ns[row - 1]))
