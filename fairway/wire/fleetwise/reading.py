"""Bytes -> a generated message of FleetWise's interface, within a limit."""

from typing import Any

from google.protobuf.message import DecodeError

from fairway.errors import BadInput

# Above any sync id of FleetWise: an ARN of 200 characters and what makes it unique.
SYNC_ID_MAX_CHARACTERS = 256
NAME_MAX_CHARACTERS = 512


def read(kind: Any, data: bytes, *, max_bytes: int, what: str) -> Any:
    """Return `data` as a message of `kind`.  Raises BadInput."""
    if len(data) > max_bytes:
        raise BadInput(f"{what} of {len(data)} bytes is over the limit of {max_bytes}")
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise BadInput(f"the message is not {what} of FleetWise") from error


def sync_id(text: str, *, of: str) -> str:
    """Return `text` when it may name a document.  Raises BadInput."""
    if not 0 < len(text) <= SYNC_ID_MAX_CHARACTERS or not text.isprintable():
        raise BadInput(
            f"{text[:80]!r} is no sync id of {of}: 1 to {SYNC_ID_MAX_CHARACTERS} characters"
        )
    return text


def name(text: str, *, of: str) -> str:
    """Return `text` when it is short enough for a name.  Raises BadInput."""
    if len(text) > NAME_MAX_CHARACTERS:
        raise BadInput(f"{text[:80]!r} is too long for {of}: at most {NAME_MAX_CHARACTERS}")
    return text
