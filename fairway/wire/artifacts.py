"""Requests for artifacts, and their bytes, <-> messages.

    request_to_bytes, request_from_bytes    FetchRequest
    piece_to_bytes, piece_from_bytes        FetchResponse

Rule 1: foreign bytes become nouns or BadInput, and are looked at only below the limits here.
"""

import re
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from fairway.errors import BadInput
from fairway.v1 import artifact_pb2 as v1

# Some tens of milliseconds on a cellular link; a cut costs no more than one of them.
PIECE_MAX_BYTES = 256 * 1024
REQUEST_MAX_BYTES = 1024
RESPONSE_MAX_BYTES = PIECE_MAX_BYTES + 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_INT63_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Fetch:
    """Asks for an artifact from a byte on."""

    digest: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of an artifact; `size_bytes` is of the whole, and said with the first."""

    data: bytes
    size_bytes: int = 0


def request_to_bytes(fetch: Fetch) -> bytes:
    """Return a FetchRequest."""
    return v1.FetchRequest(digest=fetch.digest, offset=fetch.offset).SerializeToString()


def request_from_bytes(data: bytes) -> Fetch:
    """Read a FetchRequest.  Raises BadInput."""
    if len(data) > REQUEST_MAX_BYTES:
        raise BadInput(f"a request of {len(data)} bytes is over the limit of {REQUEST_MAX_BYTES}")
    try:
        message = v1.FetchRequest.FromString(data)
    except DecodeError as error:
        raise BadInput("the message is no FetchRequest") from error
    if not _DIGEST.fullmatch(message.digest):
        raise BadInput(f"{message.digest[:80]!r} is no digest: sha256: and 64 hex digits")
    if message.offset > _INT63_MAX:
        raise BadInput(f"no artifact has a byte {message.offset}")
    return Fetch(message.digest, message.offset)


def piece_to_bytes(piece: Piece) -> bytes:
    """Return a FetchResponse."""
    return v1.FetchResponse(data=piece.data, size_bytes=piece.size_bytes).SerializeToString()


def piece_from_bytes(data: bytes) -> Piece:
    """Read a FetchResponse.  Raises BadInput."""
    if len(data) > RESPONSE_MAX_BYTES:
        raise BadInput(f"a piece of {len(data)} bytes is over the limit of {RESPONSE_MAX_BYTES}")
    try:
        message = v1.FetchResponse.FromString(data)
    except DecodeError as error:
        raise BadInput("the message is no FetchResponse") from error
    if len(message.data) > PIECE_MAX_BYTES:
        raise BadInput(f"a piece has {len(message.data)} bytes: at most {PIECE_MAX_BYTES}")
    return Piece(message.data, message.size_bytes)
