"""Raw values looked up: `transform: mapping` and value tables -> one array of results for each leaf.

    low 1   values [0.0, 1.0, nan, 2.0]      raw 1, 2 and 4 have a result, 3 and all else has none

Rule 1: a result is a number as the sample block keeps it: TEXT results are numbers of texts.
Rule 2: what can be known before the first frame (a `from` no value table has, a `to` the leaf may not have)
        is a problem now and costs only its row.
"""

import math
import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus.model import Number, Signal
from fairway.catalog.entries import truth_of
from fairway.catalog.model import FLOAT_RANGES, INTEGER_RANGES, Leaf, Scalar, TableTransform
from fairway.errors import BadInput
from fairway.signals import Kind

# A value table of ten bits: the widest that is worth an array of its own.
DENSE_MAX_SPAN = 1024
SHOWN_MAX = 8


@dataclass(frozen=True, slots=True)
class Dense:
    """Results by raw value, from `low` on; NaN is none."""

    low: int
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """Results by sorted keys: raw values, or physical ones where the bits are an IEEE float."""

    keys: NDArray[np.float64]
    results: NDArray[np.float64]
    is_by_value: bool

    def of(self, raw: NDArray[np.int64], value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the result for each row; NaN is none."""
        found = value if self.is_by_value else raw.astype(np.float64)
        at = np.minimum(np.searchsorted(self.keys, found), len(self.keys) - 1)
        return np.where(self.keys[at] == found, self.results[at], np.nan)


Lookup: TypeAlias = Dense | Sparse


class Texts:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.texts: list[str] = []

    def number(self, text: str) -> float:
        """Return the number of `text`, a new one where it has none."""
        number = self.numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return float(number)


def kind_of(leaf: Leaf) -> Kind:
    """Return what the samples of `leaf` are.  Raises BadInput where CAN signals cannot make them."""
    if leaf.datatype == "boolean":
        return Kind.BOOL
    if leaf.datatype == "string":
        return Kind.TEXT
    if leaf.datatype in INTEGER_RANGES or leaf.datatype in FLOAT_RANGES:
        return Kind.NUMBER
    raise BadInput(f"a leaf of datatype {leaf.datatype} cannot be mapped: no CAN signal is one")


def limits_of(leaf: Leaf) -> tuple[float, float]:
    """Return the least and greatest value of a NUMBER leaf: what its datatype, min and max all allow."""
    low, high = INTEGER_RANGES.get(leaf.datatype) or FLOAT_RANGES[leaf.datatype]
    return (
        max(float(low), -math.inf if leaf.min is None else leaf.min),
        min(float(high), math.inf if leaf.max is None else leaf.max),
    )


def table_lookup(
    leaf: Leaf, signal: Signal, transform: TableTransform, texts: Texts, problems: list[str]
) -> Lookup:
    """Return the results of `transform: mapping`; rows that can never work go to `problems`."""
    results: dict[float, float] = {}
    for source, target in transform.rows:
        try:
            result = _result(leaf, target, texts)
            for key in _keys(signal, source):
                results.setdefault(key, result)  # the first row that fits holds
        except BadInput as error:
            problems.append(str(error))
    return _lookup(results, is_float=signal.number is Number.FLOAT)


def choices_lookup(leaf: Leaf, signal: Signal, texts: Texts) -> Lookup:
    """Return the texts of the signal's value table, as far as a string leaf may say them."""
    results = {
        float(raw): texts.number(text) for raw, text in signal.choices if may_say(leaf, text)
    }
    return _lookup(results, is_float=signal.number is Number.FLOAT)


def may_say(leaf: Leaf, text: str) -> bool:
    """Whether `allowed` and `pattern` of a string leaf let `text` through.  Raises BadInput."""
    if leaf.allowed and text not in leaf.allowed:
        return False
    try:
        return not leaf.pattern or re.fullmatch(leaf.pattern, text) is not None
    except re.error as error:
        raise BadInput(f"pattern {leaf.pattern!r:.80} is no regular expression: {error}") from error


def _result(leaf: Leaf, target: Scalar, texts: Texts) -> float:
    kind = kind_of(leaf)
    if kind is Kind.TEXT:
        text = str(target).lower() if isinstance(target, bool) else str(target)
        if not may_say(leaf, text):
            raise BadInput(f"to: {text!r:.80} is not among the values this leaf may have")
        return texts.number(text)
    if kind is Kind.BOOL:
        truth = truth_of(target)
        if truth is None:
            raise BadInput(f"to: {target!r:.80} is neither true nor false, as this leaf must be")
        return float(truth)
    try:
        number = float(target)
    except (ValueError, OverflowError):
        raise BadInput(f"to: {target!r:.80} is no number, as this leaf must be") from None
    low, high = limits_of(leaf)
    if leaf.datatype in INTEGER_RANGES and math.isfinite(number):
        number = math.trunc(number)
    if not low <= number <= high or (leaf.allowed and number not in leaf.allowed):
        raise BadInput(f"to: {target!r:.80} is not among the values this leaf may have")
    return float(number)


def _keys(signal: Signal, source: Scalar) -> list[float]:
    """Return what `from` is in the key of the lookup: raw values, or physical ones of IEEE floats."""
    if isinstance(source, bool):
        named = _named(signal, str(source), fold=True)
        return named or _keys(signal, int(source))
    if isinstance(source, str):
        named = _named(signal, source, fold=False)
        if not named:
            known = ", ".join(text for _, text in signal.choices[:SHOWN_MAX]) or "none at all"
            raise BadInput(f"from: {signal.name} has no value called {source:.80}; it has {known}")
        return named
    if signal.number is Number.FLOAT:
        return [float(source)]
    # A value that has a name is compared as its raw number, any other as the physical one.
    choices = {raw for raw, _ in signal.choices}
    keys = [float(source)] if source in choices else []
    raw = (source - signal.offset) / signal.scale if signal.scale else math.nan
    nearest = round(raw) if math.isfinite(raw) else 0
    if nearest not in choices and math.isclose(raw, nearest, rel_tol=1e-9, abs_tol=1e-9):
        keys.append(float(nearest))
    if not keys:
        raise BadInput(f"from: {signal.name} never has the value {source}")
    return keys


def _named(signal: Signal, text: str, *, fold: bool) -> list[float]:
    if fold:
        return [float(raw) for raw, name in signal.choices if name.lower() == text.lower()]
    return [float(raw) for raw, name in signal.choices if name == text]


def _lookup(results: dict[float, float], *, is_float: bool) -> Lookup:
    if not results:
        return Dense(0, ())
    low, high = min(results), max(results)
    if not is_float and high - low < DENSE_MAX_SPAN:
        span = range(int(low), int(high) + 1)
        return Dense(int(low), tuple(results.get(float(raw), math.nan) for raw in span))
    keys = sorted(results)
    return Sparse(
        np.array(keys, np.float64), np.array([results[key] for key in keys], np.float64), is_float
    )
