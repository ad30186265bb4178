"""JSON in and out: what is signed has one spelling (canonical JSON, OLPC), and what comes in has limits.

Rule 1: numbers are whole: canonical JSON knows no fractions, and writing one is BadInput.
Rule 2: whatever bytes come in, what comes of them is a value or a sentence (BadInput).
"""

import json
from typing import Any

from fairway.errors import BadInput
from ota.tuf_library import FormatError, encode_canonical


def canonical(value: object) -> bytes:
    """Return the canonical JSON of a value.  Raises BadInput."""
    try:
        text = encode_canonical(value)  # type: ignore[arg-type] # it refuses other types itself
        return (text or "").encode()
    except (FormatError, RecursionError, UnicodeEncodeError, TypeError) as error:
        raise BadInput(f"this cannot be written as canonical JSON: {str(error)[:200]}") from error


def parsed(text: bytes, what: str, *, most_bytes: int) -> Any:
    """Return what JSON says; `what` names it in errors.  Raises BadInput."""
    if len(text) > most_bytes:
        raise BadInput(f"{what} has {len(text)} bytes; {most_bytes} at most")
    try:
        said = json.loads(text, object_pairs_hook=_once, parse_constant=_refused)
        if b"\\ud" in text.lower():  # half of a pair is no character: nothing could write it again
            json.dumps(said, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{what} is not JSON: {str(error)[:200]}") from error
    return said


def parsed_object(text: bytes, what: str, *, most_bytes: int) -> dict[str, Any]:
    """Return the object that JSON says.  Raises BadInput."""
    said = parsed(text, what, most_bytes=most_bytes)
    if not isinstance(said, dict):
        raise BadInput(f"{what} is no JSON object")
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands there twice")
    return table


def _refused(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")
