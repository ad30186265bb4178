"""The wire of artifacts: requests and pieces come out as they went in."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.v1 import artifact_pb2 as v1
from fairway.wire.artifacts import (
    PIECE_MAX_BYTES,
    Fetch,
    Piece,
    piece_from_bytes,
    piece_to_bytes,
    request_from_bytes,
    request_to_bytes,
)

DIGEST = "sha256:" + "0f" * 32


@given(st.integers(0, 2**63 - 1))
def test_a_request_is_read_as_it_was_written(offset: int):
    assert request_from_bytes(request_to_bytes(Fetch(DIGEST, offset))) == Fetch(DIGEST, offset)


@given(st.binary(max_size=500), st.integers(0, 2**63))
def test_a_piece_is_read_as_it_was_written(data: bytes, size: int):
    assert piece_from_bytes(piece_to_bytes(Piece(data, size))) == Piece(data, size)


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_but_bad_input(data: bytes):
    for read in (request_from_bytes, piece_from_bytes):
        with suppress(BadInput):
            read(data)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no digest"),
        (b"\xff", "no FetchRequest"),
        (bytes(1025), "over the limit"),
        (v1.FetchRequest(digest="sha256:../x").SerializeToString(), "no digest"),
        (v1.FetchRequest(digest=DIGEST, offset=2**63).SerializeToString(), "no artifact has"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(data: bytes, sentence: str):
    with pytest.raises(BadInput, match=sentence):
        request_from_bytes(data)


def test_a_piece_that_is_too_large_is_refused():
    with pytest.raises(BadInput, match="at most"):
        piece_from_bytes(piece_to_bytes(Piece(bytes(PIECE_MAX_BYTES + 1))))
