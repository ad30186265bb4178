"""What happens to values on their way: tables, formulas, datatypes, limits; by column, all leaves at once.

Rule 1: each rule says by bits which steps its rows need; a step that no row of a block needs costs nothing.
Rule 2: a refused row is counted by leaf and reason and loses its place; the others are not touched.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus.mapping_rules import ANY_RAW, Fix, Rule, stays_inside
from edge_agent.canbus.mapping_values import Dense, Sparse, Texts
from fairway.expression.columns import compiled
from fairway.signals import Kind

# Numbers said by string leaves are texts too; a signal of many bits must not fill the memory with them.
TEXTS_MAX = 65_536

Rows = NDArray[np.intp]
_Convert = Callable[[NDArray[np.int64], NDArray[np.float64]], NDArray[np.float64]]


class Refusal(IntEnum):
    """Why a row became no sample."""

    NO_VALUE = 0  # its formula has no value for it, or the bus sent one that is none (NaN)
    NO_MATCH = 1  # no row of its table is for it
    OUTSIDE_LIMITS = 2  # outside datatype, min, max or allowed
    NOT_AVAILABLE = 3  # J1939: the sender said so

    def __str__(self) -> str:
        return self.name.lower()


# What a rule's rows need, as bits.  Plain numbers: an enum's operators would cost more than the steps.
_MAPPED = 1  # a leaf: NaN is refused
_AVAILABLE = 2
_DENSE = 4
_CONVERT = 8
_SAY_NUMBER = 16
_BOOL = 32
_INTEGER = 64
_LIMITS = 128
_ALLOWED = 256
_GRID = 512
_TABLE = 1024  # dense or not: what has no result is unmatched


class Steps:
    """The steps of all rules, laid out by row of the signal table."""

    def __init__(self, rules: Sequence[Rule], mapped: int, texts: Texts) -> None:
        self._need = np.array(
            [_need(rule, is_mapped=row < mapped) for row, rule in enumerate(rules)], np.uint16
        )
        self._greatest_raw = np.array([rule.greatest_raw[0] for rule in rules], np.int64)
        self._grid = np.array([rule.grid or (0.0, 0.0) for rule in rules], np.float64)
        self._low = np.array([rule.low for rule in rules], np.float64)
        self._high = np.array([rule.high for rule in rules], np.float64)
        self._allowed = {
            row: np.array(rule.allowed) for row, rule in enumerate(rules) if rule.allowed
        }
        self._texts = texts
        self._lay_out_tables(rules)
        self._lay_out_converts(rules)
        self.refused = np.zeros((len(Refusal), len(rules)), np.int64)

    def _lay_out_tables(self, rules: Sequence[Rule]) -> None:
        # One array for all tables; its first entry is the answer to everything outside them.
        values = [np.nan]
        self._table_low = np.zeros(len(rules), np.int64)
        self._table_high = np.full(len(rules), -1, np.int64)
        self._table_start = np.zeros(len(rules), np.int64)
        for row, rule in enumerate(rules):
            if isinstance(rule.lookup, Dense):
                self._table_low[row] = rule.lookup.low
                self._table_high[row] = rule.lookup.low + len(rule.lookup.values) - 1
                self._table_start[row] = len(values) - rule.lookup.low
                values.extend(rule.lookup.values)
        self._table = np.array(values, np.float64)

    def _lay_out_converts(self, rules: Sequence[Rule]) -> None:
        # Leaves with the same formula are one group: rows are evaluated together.
        self._converts: list[_Convert] = []
        self._convert = np.zeros(len(rules), np.int64)
        groups: dict[object, int] = {}
        for row, rule in enumerate(rules):
            if not _CONVERT & self._need[row]:
                continue
            key = rule.formula or id(rule.lookup)
            if key not in groups:
                groups[key] = len(self._converts)
                self._converts.append(_convert(rule))
            self._convert[row] = groups[key]

    def needed(self, row: NDArray[np.int32]) -> tuple[NDArray[np.uint16], int]:
        """Return what each row needs, and what any of them does."""
        need = self._need[row]
        return need, int(np.bitwise_or.reduce(need)) if len(need) else 0

    def run(
        self,
        row: NDArray[np.int32],
        raw: NDArray[np.int64],
        value: NDArray[np.float64],
        joined: NDArray[np.bool_] | None,
    ) -> NDArray[np.bool_] | None:
        """Turn `value` into what the leaves say, in place; return the rows that stand, None for all.

        Rows of `joined` have their value already and only get a datatype and limits.
        """
        need, any_needs = self.needed(row)
        if not any_needs:
            return None
        refused = _Refusals(self.refused, row)
        if joined is not None:
            need[joined] &= np.uint16(0xFFFF & ~(_AVAILABLE | _DENSE | _CONVERT | _GRID))
        if any_needs & _AVAILABLE:
            absent = (raw > self._greatest_raw[row]) & (need & _AVAILABLE != 0)
            refused.add(absent, Refusal.NOT_AVAILABLE)
        if any_needs & (_DENSE | _CONVERT | _GRID):
            self._convert_rows(row, raw, value, need, any_needs)
        missing = np.isnan(value) & (need & _MAPPED != 0)
        if bool(missing.any()):
            by_table = need & _TABLE != 0
            refused.add(missing & by_table, Refusal.NO_MATCH)
            refused.add(missing, Refusal.NO_VALUE)
        if any_needs & (_BOOL | _INTEGER):
            _fix(value, need)
        if any_needs & _LIMITS:
            inside = (value >= self._low[row]) & (value <= self._high[row])
            refused.add(~inside & (need & _LIMITS != 0), Refusal.OUTSIDE_LIMITS)
        if any_needs & _ALLOWED:
            self._check_allowed(row, value, need, refused)
        return refused.standing

    def _convert_rows(
        self,
        row: NDArray[np.int32],
        raw: NDArray[np.int64],
        value: NDArray[np.float64],
        need: NDArray[np.uint16],
        any_needs: int,
    ) -> None:
        if any_needs & _GRID:
            at = (need & _GRID).nonzero()[0]
            grid = self._grid[row[at]]
            value[at] = raw[at] * grid[:, 0] + grid[:, 1]
        said = value.copy() if any_needs & _SAY_NUMBER else value
        if any_needs & _DENSE:
            at = (need & _DENSE).nonzero()[0]
            of, key = row[at], raw[at]
            inside = (key >= self._table_low[of]) & (key <= self._table_high[of])
            value[at] = self._table[np.where(inside, self._table_start[of] + key, 0)]
        if any_needs & _CONVERT:
            at = (need & _CONVERT).nonzero()[0]
            group = self._convert[row[at]]
            order = np.argsort(group, kind="stable")
            at, group = at[order], group[order]
            ends = np.flatnonzero(group[1:] != group[:-1])
            first = 0
            for end in [*(ends + 1).tolist(), len(at)]:
                rows = at[first:end]
                value[rows] = self._converts[group[first]](raw[rows], value[rows])
                first = end
        if any_needs & _SAY_NUMBER:
            at = np.flatnonzero((need & _SAY_NUMBER != 0) & np.isnan(value) & ~np.isnan(said))
            if len(at):
                numbers, which = np.unique(said[at], return_inverse=True)
                value[at] = np.array([self._said(number) for number in numbers.tolist()])[which]

    def _said(self, number: float) -> float:
        text = str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
        if text not in self._texts.numbers and len(self._texts.numbers) >= TEXTS_MAX:
            return float("nan")
        return self._texts.number(text)

    def _check_allowed(
        self,
        row: NDArray[np.int32],
        value: NDArray[np.float64],
        need: NDArray[np.uint16],
        refused: "_Refusals",
    ) -> None:
        bad = np.zeros(len(row), np.bool_)
        at = (need & _ALLOWED).nonzero()[0]
        for leaf in np.unique(row[at]).tolist():
            rows = at[row[at] == leaf]
            bad[rows] = ~np.isin(value[rows], self._allowed[leaf])
        refused.add(bad, Refusal.OUTSIDE_LIMITS)


class _Refusals:
    """Which rows still stand; each refused one is counted once, for the first reason."""

    def __init__(self, counts: NDArray[np.int64], row: NDArray[np.int32]) -> None:
        self._counts = counts
        self._row = row
        self.standing: NDArray[np.bool_] | None = None

    def add(self, bad: NDArray[np.bool_], reason: Refusal) -> None:
        if not bool(bad.any()):
            return
        if self.standing is None:
            self.standing = np.ones(len(bad), np.bool_)
        bad &= self.standing
        np.add.at(self._counts[reason], self._row[bad], 1)
        self.standing &= ~bad


def _fix(value: NDArray[np.float64], need: NDArray[np.uint16]) -> None:
    at = (need & _BOOL).nonzero()[0]
    if len(at):
        value[at] = value[at] != 0.0
    at = (need & _INTEGER).nonzero()[0]
    if len(at):
        # The fraction is cut off, as the KUKSA client does, but 28.999999999999996 is what floating point
        # makes of 29: 29 * 0.01 * 100.
        exact = value[at]
        nearest = np.rint(exact)
        is_near = np.abs(exact - nearest) <= 1e-9 * np.maximum(1.0, np.abs(exact))
        value[at] = np.where(is_near, nearest, np.trunc(exact))


def _need(rule: Rule, *, is_mapped: bool) -> int:
    if not is_mapped:
        return 0
    need = _MAPPED
    is_single = len(rule.parts) == 1
    if is_single and rule.greatest_raw[0] != ANY_RAW:
        need |= _AVAILABLE
    if rule.grid is not None:
        need |= _GRID
    if rule.lookup is not None:
        need |= _TABLE
    if isinstance(rule.lookup, Dense):
        need |= _DENSE
    elif isinstance(rule.lookup, Sparse) or (is_single and rule.formula is not None):
        need |= _CONVERT
    if rule.says_numbers:
        need |= _SAY_NUMBER
    need |= {Fix.NONE: 0, Fix.BOOL: _BOOL, Fix.INTEGER: _INTEGER}[rule.fix]
    if rule.signal.kind is Kind.NUMBER and not stays_inside(rule):
        need |= _LIMITS
    if rule.allowed:
        need |= _ALLOWED
    return need


def _convert(rule: Rule) -> _Convert:
    if rule.formula is not None:
        evaluate, name = compiled(rule.formula.node), rule.formula.names[0]
        return lambda _raw, value: evaluate({name: value})
    assert isinstance(rule.lookup, Sparse)
    return rule.lookup.of
