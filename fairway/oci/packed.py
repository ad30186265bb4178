"""The plain tar inside a packed layer, piece by piece, hashed and within limits.

    packed bytes > Unpacked.read(n) > plain bytes, their digest (diff_id), their count

Rule 1: never more in memory than a piece and the window of the compression.
Rule 2: a bomb is refused where it begins, not where the disk is full.
"""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, cast

import zstandard

from fairway.errors import BadInput, Unavailable
from fairway.oci.model import Compression

PIECE = 1 << 18
# RFC 8878 asks readers for 8 MiB, skopeo's zstd:chunked needs 32; more is too much for a control unit.
ZSTD_WINDOW_MAX_BYTES = 32 << 20

Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Limits:
    """What an image may be at most."""

    layer_max_bytes: int = 2 << 30  # unpacked
    image_max_bytes: int = 4 << 30  # all its layers, unpacked
    entries_max: int = 200_000  # of a layer; Debian with a desktop has 150,000
    # Plain bytes for a packed one. Programs have 2 to 5, logs and zeros up to 1032 with gzip: what is far
    # above is made to fill a disk.  It counts from `ratio_from_bytes` on, since little does no harm.
    ratio_max: int = 200
    ratio_from_bytes: int = 64 << 20


class Unpacked:
    """Reads the plain bytes of a layer."""

    def __init__(self, read: Read, compression: Compression, limits: Limits) -> None:
        """`read` gives the packed bytes."""
        self._packed = _Counted(read)
        self._limits = limits
        self._hash = hashlib.sha256()
        self._read = _reader(self._packed, compression)
        # Headers are small: unpacking them one by one would cost more than all else.
        self._piece, self._at = b"", 0
        self.count = 0

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer at the end.  Raises BadInput for a bomb, or for what is broken."""
        pieces = []
        while size:
            if self._at == len(self._piece):
                self._piece, self._at = self._read(PIECE), 0
                self._count(self._piece)
            piece = self._piece[self._at : self._at + size]
            if not piece:
                break
            pieces.append(piece)
            self._at += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def rest(self) -> None:
        """Read up to the end, where only zeros may be.  Raises BadInput."""
        while piece := self.read(PIECE):
            if piece.strip(b"\0"):
                raise BadInput(
                    "a layer has something after its end, which readers may or may not see"
                )

    @property
    def digest(self) -> str:
        """Return the digest of the whole, once all was read."""
        return "sha256:" + self._hash.hexdigest()

    def _count(self, piece: bytes) -> None:
        self._hash.update(piece)
        self.count += len(piece)
        limits = self._limits
        if self.count > limits.layer_max_bytes:
            raise BadInput(f"a layer has more than {limits.layer_max_bytes} bytes once unpacked")
        if (
            self.count > limits.ratio_from_bytes
            and self.count > limits.ratio_max * self._packed.count
        ):
            raise BadInput(
                f"a layer becomes {self.count // max(1, self._packed.count)} times as large once unpacked:"
                f" {limits.ratio_max} times is allowed"
            )


def tar_of(read: Read, compression: Compression) -> Read:
    """Return what reads the plain bytes of a layer that was verified before: without limits."""
    return _reader(_Counted(read), compression)


class _Counted:
    def __init__(self, read: Read) -> None:
        self._read = read
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        data = self._read(PIECE if size < 0 else size)
        self.count += len(data)
        return data


def _reader(packed: _Counted, compression: Compression) -> Read:
    match compression:
        case Compression.GZIP:
            return _Gunzip(packed.read).read
        case Compression.ZSTD:
            return _Unzstd(packed).read
        case _:
            return packed.read


class _Gunzip:
    """Reads all members of a gzip file: some tools write one for each piece."""

    def __init__(self, read: Read) -> None:
        self._read, self._left = read, b""
        self._member = zlib.decompressobj(wbits=31)
        self._is_inside = False

    def read(self, size: int) -> bytes:
        while True:
            data = self._left or self._read(PIECE)
            if not data and not self._is_inside:
                return b""
            self._is_inside = True
            try:
                piece = self._member.decompress(data, size)
            except zlib.error as error:
                raise BadInput(f"the gzip data of a layer is broken: {error}") from error
            # All that was packed may be read before all that is plain is given.
            if not data and not piece and not self._member.eof:
                raise BadInput("a layer ends in the middle of its gzip data")
            self._left = self._member.unconsumed_tail
            if self._member.eof:
                self._left = self._member.unused_data
                self._member = zlib.decompressobj(wbits=31)
                self._is_inside = False
            if piece:
                return piece


class _Unzstd:
    def __init__(self, packed: _Counted) -> None:
        unpacker = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_MAX_BYTES)
        self._stream = unpacker.stream_reader(
            cast("BinaryIO", packed), read_size=PIECE, read_across_frames=True
        )

    def read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except zstandard.ZstdError as error:
            raise BadInput(f"the zstd data of a layer is broken: {error}") from error
        except MemoryError as error:
            raise Unavailable("there is no memory to unpack a layer") from error
