"""Packed layers are unpacked piece by piece, and bombs are stopped."""

import gzip
import io
import os
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput, FairwayError
from fairway.oci.model import Compression, digest_of
from fairway.oci.packed import ZSTD_WINDOW_MAX_BYTES, Limits, Unpacked, tar_of
from tests.images import packed

SKIPPED = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"


def unpacked(data: bytes, how: Compression, limits: Limits = Limits()) -> Unpacked:  # noqa: B008
    return Unpacked(io.BytesIO(data).read, how, limits)


def whole(one: Unpacked) -> bytes:
    return b"".join(iter(lambda: one.read(1000), b""))


@given(st.lists(st.binary(max_size=3000), max_size=3), st.sampled_from(list(Compression)))
def test_all_pieces_come_out_and_are_hashed(pieces: list[bytes], how: Compression):
    data = b"".join(packed(piece, how) for piece in pieces)

    one = unpacked(data, how)

    assert whole(one) == b"".join(pieces)
    assert one.digest == digest_of(b"".join(pieces))
    assert tar_of(io.BytesIO(data).read, how)(1 << 20) in (b"".join(pieces), *pieces)


def test_frames_that_are_to_be_skipped_are_skipped():
    data = zstandard.compress(b"one") + SKIPPED + zstandard.compress(b"two")

    assert whole(unpacked(data, Compression.ZSTD)) == b"onetwo"


@pytest.mark.parametrize("how", [Compression.GZIP, Compression.ZSTD])
def test_a_bomb_is_stopped_early(how: Compression):
    zeros = bytes(20 << 20)
    data = gzip.compress(zeros) if how is Compression.GZIP else zstandard.compress(zeros)
    one = unpacked(data, how, replace(Limits(), ratio_from_bytes=1 << 20))

    with pytest.raises(BadInput, match="times as large"):
        whole(one)
    assert one.count < 10 << 20


def test_a_window_that_no_control_unit_has_memory_for_is_refused():
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    data = zstandard.ZstdCompressor(compression_params=parameters).compress(
        os.urandom(ZSTD_WINDOW_MAX_BYTES + 1)
    )

    with pytest.raises(BadInput, match="zstd"):
        whole(unpacked(data, Compression.ZSTD))


def test_gzip_that_ends_in_the_middle_or_with_garbage_is_refused():
    data = gzip.compress(b"x" * 5000)

    for broken in (data[:-9], data[:5], data + b"garbage"):
        with pytest.raises(BadInput, match="gzip"):
            whole(unpacked(broken, Compression.GZIP))


def test_only_zeros_may_follow_the_end_of_a_tar():
    unpacked(bytes(5000), Compression.NONE).rest()

    with pytest.raises(BadInput, match="after its end"):
        unpacked(bytes(5000) + b"x", Compression.NONE).rest()


@given(
    st.binary(max_size=200),
    st.integers(0, 100),
    st.sampled_from([Compression.GZIP, Compression.ZSTD]),
)
def test_garbage_is_refused_or_is_another_digest(garbage: bytes, at: int, how: Compression):
    plain = b"layer" * 100
    data = gzip.compress(plain) if how is Compression.GZIP else zstandard.compress(plain)
    one = unpacked(data[:at] + garbage + data[at:], how)
    try:
        whole(one)
    except FairwayError:
        return
    assert one.digest == digest_of(plain) or garbage
