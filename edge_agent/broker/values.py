"""Whether a value fits a signal: its type, its limits, what is allowed; one sentence when it does not.

Rule 1: a value has the type of its signal's data type exactly: a whole number is no float, 1 is no truth.
Rule 2: NaN and infinity are no values: nothing compares with them, and no bus could say them.
Rule 3: texts and arrays are bounded, so that apps cannot fill the memory with them.
"""

import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fairway.catalog.model import FLOAT_RANGES, INTEGER_RANGES, Leaf
from fairway.errors import BadInput

Scalar: TypeAlias = bool | int | float | str
# What a signal can have; arrays are tuples.
Value: TypeAlias = Scalar | tuple[Scalar, ...]

# A VIN has 17 characters, a list of diagnostic codes some hundred entries; a document is no signal.
TEXT_MAX_CHARS = 4096
ARRAY_MAX_ITEMS = 1024
# A pattern is tried on texts this short only: its author may have written one that runs for long.
PATTERN_TEXT_MAX_CHARS = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """What a signal takes, laid out for checking."""

    path: str
    datatype: str  # of one item
    is_array: bool
    low: float
    high: float
    allowed: frozenset[Scalar]
    pattern: re.Pattern[str] | None

    @property
    def is_checked_by_range(self) -> bool:
        """Whether low and high are all there is to look at, once the type is right."""
        return not self.is_array and self.datatype != "string" and not self.allowed


def limits_of(leaf: Leaf) -> Limits:
    """Return what `leaf` takes."""
    datatype = leaf.datatype.removesuffix("[]")
    low, high = -math.inf, math.inf
    if datatype in INTEGER_RANGES:
        low, high = INTEGER_RANGES[datatype]
    elif datatype in FLOAT_RANGES:
        low, high = FLOAT_RANGES[datatype]
    low = low if leaf.min is None else max(low, leaf.min)
    high = high if leaf.max is None else min(high, leaf.max)
    if datatype == "float":  # as values of this type come: 0.1 is then a little more than 0.1
        low, high = _single(low), _single(high)
    return Limits(
        path=leaf.path,
        datatype=datatype,
        is_array=leaf.datatype.endswith("[]"),
        low=low,
        high=high,
        allowed=frozenset(leaf.allowed),
        pattern=_pattern(leaf.pattern),
    )


def check(limits: Limits, value: object) -> Value:
    """Return `value` as it is kept.  Raises BadInput with the reason when it does not fit."""
    if not limits.is_array:
        return _checked(limits, value)
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise BadInput(f"{limits.path} takes {limits.datatype}[], not {_named(value)}")
    if len(value) > ARRAY_MAX_ITEMS:
        raise BadInput(f"{limits.path}: {len(value)} items are more than {ARRAY_MAX_ITEMS}")
    return tuple(_checked(limits, item) for item in value)


def size_bytes(value: Value | None) -> int:
    """Return roughly what a text or an array takes in memory, beside what every value takes."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, tuple):
        return sum(40 + (len(item) if isinstance(item, str) else 0) for item in value)
    return 0


def outside(limits: Limits, value: object) -> BadInput:
    """Return the error for a value outside the limits."""
    return BadInput(
        f"{limits.path} is {_named(value)}; choose from {limits.low:g} to {limits.high:g}"
    )


def _checked(limits: Limits, value: object) -> Scalar:
    datatype = limits.datatype
    if not _has_type(datatype, value):
        raise BadInput(f"{limits.path} takes {datatype}, not {_named(value)}")
    assert isinstance(value, bool | int | float | str)
    if isinstance(value, str):
        _check_text(limits, value)
    elif not isinstance(value, bool) and not limits.low <= value <= limits.high:
        raise outside(limits, value)
    if limits.allowed and value not in limits.allowed:
        choices = ", ".join(sorted(map(str, limits.allowed)))
        raise BadInput(f"{limits.path} is {_named(value)}; choose one of {choices[:200]}")
    return value


def _check_text(limits: Limits, value: str) -> None:
    if len(value) > TEXT_MAX_CHARS:
        raise BadInput(f"{limits.path}: {len(value)} characters are more than {TEXT_MAX_CHARS}")
    if limits.pattern is not None and (
        len(value) > PATTERN_TEXT_MAX_CHARS or not limits.pattern.fullmatch(value)
    ):
        raise BadInput(
            f"{limits.path} is {_named(value)}, which does not match {limits.pattern.pattern}"
        )


def _has_type(datatype: str, value: object) -> bool:
    if datatype == "boolean":
        return isinstance(value, bool)
    if datatype == "string":
        return isinstance(value, str)
    if datatype in INTEGER_RANGES:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, float)


def _single(number: float) -> float:
    """Return the nearest number that 32 bits can hold; without end where none is that large."""
    try:
        held: float = struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return math.copysign(math.inf, number)
    return held


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error:
        return None  # the catalogue's own reader tells of it


def _named(value: object) -> str:
    kind = type(value).__name__
    return f"{value!r:.80}" if isinstance(value, bool | int | float | str) else f"a {kind}"
