"""One message becomes runs: what is always in the frame, then what each multiplexer value adds.

Rule 1: the arms of a multiplexer are disjoint, whatever ranges its signals declare; neighbours that add the
        same signals are one arm.
Rule 2: what cannot be reached or read is left out and said; it never stops the rest of the message.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_agent.canbus import plan_table
from edge_agent.canbus.model import Message, Number, Signal

# The kernel walks runs by recursion; real databases nest 3 deep.
MULTIPLEX_MAX_DEPTH = 32

# The largest real message (a Tesla's, 300 signals under one multiplexer) takes 600.  Ranges under ranges
# multiply, so a hostile file must not be followed to its end.
MESSAGE_MAX_OPS = 65_536

Complain = Callable[[str], None]


class _TooManyWays(Exception):
    """A message would take more than MESSAGE_MAX_OPS."""


@dataclass(slots=True)
class Rows:
    """The columns of a table while it is built, row by row."""

    ops: list[tuple[float | int, ...]] = field(default_factory=list)
    runs: list[tuple[int, int, int, int]] = field(default_factory=list)
    switches: list[tuple[int, int, int]] = field(default_factory=list)
    arms: list[tuple[int, int, int, int]] = field(default_factory=list)
    keys: list[tuple[int, int, int]] = field(default_factory=list)

    def table(self) -> plan_table.Table:
        """Return the rows as columns."""
        return plan_table.Table(
            np.array(self.ops, plan_table.OP),
            np.array(self.runs, plan_table.RUN),
            np.array(self.switches, plan_table.SWITCH),
            np.array(self.arms, plan_table.ARM),
            np.array(self.keys, plan_table.KEY),
        )

    def lengths(self) -> tuple[int, int, int, int]:
        """Return where the columns end, to come back to with `cut`."""
        return len(self.ops), len(self.runs), len(self.switches), len(self.arms)

    def cut(self, lengths: tuple[int, int, int, int]) -> None:
        """Forget what was added since `lengths` was taken."""
        ops, runs, switches, arms = lengths
        del self.ops[ops:], self.runs[runs:], self.switches[switches:], self.arms[arms:]


def add_message(rows: Rows, message: Message, first_number: int, complain: Complain) -> int:
    """Append the runs of `message`, whose signals count from `first_number`; return the first run."""
    start = rows.lengths()
    builder = _Builder(rows, message, first_number, complain)
    try:
        return builder.run(builder.roots, depth=1)
    except _TooManyWays:
        rows.cut(start)
        complain(
            f"its multiplexers combine in more than {MESSAGE_MAX_OPS} ways: none of its signals is read"
        )
        rows.runs.append((len(rows.ops), 0, len(rows.switches), 0))
        return len(rows.runs) - 1


class _Builder:
    """Turns the signals of one message into runs."""

    def __init__(self, rows: Rows, message: Message, first_number: int, complain: Complain) -> None:
        self.rows = rows
        self.message = message
        self.complain = complain
        self.first_number = first_number
        self.first_op = len(rows.ops)
        self.op_rows: dict[int, tuple[float | int, ...]] = {}
        self.children: dict[int, list[int]] = {}
        self.roots: list[int] = []
        for position, signal in enumerate(message.signals):
            reason = plan_table.flaw(signal)
            if reason is not None:
                complain(f"signal {signal.name} {reason}: it is not read")
                continue
            self.op_rows[position] = plan_table.op_of(signal, first_number + position)
            if signal.multiplex is None:
                self.roots.append(position)
            else:
                self.children.setdefault(signal.multiplex.parent, []).append(position)
        self._tell_unreachable()

    def _tell_unreachable(self) -> None:
        reached = set(self.roots)
        new = list(self.roots)
        while new:
            below = [
                child
                for parent in new
                if self._selects(parent)
                for child in self.children.get(parent, ())
            ]
            new = [child for child in below if child not in reached]
            reached.update(new)
        for position in self.op_rows.keys() - reached:
            name = self.message.signals[position].name
            self.complain(
                f"signal {name} hangs on a multiplexer that cannot be read: it is not read"
            )

    def _selects(self, position: int) -> bool:
        return self.message.signals[position].length <= 64

    def run(self, positions: Sequence[int], depth: int) -> int:
        """Append a run that reads the signals at `positions`, and all below; return its number."""
        rows = self.rows
        if len(rows.ops) + len(positions) - self.first_op > MESSAGE_MAX_OPS:
            raise _TooManyWays
        first_op = len(rows.ops)
        rows.ops.extend(self.op_rows[position] for position in positions)
        selectors = [
            (first_op + index, position)
            for index, position in enumerate(positions)
            if position in self.children and self._selects(position)
        ]
        if depth >= MULTIPLEX_MAX_DEPTH and selectors:
            self.complain(f"multiplexers deeper than {MULTIPLEX_MAX_DEPTH} are not followed")
            selectors = []
        number, first_switch = len(rows.runs), len(rows.switches)
        rows.runs.append((first_op, len(positions), first_switch, len(selectors)))
        rows.switches.extend((op, 0, 0) for op, _ in selectors)
        for index, (op, position) in enumerate(selectors):
            rows.switches[first_switch + index] = self._switch(op, position, depth)
        return number

    def _switch(self, op: int, position: int, depth: int) -> tuple[int, int, int]:
        signals = self.message.signals
        ranges = [
            (low, high, child)
            for child in self.children[position]
            for low, high in _selected_by(signals[position], signals[child])
        ]
        arms = disjoint(ranges)
        first_arm = len(self.rows.arms)
        self.rows.arms.extend((low, high, 0, 0) for low, high, _ in arms)
        runs: dict[tuple[int, ...], int] = {}
        for index, (low, high, children) in enumerate(arms):
            if children not in runs:
                runs[children] = self.run(children, depth + 1)
            self.rows.arms[first_arm + index] = (low, high, runs[children], 0)
        return op, first_arm, len(arms)


def _selected_by(selector: Signal, child: Signal) -> list[tuple[int, int]]:
    """Return the ranges of the selector's raw value that bring `child`, as the table compares them."""
    assert child.multiplex is not None
    size = 1 << selector.length
    found = []
    for low, high in child.multiplex.ranges:
        if selector.number is Number.SIGNED:
            # m200 on a signed byte means the bits of 200, which read -56.
            pieces = [
                (low, high, -size // 2, size // 2 - 1),
                (low - size, high - size, -size // 2, -1),
            ]
        else:
            pieces = [(low, high, 0, size - 1)]
        bias = plan_table.TOP_BIT if size > plan_table.TOP_BIT and len(pieces) == 1 else 0
        for start, end, least, most in pieces:
            if max(start, least) <= min(end, most):
                found.append((max(start, least) - bias, min(end, most) - bias))
    return found


def disjoint(
    ranges: Sequence[tuple[int, int, int]],
) -> list[tuple[int, int, tuple[int, ...]]]:
    """Return ascending ranges that do not overlap, each with all members it brings, in order."""
    changes: dict[int, list[tuple[int, int]]] = {}
    for low, high, member in ranges:
        changes.setdefault(low, []).append((member, 1))
        changes.setdefault(high + 1, []).append((member, -1))
    active: Counter[int] = Counter()
    arms: list[tuple[int, int, tuple[int, ...]]] = []
    read = 0
    for at, following in itertools.pairwise(sorted(changes)):
        for member, step in changes[at]:
            active[member] += step
            if not active[member]:
                del active[member]
        members = tuple(sorted(active))
        read += len(members)
        if read > MESSAGE_MAX_OPS:
            raise _TooManyWays
        if not members:
            continue
        if arms and arms[-1][1] == at - 1 and arms[-1][2] == members:
            arms[-1] = (arms[-1][0], following - 1, members)
        else:
            arms.append((at, following - 1, members))
    return arms
