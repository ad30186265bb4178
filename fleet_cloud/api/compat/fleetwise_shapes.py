"""What FleetWise's requests look like: its service model as botocore has it, read for the first of them.

Rule 1: whatever the model says of a member is held to: required, type, bounds, pattern, choice, one of a union.
A member that the model does not know is refused: it is a wish that nobody would fulfil.
Rule 2: every fault is found, FAULTS_MAX at most, each with the path of its member.
Rule 3: a request that passes is plain JSON of the types that the model names; numbers are finite, and texts can
be written as UTF-8.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

SERVICE, VERSION = "iotfleetwise", "2021-06-17"
# botocore's own, which is loaded with the model: few clouds are asked by FleetWise's clients.
ServiceModel: TypeAlias = Any
Shape: TypeAlias = Any
# A client mends one at a time; a log wants an end.
FAULTS_MAX = 20
# Seconds since the epoch: the end of the year 9999, as in tokens.
TIME_MAX_S = 253_402_300_800
_INT_MAX = {"integer": 2**31 - 1, "long": 2**63 - 1}
# A path in a fault; names in a map are the client's own.
_PATH_MAX_CHARS = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """One member that is not as the model says."""

    path: str
    why: str


@cache
def service() -> ServiceModel:
    """Return the model of the service."""
    from botocore import loaders, model  # noqa: PLC0415

    found = loaders.Loader().load_service_model(SERVICE, "service-2", VERSION)
    return model.ServiceModel(found, SERVICE)


@cache
def input_shape(operation: str) -> Shape:
    """Return what a request for an operation looks like."""
    return service().operation_model(operation).input_shape


@cache
def shape(name: str) -> Shape:
    """Return what something that the model names looks like."""
    return service().shape_for(name)


def parsed(body: bytes) -> Any:
    """Return the JSON in a body, or None when it is none."""
    try:
        return json.loads(body.decode("utf-8") or "{}", parse_constant=_refused)
    except (ValueError, RecursionError):
        return None


def faults(shape: Shape, value: Any) -> list[Fault]:
    """Return what is not as the model says."""
    found: list[Fault] = []
    for fault in _faults(shape, value, ""):
        found.append(fault)
        if len(found) == FAULTS_MAX:
            break
    return found


def without_nulls(value: Any) -> Any:
    """Return a request in which what is null is not there, as AWS's own clients mean it."""
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def _refused(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _faults(shape: Shape, value: Any, path: str) -> Iterator[Fault]:
    check = _CHECKS[shape.type_name]
    return check(shape, value, path)


def _structure(shape: Any, value: Any, path: str) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield _fault(path, f"is {_kind(value)}, not an object")
        return
    given = {name: each for name, each in value.items() if each is not None}
    for name in given.keys() - shape.members.keys():
        yield _fault(_below(path, name), "is no member here")
    for name in shape.required_members:
        if name not in given:
            yield _fault(_below(path, name), "is missing")
    if getattr(shape, "is_tagged_union", False) and len(given) != 1:
        yield _fault(path, f"has {len(given)} of {', '.join(shape.members)}: give exactly one")
    for name, each in given.items():
        if name in shape.members:
            yield from _faults(shape.members[name], each, _below(path, name))


def _list(shape: Any, value: Any, path: str) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield _fault(path, f"is {_kind(value)}, not a list")
        return
    yield from _bounds(shape, len(value), path, "items")
    for index, each in enumerate(value):
        yield from _faults(shape.member, each, f"{path}[{index}]")


def _map(shape: Any, value: Any, path: str) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield _fault(path, f"is {_kind(value)}, not an object")
        return
    yield from _bounds(shape, len(value), path, "members")
    for name, each in value.items():
        yield from _faults(shape.key, name, _below(path, name))
        yield from _faults(shape.value, each, _below(path, name))


def _string(shape: Any, value: Any, path: str) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield _fault(path, f"is {_kind(value)}, not a text")
        return
    if not _is_writable(value):
        yield _fault(path, "has half a character of UTF-16 in it")
        return
    if shape.enum and value not in shape.enum:
        yield _fault(path, f"is {value[:40]!r}: choose from {', '.join(shape.enum)}")
    yield from _bounds(shape, len(value), path, "characters")
    pattern = shape.metadata.get("pattern")
    if pattern is not None and not _regex(pattern).fullmatch(value):
        yield _fault(path, f"is {value[:40]!r}, which does not fit the pattern {pattern}")


def _blob(shape: Any, value: Any, path: str) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield _fault(path, f"is {_kind(value)}, not bytes in base64")
        return
    try:
        size = len(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        yield _fault(path, "is no base64")
        return
    yield from _bounds(shape, size, path, "bytes")


def _integer(shape: Any, value: Any, path: str) -> Iterator[Fault]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield _fault(path, f"is {_kind(value)}, not a whole number")
        return
    most = _INT_MAX[shape.type_name]
    if not -most - 1 <= value <= most:
        yield _fault(path, f"is out of the range of {shape.type_name}s")
        return
    yield from _bounds(shape, value, path, "")


def _number(shape: Any, value: Any, path: str) -> Iterator[Fault]:
    if not _is_number(value):
        yield _fault(path, f"is {_kind(value)}, not a finite number")
        return
    yield from _bounds(shape, value, path, "")


def _timestamp(_shape: Any, value: Any, path: str) -> Iterator[Fault]:
    if not _is_number(value) or not 0 <= value < TIME_MAX_S:
        yield _fault(path, "is no time: seconds since 1970 as a number")


def _boolean(_shape: Any, value: Any, path: str) -> Iterator[Fault]:
    if not isinstance(value, bool):
        yield _fault(path, f"is {_kind(value)}, not true or false")


_CHECKS = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "blob": _blob,
    "integer": _integer,
    "long": _integer,
    "double": _number,
    "float": _number,
    "timestamp": _timestamp,
    "boolean": _boolean,
}


def _bounds(shape: Any, size: float, path: str, unit: str) -> Iterator[Fault]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    words = f" {unit}" if unit else ""
    if least is not None and size < least:
        yield _fault(
            path, f"has {size}{words}: {least} are the least" if unit else f"is below {least}"
        )
    if most is not None and size > most:
        yield _fault(
            path, f"has {size}{words}: {most} are the most" if unit else f"is above {most}"
        )


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floating-point ones
        return False


def _is_writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    # The model's patterns are Java's: \d and \w are ASCII there.
    return re.compile(pattern, re.ASCII)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _fault(path: str, why: str) -> Fault:
    return Fault(path[:_PATH_MAX_CHARS].encode("utf-8", "replace").decode(), why)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    names = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number"}
    return names.get(type(value), "nothing")
