"""Bodies of hawkBit's clients: JSON, or CBOR for whoever asks for it.

Rule 1: what cannot be read is 400 with a sentence, whatever it is: bodies come from devices.
"""

import json
from typing import Any, NoReturn

import cbor2
from fastapi import Request
from starlette.responses import Response

from fairway.errors import BadInput

CBOR = "application/cbor"
JSON = "application/json"


async def body_of(request: Request) -> Any:
    """Return what a request says.  Raises BadInput."""
    data = await request.body()
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    try:
        if kind == CBOR:
            return cbor2.loads(data)
        return json.loads(data, parse_constant=_refuse)
    except (
        ValueError,
        TypeError,
        EOFError,
        OverflowError,
        RecursionError,
        cbor2.CBORError,
    ) as error:
        what = "CBOR" if kind == CBOR else "JSON"
        raise BadInput(f"the body is no {what} that can be read: {str(error)[:120]!r}") from error


def answered(request: Request, content: Any, status: int = 200) -> Response:
    """Return an answer in the format that was asked for."""
    if CBOR in request.headers.get("accept", ""):
        return Response(cbor2.dumps(content), status, media_type=CBOR)
    text = json.dumps(content, separators=(",", ":"))
    return Response(text.encode("ascii"), status, media_type=JSON)


def object_of(body: Any, what: str = "the body") -> dict[str, Any]:
    """Return `body` when it is an object.  Raises BadInput."""
    if not isinstance(body, dict) or not all(isinstance(key, str) for key in body):
        raise BadInput(f"{what} is no object")
    return body


def text_of(body: dict[str, Any], key: str, most_chars: int, default: str | None = None) -> str:
    """Return a text that a body has to say, or `default`.  Raises BadInput."""
    value = body.get(key, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not 0 < len(value) <= max(most_chars, 1):
        if value == default == "":
            return ""
        raise BadInput(f"{key} is a text of 1 to {most_chars} characters")
    return plain_text(value, key)


def plain_text(text: str, what: str) -> str:
    """Return `text` when it can be stored and shown anywhere.  Raises BadInput."""
    if not text.isprintable():
        raise BadInput(f"{what} has characters that cannot be shown")
    return text


def _refuse(word: str) -> NoReturn:
    raise BadInput(f"{word} is no number")
