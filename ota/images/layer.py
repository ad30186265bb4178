"""Members become a packed layer: a blob, with the digest of the blob and that of the plain tar.

    members > tar > gzip or zstd > blobs/sha256/<digest>

Rule 1: the same members are the same bytes, with the same version of the compressing library.
"""

import hashlib
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import zstandard

from fairway.errors import BadInput, Conflict
from fairway.oci import model, tar
from fairway.oci.model import Compression, Descriptor
from ota.images.members import Member

GZIP_LEVEL = 6
ZSTD_LEVEL = 9  # of 22: 12 takes more than twice the time for a hundredth of the size
_PIECE = 1 << 20

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as an image names it."""

    blob: Descriptor
    diff_id: str
    members: tuple[Member, ...]
    tar_bytes: int


class _Packer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def write_layer(members: Iterable[Member], compression: Compression, blobs: Path) -> Layer:
    """Write a layer into the folder `blobs`.  Raises BadInput, Conflict when a file changes meanwhile."""
    listed = tuple(members)
    plain, packed = hashlib.sha256(), hashlib.sha256()
    packer = _packer(compression)
    size = tar_size = 0
    with tempfile.NamedTemporaryFile(dir=blobs, prefix="new-", delete=False) as file:
        try:
            for piece in _tar(listed):
                plain.update(piece)
                tar_size += len(piece)
                size += _put(packer.compress(piece), file, packed.update)
            size += _put(packer.flush(), file, packed.update)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            Path(file.name).rename(blobs / packed.hexdigest())
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    kind = model.LAYER + (f"+{compression}" if compression else "")
    blob = Descriptor(kind, f"sha256:{packed.hexdigest()}", size)
    return Layer(blob, f"sha256:{plain.hexdigest()}", listed, tar_size)


def _put(data: bytes, file: IO[bytes], update: Callable[[bytes], None]) -> int:
    update(data)
    file.write(data)
    return len(data)


def _packer(compression: Compression) -> _Packer:
    match compression:
        case Compression.GZIP:
            return zlib.compressobj(GZIP_LEVEL, wbits=31)  # without a name or a time in its header
        case Compression.ZSTD:
            return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()
        case _:
            return _Plain()


def _tar(members: tuple[Member, ...]) -> Iterator[bytes]:
    for member in members:
        yield tar.header(member.entry)
        yield from _content(member)
    yield tar.END


def _content(member: Member) -> Iterator[bytes]:
    size = member.entry.size_bytes
    if isinstance(member.content, bytes):
        yield tar.padded(member.content)
        return
    left = size
    try:
        with member.content.open("rb") as file:
            while left and (data := file.read(min(left, _PIECE))):
                left -= len(data)
                yield data
            is_longer = bool(file.read(1))
    except OSError as error:
        raise BadInput(f"{member.content} cannot be read: {error.strerror}") from error
    if left or is_longer:
        raise Conflict(f"{member.content} changed while it was read: build the image again")
    yield bytes(-size % tar.BLOCK)
