"""One leaf of the catalogue and its mapping -> one rule: everything the mapping must know about its rows.

Rule 1: a rule is complete: `mapping.py` asks neither the catalogue nor the databases again.
Rule 2: a leaf that cannot be mapped raises BadInput; what costs only a part of it goes to `problems`.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from edge_agent.canbus.mapping_names import Found, Gate, Names
from edge_agent.canbus.mapping_values import (
    Lookup,
    Texts,
    choices_lookup,
    kind_of,
    limits_of,
    table_lookup,
)
from edge_agent.canbus.model import Number
from edge_agent.canbus.model import Signal as CanSignal
from edge_agent.canbus.plan import PlanSignal
from fairway.catalog.model import INTEGER_RANGES, Dbc2Vss, Leaf, MathTransform, TableTransform
from fairway.clock import NS_PER_MS
from fairway.errors import BadInput
from fairway.expression.arithmetic import parse
from fairway.expression.columns import linear
from fairway.expression.tree import Call, Node
from fairway.samples import Kind, Signal

ANY_RAW = int(np.iinfo(np.int64).max)
# Raw numbers of more bits are not exact as float64.
GRID_MAX_BITS = 53


class Fix(IntEnum):
    """What is done to a value so that it is one of its datatype."""

    NONE = 0
    BOOL = 1  # everything but 0 is true
    INTEGER = 2  # the fraction is cut off


@dataclass(frozen=True, slots=True)
class Formula:
    """`transform: math`, parsed."""

    node: Node
    names: tuple[str, ...]  # of the parts, in their order


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the signal table."""

    signal: Signal
    parts: tuple[PlanSignal, ...]
    gates: tuple[Gate, ...] = ()
    interval_ns: int = 0
    on_change: bool = False
    max_age_ns: int = 0
    grid: tuple[float, float] | None = None  # a linear formula: value = raw * grid[0] + grid[1]
    formula: Formula | None = None  # any other one
    lookup: Lookup | None = None
    says_numbers: bool = False  # a TEXT leaf says a value without a name as a number
    fix: Fix = Fix.NONE
    low: float = -math.inf
    high: float = math.inf
    allowed: tuple[float, ...] = ()
    greatest_raw: tuple[int, ...] = (
        ANY_RAW,
    )  # of each part; J1939: above is "error" or "not available"


def raw_rule(signal: PlanSignal) -> Rule:
    """Return the rule of a signal without a mapping: its physical value, whatever it is."""
    can = signal.signal
    scale, offset = _grid_of(can)
    return Rule(Signal(signal.name, Kind.NUMBER, can.unit, scale, offset), (signal,))


def leaf_rule(leaf: Leaf, entry: Dbc2Vss, names: Names, texts: Texts, problems: list[str]) -> Rule:
    """Return the rule of a mapped leaf.  Raises BadInput when it cannot have one."""
    kind = kind_of(leaf)
    found = [names.find(reference) for _, reference in entry.parts]
    if len(found) > 1 and any(one.gates for one in found):
        raise BadInput("a multiplexer that is named cannot be combined with several signals")
    parts = tuple(one.signal for one in found)
    if len({part.number for part in parts}) < len(parts):
        raise BadInput("two of its signals are the same one")
    formula = _formula(entry, kind)
    grid = _linear_grid(parts, formula)
    if grid is not None:
        formula = None
    lookup = _lookup(leaf, entry, parts[0].signal, texts, problems)
    fix = _fix(leaf, kind, parts[0].signal, is_as_decoded=entry.transform is None)
    low, high = limits_of(leaf) if kind is Kind.NUMBER else (-math.inf, math.inf)
    return Rule(
        signal=_signal(leaf, kind, parts[0].signal, entry, grid or _result_grid(entry, formula)),
        parts=parts,
        gates=found[0].gates,
        interval_ns=entry.interval_ms * NS_PER_MS,
        on_change=entry.on_change,
        max_age_ns=entry.max_age_ms * NS_PER_MS,
        grid=grid,
        formula=formula,
        lookup=lookup,
        says_numbers=kind is Kind.TEXT
        and entry.transform is None
        and not (leaf.allowed or leaf.pattern),
        fix=fix,
        low=low,
        high=high,
        allowed=_allowed(leaf, kind) if lookup is None else (),
        greatest_raw=tuple(
            _greatest_raw(entry, position, one) for position, one in enumerate(found)
        ),
    )


def stays_inside(rule: Rule) -> bool:
    """Whether no raw value of the rule's only signal can leave low..high, so nobody need look."""
    if rule.lookup is not None or rule.signal.kind is not Kind.NUMBER:
        return True  # what a table may say was checked when it was made
    if rule.formula is not None or rule.parts[0].signal.number is Number.FLOAT:
        return math.isinf(rule.low) and math.isinf(rule.high)
    can = rule.parts[0].signal
    least, greatest = _raw_range(can)
    scale, offset = rule.grid or (can.scale, can.offset)
    ends = (least * scale + offset, greatest * scale + offset)
    return rule.low <= min(ends) and max(ends) <= rule.high


def _raw_range(can: CanSignal) -> tuple[float, float]:
    if can.number is Number.SIGNED:
        return -math.ldexp(1.0, can.length - 1), math.ldexp(1.0, can.length - 1) - 1
    return 0.0, math.ldexp(1.0, can.length) - 1


def _formula(entry: Dbc2Vss, kind: Kind) -> Formula | None:
    if not isinstance(entry.transform, MathTransform):
        return None
    if kind is Kind.TEXT:
        raise BadInput("math gives a number, and this leaf is a string: use mapping")
    names = tuple(name for name, _ in entry.parts)
    try:
        return Formula(parse(entry.transform.text, names), names)
    except BadInput as error:
        raise BadInput(f"math {entry.transform.text!r:.120}, {error}") from error


def _lookup(
    leaf: Leaf, entry: Dbc2Vss, can: CanSignal, texts: Texts, problems: list[str]
) -> Lookup | None:
    if isinstance(entry.transform, TableTransform):
        return table_lookup(leaf, can, entry.transform, texts, problems)
    if entry.transform is None and leaf.datatype == "string":
        return choices_lookup(leaf, can, texts)
    return None


def _fix(leaf: Leaf, kind: Kind, can: CanSignal, *, is_as_decoded: bool) -> Fix:
    is_whole = can.number is not Number.FLOAT and can.scale % 1 == 0 and can.offset % 1 == 0
    if kind is Kind.BOOL:
        is_bit = is_as_decoded and can.length == 1 and (can.scale, can.offset) == (1, 0)
        return Fix.NONE if is_bit and can.number is Number.UNSIGNED else Fix.BOOL
    if leaf.datatype in INTEGER_RANGES and not (is_as_decoded and is_whole):
        return Fix.INTEGER
    return Fix.NONE


def _signal(
    leaf: Leaf, kind: Kind, can: CanSignal, entry: Dbc2Vss, result: tuple[float, float] | None
) -> Signal:
    if kind is not Kind.NUMBER:
        return Signal(leaf.path, kind)
    is_as_decoded = entry.transform is None
    unit = leaf.unit or (can.unit if is_as_decoded else "")
    if leaf.datatype in INTEGER_RANGES:
        return Signal(leaf.path, kind, unit, 1.0, 0.0)
    scale, offset = _grid_of(can) if is_as_decoded else result or (0.0, 0.0)
    return Signal(leaf.path, kind, unit, scale, offset)


def _linear_grid(
    parts: tuple[PlanSignal, ...], formula: Formula | None
) -> tuple[float, float] | None:
    """Return the grid of a linear formula over one whole-numbered signal, None for any other.

    Computed on its grid, (x+100)/40 of a signal in steps of 0.1 costs the uplink two bytes a sample instead
    of eight; it differs from the formula as written in the last bits at most.
    """
    if formula is None or len(parts) > 1:
        return None
    can = parts[0].signal
    slope = linear(formula.node, formula.names[0])
    if slope is None or slope[0] == 0.0:
        return None
    if can.number is Number.FLOAT or can.length > GRID_MAX_BITS:
        return None
    scale, offset = slope[0] * can.scale, slope[0] * can.offset + slope[1]
    # 0.01 * 3.6 is 0.036000000000000004: what was meant has fewer digits.
    scale, offset = float(f"{scale:.15g}"), float(f"{offset:.15g}")
    return (scale, offset) if math.isfinite(scale) and math.isfinite(offset) else None


def _result_grid(entry: Dbc2Vss, formula: Formula | None) -> tuple[float, float] | None:
    """Return the whole numbers where a transform gives nothing else, None where it may."""
    if isinstance(entry.transform, TableTransform):
        is_whole = all(
            not isinstance(to, str) and float(to).is_integer() for _, to in entry.transform.rows
        )
    else:
        node = formula.node if formula else None
        is_whole = isinstance(node, Call) and node.function in ("floor", "ceil", "round")
    return (1.0, 0.0) if is_whole else None


def _grid_of(can: CanSignal) -> tuple[float, float]:
    return (0.0, 0.0) if can.number is Number.FLOAT else (can.scale, can.offset)


def _allowed(leaf: Leaf, kind: Kind) -> tuple[float, ...]:
    if kind is not Kind.NUMBER:
        return ()
    return tuple(float(value) for value in leaf.allowed if not isinstance(value, str))


def _greatest_raw(entry: Dbc2Vss, position: int, found: Found) -> int:
    """SAE J1939-71: the topmost codes of a parameter group's signal are no values."""
    if entry.parts[position][1].pgn is None or isinstance(entry.transform, TableTransform):
        return ANY_RAW  # a table names the codes it wants
    can = found.signal.signal
    if can.number is not Number.UNSIGNED or not 2 <= can.length <= 32:
        return ANY_RAW
    # Error and not available: the two topmost codes of a few bits, 0xFE.. and 0xFF.. of whole bytes.
    first: int = 2**can.length - 2 if can.length < 8 else 0xFE << (can.length - 8)
    return first - 1
