"""The filters of VISS, from JSON to what they decide: when an event is issued, and what is in it.

    {"variant": "timebased", "parameter": {"period": "500"}}            now and then
    {"variant": "range", "parameter": {"logic-op": "gt", "boundary": "5"}}     while it is in there
    {"variant": "change", "parameter": {"logic-op": "ne", "diff": "0"}}        since what was last told
    {"variant": "curvelog", "parameter": {"maxerr": "0.5", "bufsize": "100"}}  the shape of the last so many
    {"variant": "history", "parameter": "P2DT12H"}      {"variant": "metadata", "parameter": "2"}

Rule 1: version 2 says `type` for `variant`, `boundary-op` for `logic-op`, and names two kinds of metadata.
Rule 2: at most one filter `paths` and one other; combining any more is refused.
Rule 3: numbers may come as text, as the standard has them, or as numbers, as clients send them.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from edge_agent.broker.access import PATH_MAX_CHARS
from edge_agent.broker.values import Value
from edge_agent.broker.viss_dialects import Problem, Refused
from fairway.clock import NS_PER_MS, NS_PER_S

# Faster than any bus of a vehicle says values; slower than a day nobody waits for an event.
PERIOD_MIN_MS, PERIOD_MAX_MS = 10, 86_400_000
# What a client may name in one filter; each may stand for every signal.
PATHS_MAX = 64
# Values that one subscription collects before it tells their shape.
BUFFER_MIN, BUFFER_MAX = 2, 1000
# The standard's limit of a history period.
_DAYS_MAX = 998
_DEPTH_MAX = 64
# Above all values of signals; a whole number of JSON may be longer than any float.
_NUMBER_MAX = 1e300
_PERIOD = re.compile(
    r"P(?=\d|T\d)(?:(\d{1,3})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?"
)
_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?")
_OPERATIONS: dict[str, Callable[[float, float], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


@dataclass(frozen=True, slots=True)
class Timebased:
    """The values of every so long."""

    period_ns: int


@dataclass(frozen=True, slots=True)
class Boundary:
    """One side of a range."""

    operation: str
    boundary: float

    def holds(self, value: float) -> bool:
        """Whether `value` is on the right side."""
        return _OPERATIONS[self.operation](value, self.boundary)


@dataclass(frozen=True, slots=True)
class Range:
    """Values in a range: of one boundary or two."""

    boundaries: tuple[Boundary, ...]
    is_either: bool = False  # OR instead of AND

    def holds(self, value: Value | None) -> bool:
        """Whether `value` is in the range; a text never is."""
        if value is None or isinstance(value, str | tuple):
            return False
        each = (boundary.holds(float(value)) for boundary in self.boundaries)
        return any(each) if self.is_either else all(each)


@dataclass(frozen=True, slots=True)
class Change:
    """Values that differ so much from the last one that was told."""

    operation: str
    diff: float

    def holds(self, before: Value | None, value: Value | None) -> bool:
        """Whether the step from `before` to `value` counts; the first value is no step."""
        if before is None or value is None:
            return False
        if isinstance(before, str | tuple) or isinstance(value, str | tuple):
            return self.operation == "ne" and self.diff == 0 and before != value
        return _OPERATIONS[self.operation](float(value) - float(before), self.diff)


@dataclass(frozen=True, slots=True)
class Curvelog:
    """The shape of so many values, with no error above a limit."""

    error_max: float
    count: int


@dataclass(frozen=True, slots=True)
class History:
    """The values of the last so long."""

    period_ns: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the catalogue says; so many generations, 0 for all."""

    generations: int = 0


@dataclass(frozen=True, slots=True)
class DynamicMetadata:
    """What is known of signals besides their values (version 2)."""

    names: tuple[str, ...]


Filter: TypeAlias = Timebased | Range | Change | Curvelog | History | Metadata | DynamicMetadata
FOR_EVENTS = (Timebased, Range, Change, Curvelog)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a request is filtered by: relative paths, and one filter more."""

    paths: tuple[str, ...] = ()
    other: Filter | None = None


def filters_of(said: object) -> Filters:
    """Read a filter, or an array of two.  Raises Refused."""
    if said is None:
        return Filters()
    each = said if isinstance(said, list) else [said]
    if not 0 < len(each) <= 2:
        raise _bad(f"{len(each)} filters are given; give one, or `paths` and another")
    paths: tuple[str, ...] = ()
    other: Filter | None = None
    for one in each:
        if not isinstance(one, dict):
            raise _bad("a filter is an object with a variant and a parameter")
        variant = one.get("variant", one.get("type"))
        read = _READERS.get(variant) if isinstance(variant, str) else None
        if variant == "paths" and not paths:
            paths = _paths(one.get("parameter"))
        elif read is not None and other is None:
            other = read(one.get("parameter"))
        else:
            raise _bad(f"{variant!r:.40} is no filter that can stand here")
    return Filters(paths, other)


def period_ns(said: object) -> int:
    """Read a period of ISO 8601 in days, hours, minutes and seconds.  Raises Refused."""
    found = _PERIOD.fullmatch(said) if isinstance(said, str) else None
    if found is None:
        raise Refused(Problem.BAD_PERIOD, f"{said!r:.40} is no period such as P2DT12H or PT10M")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    if days > _DAYS_MAX:
        raise Refused(Problem.BAD_PERIOD, f"{days} days are more than {_DAYS_MAX}")
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * NS_PER_S


def shape(time_ns: Sequence[int], values: Sequence[float], error_max: float) -> list[int]:
    """Return which points say the shape of all (Ramer, Douglas and Peucker), errors taken upright."""
    times, points = np.array(time_ns, np.int64), np.array(values, np.float64)
    kept = {0, len(points) - 1}
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        inner = slice(first + 1, last)
        length = max(1, int(times[last] - times[first]))
        share = (times[inner] - times[first]) / length
        line = points[first] + (points[last] - points[first]) * share
        errors = np.abs(points[inner] - line)
        worst = int(errors.argmax())
        if errors[worst] > error_max:
            middle = first + 1 + worst
            kept.add(middle)
            spans += [(first, middle), (middle, last)]
    return sorted(kept)


def _timebased(said: object) -> Filter:
    period_ms = _number(_object(said).get("period"), "period")
    if not PERIOD_MIN_MS <= period_ms <= PERIOD_MAX_MS or period_ms != int(period_ms):
        raise _bad(f"period is {period_ms:g} ms; choose from {PERIOD_MIN_MS} to {PERIOD_MAX_MS}")
    return Timebased(int(period_ms) * NS_PER_MS)


def _range(said: object) -> Filter:
    each = said if isinstance(said, list) else [said]
    if not 0 < len(each) <= 2:
        raise _bad(f"a range has one boundary or two, not {len(each)}")
    sides = [_object(side) for side in each]
    combination = sides[0].get("combination-op", "AND")
    if combination not in ("AND", "OR"):
        raise _bad(f"combination-op is {combination!r:.40}; choose AND or OR")
    return Range(
        tuple(
            Boundary(
                _operation(side.get("logic-op", side.get("boundary-op"))),
                _number(side.get("boundary"), "boundary"),
            )
            for side in sides
        ),
        is_either=combination == "OR",
    )


def _change(said: object) -> Filter:
    parameter = _object(said)
    return Change(_operation(parameter.get("logic-op")), _number(parameter.get("diff"), "diff"))


def _curvelog(said: object) -> Filter:
    parameter = _object(said)
    error_max = _number(parameter.get("maxerr"), "maxerr")
    count = _number(parameter.get("bufsize"), "bufsize")
    if error_max < 0 or not BUFFER_MIN <= count <= BUFFER_MAX or count != int(count):
        raise _bad(f"maxerr is 0 or more, bufsize a whole number from {BUFFER_MIN} to {BUFFER_MAX}")
    return Curvelog(error_max, int(count))


def _history(said: object) -> Filter:
    return History(period_ns(said))


def _metadata(said: object) -> Filter:
    generations = _number(said, "parameter")
    if not 0 <= generations <= _DEPTH_MAX or generations != int(generations):
        raise _bad(f"parameter is {generations:g}; choose from 0 (all) to {_DEPTH_MAX} generations")
    return Metadata(int(generations))


def _static_metadata(_: object) -> Filter:
    return Metadata()


def _dynamic_metadata(said: object) -> Filter:
    return DynamicMetadata(_texts(said))


_READERS: Mapping[str, Callable[[object], Filter]] = {
    "timebased": _timebased,
    "range": _range,
    "change": _change,
    "curvelog": _curvelog,
    "history": _history,
    "metadata": _metadata,
    "static-metadata": _static_metadata,
    "dynamic-metadata": _dynamic_metadata,
}


# What may be said beside `paths`.
VARIANTS = tuple(_READERS)


def _paths(said: object) -> tuple[str, ...]:
    paths = tuple(text.replace("/", ".") for text in _texts(said))
    for path in paths:
        levels = path.split(".")
        if len(path) > PATH_MAX_CHARS or not all(levels) or any("**" in level for level in levels):
            raise _bad(f"{path[:80]!r} is no relative path: names or *, with dots between them")
    return paths


def _texts(said: object) -> tuple[str, ...]:
    texts = [said] if isinstance(said, str) else said
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _bad("the parameter is a text, or an array of texts")
    if not 0 < len(texts) <= PATHS_MAX:
        raise _bad(f"{len(texts)} texts are given; choose from 1 to {PATHS_MAX}")
    return tuple(texts)


def _object(said: object) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise _bad("the parameter is an object")
    return said


def _operation(said: object) -> str:
    if not isinstance(said, str) or said not in _OPERATIONS:
        raise _bad(f"logic-op is {said!r:.40}; choose one of {', '.join(_OPERATIONS)}")
    return said


def _number(said: object, name: str) -> float:
    if isinstance(said, str):
        value = float(said) if _NUMBER.fullmatch(said) else math.nan
    elif isinstance(said, int | float) and not isinstance(said, bool):
        value = float(said) if abs(said) < _NUMBER_MAX else math.nan
    else:
        value = math.nan
    if not math.isfinite(value):
        raise _bad(f"{name} is {said!r:.40}, which is no number")
    return value


def _bad(sentence: str) -> Refused:
    return Refused(Problem.BAD_FILTER, sentence)
