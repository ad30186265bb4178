"""What the agent and a process of functions say to each other: a length, then JSON, over two pipes.

    agent                                   process
          <- Hello: which walls hold            before any foreign code has run
      sources ->
          <- Loaded, or why not
      number, function, rows ->             one request at a time,
          <- values, texts, errors            and one answer to each

Rule 1: an answer comes from foreign code: nothing of it is believed but its shape, and that is checked.
Rule 2: numbers that are not finite do not exist (None): no comparison with them would mean anything.
Rule 3: this file needs the standard library alone: the process imports it without site-packages.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fairway.errors import BadInput

Value: TypeAlias = float | bool | str
Row: TypeAlias = Sequence[Value | None]

HEADER_BYTES = 4
# 256 rows with a text of 1 KB each; parsing it costs the agent some MB at the worst.
ANSWER_MAX_BYTES = 262_144
# What one call may say beside its value: FleetWise's own example says one signal.
TEXTS_MAX = 32
SIGNAL_MAX_CHARACTERS = 150  # as in campaign documents
SENTENCE_MAX_CHARACTERS = 300

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
# Whole numbers too: one of a million digits costs nothing as a float.
_DECODER = json.JSONDecoder(parse_int=float)


@dataclass(frozen=True, slots=True)
class Results:
    """What the function made of each row."""

    values: tuple[Value | None, ...]
    texts: Mapping[int, Mapping[str, str]] = field(default_factory=dict)  # by row
    errors: int = 0  # rows that raised, or returned what is no value
    error: str = ""  # the first of them, in words


def framed(message: object) -> bytes:
    """Return a message as it goes through a pipe."""
    data = _ENCODER.encode(message).encode("utf-8", "replace")
    return len(data).to_bytes(HEADER_BYTES, "big") + data


def body_bytes(header: bytes, most: int) -> int:
    """Return how long the message is whose first HEADER_BYTES are given.  Raises BadInput."""
    length = int.from_bytes(header, "big")
    if length > most:
        raise BadInput(f"a message of {length} bytes is over the limit of {most}")
    return length


def sources_message(sources: Mapping[str, str]) -> object:
    """Return what a process is told once: its functions' sources by name."""
    return {"sources": dict(sources)}


@dataclass(frozen=True, slots=True)
class Request:
    """One function, called for each row."""

    number: int  # of the request: its answer says the same
    place: int  # where the call stands in the campaign's conditions: each has globals of its own
    name: str
    rows: Sequence[Row]


def call_message(request: Request) -> object:
    """Return a request as it is sent."""
    return {
        "number": request.number,
        "place": request.place,
        "name": request.name,
        "rows": [list(row) for row in request.rows],
    }


def cleanup_message() -> object:
    """Return the request to end well: every module's `cleanup`, then the process."""
    return {"cleanup": True}


def walls_from_bytes(data: bytes) -> dict[str, str]:
    """Return, by wall, why it does not hold ("" when it does).  Raises BadInput."""
    walls = _object(data).get("walls")
    if not isinstance(walls, dict) or not all(isinstance(why, str) for why in walls.values()):
        raise BadInput("the process did not say which walls hold")
    return {name: sentence(why) for name, why in walls.items()}


def refusal_from_bytes(data: bytes) -> str:
    """Return why the sources can never work, "" when they are loaded.  Raises BadInput."""
    why = _object(data).get("refused")
    if not isinstance(why, str):
        raise BadInput("the process did not say whether its functions are loaded")
    return sentence(why)


def results_from_bytes(data: bytes, request: Request) -> Results:
    """Return the results for the rows of a request.  Raises BadInput on anything else."""
    answer, rows = _object(data), len(request.rows)
    if answer.get("number") != request.number:
        raise BadInput("the answer is not to what was asked")
    values, errors, error = answer.get("values"), answer.get("errors"), answer.get("error")
    if not isinstance(values, list) or len(values) != rows:
        raise BadInput(f"the answer does not have {rows} values")
    if not isinstance(errors, float) or not 0 <= errors <= rows or not isinstance(error, str):
        raise BadInput("the answer does not say how many rows failed")
    return Results(
        tuple(_value(value) for value in values),
        _texts(answer.get("texts"), rows),
        int(errors),
        error and sentence(error),
    )


def sentence(text: str) -> str:
    """Return foreign text as it may stand in a log and on a screen: short, printable, one line."""
    shown = "".join(c if c.isprintable() else " " for c in text[: SENTENCE_MAX_CHARACTERS + 1])
    if len(shown) > SENTENCE_MAX_CHARACTERS:
        return shown[:SENTENCE_MAX_CHARACTERS] + "..."
    return shown


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = _DECODER.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the answer is not JSON: {sentence(str(error))}") from error
    if not isinstance(found, dict):
        raise BadInput("the answer is not a JSON object")
    return found


def _value(value: object) -> Value | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return _text(value)
    raise BadInput("a value of the answer is neither a number, a boolean nor a text")


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput("a text of the answer is not Unicode") from error
    return text


def _texts(found: object, rows: int) -> dict[int, dict[str, str]]:
    if not isinstance(found, list) or len(found) > rows:
        raise BadInput("the answer's texts are not a list of rows")
    return dict(_texts_of_row(entry, rows) for entry in found)


def _texts_of_row(entry: object, rows: int) -> tuple[int, dict[str, str]]:
    if not isinstance(entry, list) or len(entry) != 2:
        raise BadInput("an entry of the answer's texts is not a row and its texts")
    row, texts = entry
    if not isinstance(row, float) or row not in range(rows):
        raise BadInput("an entry of the answer's texts is about no row of the request")
    if not isinstance(texts, dict) or len(texts) > TEXTS_MAX:
        raise BadInput(f"the answer's texts of a row are not at most {TEXTS_MAX} by signal")
    return int(row), {_signal(name): _said(text) for name, text in texts.items()}


def _signal(name: str) -> str:
    if not 0 < len(name) <= SIGNAL_MAX_CHARACTERS or not name.isprintable():
        raise BadInput("a name in the answer's texts is not that of a signal")
    return _text(name)


def _said(text: object) -> str:
    if not isinstance(text, str):
        raise BadInput("what is said beside a value is not a text")
    return _text(text)
