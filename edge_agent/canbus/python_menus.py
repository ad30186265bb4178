"""Multiplexers that one byte decides: what each of its 256 values adds, as a table.

    frame's run -> byte of the payload -> run to add

Rule 1: a run has a menu when it has one multiplexer, that lies in a single byte, and nothing below branches.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus.generated_bytes import low_bit, ops_of, reach
from edge_agent.canbus.python_walk import Walker

BYTES = 256

# A car has some ten multiplexed messages a bus; a menu takes 2 KB.
MENUS_MAX = 1_024

Numbers = NDArray[np.intp]


class Menus(NamedTuple):
    """The menus of some runs."""

    byte: Numbers  # of each run: which byte of the payload decides
    first: (
        Numbers  # of each run: where its menu begins in `added`; the menu at 0 adds nothing to any
    )
    added: Numbers  # the menus, end to end: runs


def menus_of(walker: Walker, runs: list[int], *, nothing: int, unknown: int) -> Menus:
    """Return the menus of `runs`.  `nothing` is the run without ops, `unknown` that of an unknown value."""
    menus = [np.full(BYTES, nothing, np.intp)]
    places: dict[int, tuple[int, int]] = {}
    for run in dict.fromkeys(runs):
        found = _menu(walker, run, unknown) if len(menus) <= MENUS_MAX else None
        if found is not None:
            places[run] = found[0], BYTES * len(menus)
            menus.append(found[1])
    columns = np.array([places.get(run, (0, 0)) for run in runs], np.intp).reshape(-1, 2)
    return Menus(columns[:, 0].copy(), columns[:, 1].copy(), np.concatenate(menus))


def _menu(walker: Walker, run: int, unknown: int) -> tuple[int, Numbers] | None:
    """Return the byte that decides what is added to a run, and what its values add."""
    table = walker.table
    if run >= len(table.runs) or table.runs["switches"][run] != 1:
        return None
    number, first_arm, arms = table.switches[table.runs["first_switch"][run]].tolist()
    rows = table.arms[first_arm : first_arm + arms]
    op = ops_of(table, number, 1)[0]
    size = walker.need(run)
    first, last, _ = reach(op, size)
    if first != last or table.runs["switches"][rows["run"]].any():
        return None
    bits = np.arange(BYTES) >> low_bit(op, size) % 8 & (1 << op.bits) - 1
    value = (bits ^ op.sign_bit) - op.sign_bit
    menu = np.full(BYTES, unknown, np.intp)
    for low, high, below, _ in rows.tolist():
        menu[(value >= low) & (value <= high)] = below
    return first, menu
