"""Several signals of one leaf, brought together whole or not at all.

    a and b in one frame        every frame that has both gives a value
    a and b in two frames       a1 a2 b1      b2 a3      b3 ...
                                      (a2,b1)    (a3,b2)        each value is used at most once

Rule 1: parts of one frame belong together; nothing else is looked at.
Rule 2: parts of different frames belong together when each has come since the last value was made and
        the oldest is at most `max_age_ns` older than the one that completes them; an older one waits for
        its next frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus.mapping_rules import Formula, Rule
from fairway.expression.columns import compiled

Ints = NDArray[np.int32]
Rows = NDArray[np.intp]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """Signals that are parts, in their order."""

    source: Rows  # which decoded row
    row: Ints  # the leaf it is a part of
    part: Ints  # which part
    raw: NDArray[np.int64]
    value: Floats
    frame: Ints
    time_ns: NDArray[np.int64]

    def take(self, rows: Rows | NDArray[np.bool_]) -> "Arrivals":
        """Return the chosen ones."""
        return Arrivals(
            self.source[rows],
            self.row[rows],
            self.part[rows],
            self.raw[rows],
            self.value[rows],
            self.frame[rows],
            self.time_ns[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Completed:
    """Values of leaves, each at the decoded row of its last part."""

    source: Rows
    row: Ints
    value: Floats


class Joins:
    """All leaves that are made of several signals, and what of them has come."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        most = max(len(rule.parts) for rule in rules)
        self._parts = np.array([len(rule.parts) for rule in rules], np.int32)
        self._is_one_frame = np.array([_is_one_frame(rule) for rule in rules], np.bool_)
        self._has_apart = not bool(self._is_one_frame[self._parts > 1].all())
        self._greatest_raw = np.array(
            [(*rule.greatest_raw, *([0] * (most - len(rule.parts)))) for rule in rules], np.int64
        )
        # Leaves with the same formula are evaluated together.
        self._group = np.zeros(len(rules), np.int32)
        self._formulas: dict[Formula, int] = {}
        for row, rule in enumerate(rules):
            if len(rule.parts) > 1 and rule.formula is not None:
                formulas = self._formulas
                self._group[row] = formulas.setdefault(rule.formula, len(formulas))
        self._evaluate = [(formula.names, compiled(formula.node)) for formula in self._formulas]
        # What has come since the last value of a leaf: part -> (value, time_ns).
        self._waiting: dict[int, dict[int, tuple[float, int]]] = {}

    def completed(self, arrivals: Arrivals) -> list[Completed]:
        """Return the values that `arrivals` complete."""
        usable = arrivals.raw <= self._greatest_raw[arrivals.row, arrivals.part]
        if not bool(usable.all()):
            arrivals = arrivals.take(usable)
        if not self._has_apart:
            return self._by_frame(arrivals)
        is_one_frame = self._is_one_frame[arrivals.row]
        return [
            *self._by_frame(arrivals.take(is_one_frame)),
            *self._by_arrival(arrivals.take(~is_one_frame)),
        ]

    def _by_frame(self, arrivals: Arrivals) -> list[Completed]:
        # Sorted by leaf and frame, the parts of one value stand side by side, in the order of the formula.
        order = np.lexsort((arrivals.part, arrivals.frame, arrivals.row))
        row, frame = arrivals.row[order], arrivals.frame[order]
        starts = np.empty(len(order), np.bool_)
        starts[:1] = True
        np.not_equal(row[1:], row[:-1], out=starts[1:])
        starts[1:] |= frame[1:] != frame[:-1]
        first = starts.nonzero()[0]
        row = row[first]
        parts = self._parts[row]
        last = np.empty_like(first)
        last[:-1], last[-1:] = first[1:] - 1, len(order) - 1
        is_whole = last - first + 1 == parts
        if not bool(is_whole.all()):
            first, row, parts = first[is_whole], row[is_whole], parts[is_whole]
        group = self._group[row]
        completed = []
        for number in sorted(set(group.tolist())):
            of = (group == number).nonzero()[0]
            at = order[first[of][:, None] + np.arange(parts[of[0]])]
            completed.append(self._made(number, arrivals.source[at], row[of], arrivals.value[at]))
        return completed

    def _by_arrival(self, arrivals: Arrivals) -> list[Completed]:
        # One of few loops over samples: what counts depends on what counted before, and only parts of leaves
        # that are spread over frames pass here, a few per block.
        found: dict[int, list[tuple[int, int, list[float]]]] = {}
        rows = zip(
            arrivals.source.tolist(),
            arrivals.row.tolist(),
            arrivals.part.tolist(),
            arrivals.value.tolist(),
            arrivals.time_ns.tolist(),
            strict=True,
        )
        for source, row, part, value, time_ns in rows:
            waiting = self._waiting.setdefault(row, {})
            waiting[part] = (value, time_ns)
            rule = self._rules[row]
            if len(waiting) < len(rule.parts):
                continue
            late = [n for n, (_, then) in waiting.items() if abs(time_ns - then) > rule.max_age_ns]
            for number in late:
                del waiting[number]
            if not late:
                values = [waiting[number][0] for number in range(len(rule.parts))]
                found.setdefault(int(self._group[row]), []).append((source, row, values))
                waiting.clear()
        return [
            self._made(
                group,
                np.array([source for source, _, _ in made], np.intp)[:, None],
                np.array([row for _, row, _ in made], np.int32),
                np.array([values for _, _, values in made], np.float64),
            )
            for group, made in found.items()
        ]

    def _made(self, group: int, sources: Rows, row: Ints, values: Floats) -> Completed:
        names, evaluate = self._evaluate[group]
        columns = {name: values[:, part] for part, name in enumerate(names)}
        return Completed(sources.max(axis=1), row, evaluate(columns))


def _is_one_frame(rule: Rule) -> bool:
    first = rule.parts[0]
    return all(
        part.bus == first.bus
        and part.message is first.message
        and part.signal.multiplex == first.signal.multiplex
        for part in rule.parts
    )
