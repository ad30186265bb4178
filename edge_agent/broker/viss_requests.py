"""Requests of VISS, from JSON to frozen dataclasses: get, set, subscribe, unsubscribe; and values as text.

    {"action": "get", "path": "Vehicle.Speed", "requestId": "1"}        over WebSocket
    GET /Vehicle/Speed?filter={"variant":"history","parameter":"PT1M"}  over HTTP

Rule 1: what is not as the standard has it is refused, whatever it is; what a request adds is not read.
Rule 2: values are texts on the wire, arrays are arrays of texts; a JSON number or truth is taken too.
Rule 3: an id of a request comes back as it came.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np

from edge_agent.broker.access import PATH_MAX_CHARS
from edge_agent.broker.values import Value
from edge_agent.broker.viss_dialects import Dialect, Problem, Refused
from edge_agent.broker.viss_filters import FOR_EVENTS, Filters, filters_of
from fairway.catalog.model import FLOAT_RANGES, INTEGER_RANGES
from fairway.clock import NS_PER_S

# A request with a token of the greatest length and a filter of many paths.
REQUEST_MAX_BYTES = 65_536
_ID_MAX_CHARS = 256
_TOKEN_MAX_CHARS = 16_384
_WHOLE = re.compile(r"-?\d{1,20}")
_NUMBER = re.compile(r"-?\d{1,310}(?:\.\d{1,340})?(?:[eE][+-]?\d{1,4})?")

_TRUTHS = {"true": True, "false": False}

RequestId: TypeAlias = str | int


@dataclass(frozen=True, slots=True)
class Get:
    """Tell values, of now or of the past, or metadata."""

    path: str
    filters: Filters
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Set:
    """Ask an actuator for a value."""

    path: str
    value: Any
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Tell values from now on."""

    path: str
    filters: Filters
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Tell no more of a subscription."""

    subscription_id: str


Request: TypeAlias = Get | Set | Subscribe | Unsubscribe


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is said of a request before it is understood: enough to answer it."""

    said: dict[str, Any]
    action: str | None
    request_id: RequestId | None


def envelope_of(text: str) -> Envelope:
    """Read a message of a WebSocket.  Raises Refused for what is no JSON object."""
    said = _json(text)
    if not isinstance(said, dict):
        raise Refused(Problem.BAD_REQUEST, "the request is no JSON object")
    action, request_id = said.get("action"), said.get("requestId")
    is_id = isinstance(request_id, int | str) and not isinstance(request_id, bool)
    return Envelope(
        said,
        action if isinstance(action, str) and len(action) <= _ID_MAX_CHARS else None,
        request_id if is_id and len(str(request_id)) <= _ID_MAX_CHARS else None,
    )


def request_of(envelope: Envelope, dialect: Dialect) -> Request:
    """Understand a request.  Raises Refused."""
    said = envelope.said
    if envelope.request_id is None:
        raise Refused(Problem.BAD_REQUEST, "Missing or invalid requestId")
    if envelope.action == "unsubscribe":
        return Unsubscribe(_text(said.get("subscriptionId"), "subscriptionId", _ID_MAX_CHARS))
    token = said.get("authorization")
    if token is not None:
        token = _text(token, "authorization", _TOKEN_MAX_CHARS).removeprefix("Bearer ")
    if envelope.action == "set":
        if "value" not in said:
            raise Refused(Problem.BAD_REQUEST, "Missing or invalid value")
        return Set(path_of(said.get("path")), said["value"], token)
    if envelope.action == "get":
        return get_of(path_of(said.get("path")), said.get("filter"), token)
    if envelope.action == "subscribe":
        filters = filters_of(said.get("filter"))
        if filters.other is None and dialect is Dialect.V3:
            raise Refused(
                Problem.BAD_FILTER, "a subscription has a filter that triggers its events"
            )
        if filters.other is not None and not isinstance(filters.other, FOR_EVENTS):
            raise Refused(Problem.BAD_FILTER, "Filter type not allowed with request method")
        return Subscribe(path_of(said.get("path")), filters, token)
    raise Refused(Problem.BAD_REQUEST, "Missing or invalid action")


def get_of(path: str, said: object, token: str | None) -> Get:
    """Return a request to get.  Raises Refused."""
    filters = filters_of(said)
    if isinstance(filters.other, FOR_EVENTS):
        raise Refused(Problem.BAD_FILTER, "Filter type not allowed with request method")
    return Get(path, filters, token)


def filter_in(text: str) -> object:
    """Read the filter of a query.  Raises Refused."""
    said = _json(text)
    if not isinstance(said, dict | list):
        raise Refused(Problem.BAD_FILTER, "Missing or invalid filter")
    return said


def value_in(text: str) -> object:
    """Read the value that the body of a POST sets.  Raises Refused."""
    said = _json(text)
    if not isinstance(said, dict) or "value" not in said:
        raise Refused(Problem.BAD_REQUEST, "Missing or invalid value")
    return said["value"]


def path_of(said: object) -> str:
    """Read a path, with dots or slashes.  Raises Refused: wildcards stand in filters only."""
    path = _text(said, "path", PATH_MAX_CHARS).strip("/").replace("/", ".")
    if "*" in path or not all(path.split(".")):
        raise Refused(Problem.BAD_REQUEST, "Missing or invalid path: it names one node of the tree")
    return path


def value_of_text(said: object, datatype: str) -> Value:
    """Read a value for a signal of `datatype`.  Raises Refused."""
    if not datatype.endswith("[]"):
        return _scalar(said, datatype)
    if not isinstance(said, list):
        raise Refused(Problem.BAD_VALUE, f"Incorrect data type: {datatype} is an array of texts")
    return tuple(_scalar(item, datatype.removesuffix("[]")) for item in said)


def text_of_value(value: Value, datatype: str) -> str | list[str]:
    """Return a value as it goes over the wire."""
    inner = datatype.removesuffix("[]")
    if isinstance(value, tuple):
        return [_told(item, inner) for item in value]
    return _told(value, inner)


def stamp(time_ns: int) -> str:
    """Return a time as the standard writes it."""
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06d}Z"


def points(path: str, datatype: str, values: Sequence[tuple[int, Value]]) -> dict[str, Any]:
    """Return values of one signal, each a (time_ns, value), as `data` has them."""
    told = [
        {"value": text_of_value(value, datatype), "ts": stamp(time_ns)} for time_ns, value in values
    ]
    return {"path": path, "dp": told[0] if len(told) == 1 else told}


def _scalar(said: object, datatype: str) -> bool | int | float | str:
    value: bool | int | float | str | None = None
    if datatype == "string":
        value = said if isinstance(said, str) else None
    elif datatype == "boolean":
        value = said if isinstance(said, bool) else _TRUTHS.get(str(said))
    elif not isinstance(said, bool):
        value = _number(str(said), datatype)
    if value is None:
        raise Refused(Problem.BAD_VALUE, f"Incorrect data type: {said!r:.40} is no {datatype}")
    return value


def _number(said: str, datatype: str) -> int | float | None:
    if datatype in INTEGER_RANGES and _WHOLE.fullmatch(said):
        return int(said)
    if datatype in FLOAT_RANGES and _NUMBER.fullmatch(said):
        return float(said)
    return None


def _told(value: object, datatype: str) -> str:
    if datatype == "boolean":
        return "true" if value else "false"
    if datatype == "float":
        return str(np.float32(value))  # type: ignore[arg-type]
    if datatype in INTEGER_RANGES:
        return str(int(value))  # type: ignore[call-overload]
    return str(value)


def _json(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(Problem.BAD_REQUEST, "the request cannot be read as JSON") from error


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _text(said: object, name: str, most_chars: int) -> str:
    if not isinstance(said, str) or not 0 < len(said) <= most_chars or not said.isprintable():
        raise Refused(Problem.BAD_REQUEST, f"Missing or invalid {name}")
    return said
