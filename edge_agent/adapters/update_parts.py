"""A file that is being fetched: what of it is here, verified and durable.

    <name>.part    grows from its start; every whole chunk in it was verified    > <name> once all of it was

Rule 1: a chunk counts when it was verified and is durable; then, and not before, it is told.
Rule 2: what a power cut left is looked through at the next start: whole chunks that verify stay, what follows
the last of them stays too and is verified when its chunk is whole.
Rule 3: a disk that is full is left as it was: what was begun goes.
"""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_agent.adapters.disk import Disk, RealDisk, sync_directory
from edge_agent.updates.fetching import Attacked, NoRoom
from fairway.errors import Unavailable
from ota.manifest import Blob
from ota.trust.model import Attack

# The agent's own records, and what services write meanwhile.
ROOM_KEPT_BYTES = 8 << 20
# Of a blob without chunks: what a power cut can cost of it.
SYNC_BYTES = 8 << 20
_PIECE = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class BadChunk(Exception):
    """A chunk is not what was signed; the part ends before it."""


class Part:
    """The beginning of a blob, in a file."""

    def __init__(
        self,
        blob: Blob,
        to: Path,
        hashes: tuple[bytes, ...],
        told: Callable[[int], None],
        disk: Disk | None = None,
    ) -> None:
        """Look through what is there; `told` is told how many bytes count.  Raises Unavailable."""
        self._blob, self._to, self._hashes, self._told = blob, to, hashes, told
        self.path = part_of(to)
        self._disk: Disk = disk or RealDisk()
        self._chunk_bytes = blob.chunk_bytes if hashes else SYNC_BYTES
        self._whole, self._chunk = hashlib.sha256(), hashlib.sha256()
        self._whole_counted = self._whole.copy()
        self.have = self._counted = 0  # bytes written; those of them that count
        with self._io():
            to.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o600)
            self._look_through()

    @property
    def left(self) -> int:
        """Bytes that are still to come."""
        return self._blob.length - self.have

    def check_room(self) -> None:
        """Raise NoRoom, and leave nothing, when the disk cannot hold the rest."""
        with self._io():
            free = shutil.disk_usage(self.path.parent).free
        if free < self.left + ROOM_KEPT_BYTES:
            self.abandon()
            raise NoRoom(
                f"{self._blob.sha256} needs {self.left} more bytes, and {free} are free in {self.path.parent}"
            )

    def write(self, data: bytes) -> None:
        """Add bytes.  Raises BadChunk, Attacked for too many, NoRoom, Unavailable."""
        if len(data) > self.left:
            raise Attacked(
                Attack.ENDLESS_DATA,
                f"more than the {self._blob.length} bytes of {self._blob.sha256} came",
            )
        view = memoryview(data)
        while view:
            end = self._chunk_end()
            here = view[: end - self.have]
            with self._io():
                self._disk.write(self._file, bytes(here), self.have)
            self._take(here)
            view = view[len(here) :]
            if self.have == end:
                self._finish_chunk()

    def anew(self) -> None:
        """Forget what is here, and begin at the first byte."""
        self._counted, self._whole_counted = 0, hashlib.sha256()
        self._cut()

    @property
    def is_right(self) -> bool:
        """Whether what is here is the blob."""
        return not self.left and self._whole.hexdigest() == self._blob.sha256

    def finish(self) -> None:
        """Give the blob its place, durable.  Raises Attacked when it is another (none stays), Unavailable."""
        if not self.is_right:
            found = self._whole.hexdigest()
            self.abandon()
            raise Attacked(
                Attack.ARBITRARY_SOFTWARE, f"what came as {self._blob.sha256} is {found}"
            )
        with self._io():
            self._disk.sync(self._file)
            self.close()
            self.path.replace(self._to)
            sync_directory(self._to.parent)
        self._told(self._blob.length)

    def settle(self) -> None:
        """Have what came so far outlive us; a cut is when power may go, too.  Raises NoRoom, Unavailable."""
        if self._file >= 0 and self.have > self._counted:
            with self._io():
                self._disk.sync(self._file)

    def pause(self) -> None:
        """Keep what is here for another time, as durable as it can be."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                self._disk.sync(self._file)
        self.close()

    def abandon(self) -> None:
        """Leave nothing."""
        self.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _chunk_end(self) -> int:
        """Where the chunk ends in which the next byte is."""
        return min((self.have // self._chunk_bytes + 1) * self._chunk_bytes, self._blob.length)

    def _take(self, data: memoryview) -> None:
        self._whole.update(data)
        if self._hashes:
            self._chunk.update(data)
        self.have += len(data)

    def _finish_chunk(self) -> None:
        if not self._is_good():
            self._cut()
            raise BadChunk
        with self._io():
            self._disk.sync(self._file)
        self._count()

    def _is_good(self) -> bool:
        """Whether the chunk that ends here is the one that was signed; without hashes nobody knows yet."""
        if not self._hashes:
            return True
        number = (self.have - 1) // self._chunk_bytes
        return self._chunk.digest() == self._hashes[number]

    def _count(self) -> None:
        self._counted, self._chunk = self.have, hashlib.sha256()
        self._whole_counted = self._whole.copy()
        self._told(self._counted)

    def _look_through(self) -> None:
        """Take what an earlier fetch left: up to the first chunk that is not what it should be."""
        size = min(os.fstat(self._file).st_size, self._blob.length)
        while self.have < size:
            least = min(_PIECE, size - self.have, self._chunk_end() - self.have)
            data = os.pread(self._file, least, self.have)
            if not data:
                break
            end = self._chunk_end()
            self._take(memoryview(data))
            if self.have == end:
                if not self._is_good():
                    self._cut()
                    return
                self._count()
        os.ftruncate(self._file, self.have)

    def _cut(self) -> None:
        """Go back to the last byte that counts."""
        with self._io():
            os.ftruncate(self._file, self._counted)
        self.have, self._chunk = self._counted, hashlib.sha256()
        self._whole = self._whole_counted.copy()

    @contextlib.contextmanager
    def _io(self) -> Iterator[None]:
        """Say what a disk says in our words; leave nothing on one that is full."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                self.abandon()
                raise NoRoom(f"{self.path.parent} is full: {error.strerror}") from error
            self.close()
            raise Unavailable(f"{self.path} cannot be kept: {error.strerror}") from error


def part_of(to: Path) -> Path:
    """Return where a file is while it is being fetched."""
    return to.with_name(to.name + ".part")


def is_blob(path: Path, blob: Blob) -> bool:
    """Return whether the file at `path` is the blob.  Raises Unavailable."""
    try:
        if not path.is_file() or path.stat().st_size != blob.length:
            return False
        found = hashlib.sha256()
        with path.open("rb") as file:
            while data := file.read(_PIECE):
                found.update(data)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    return found.hexdigest() == blob.sha256
