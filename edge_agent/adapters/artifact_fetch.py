"""Large files from the cloud: what is named by its SHA-256 is fetched, gone on with after a cut, and verified.

    fetch(digest) > <folder>/<hex>.part, from the byte after the last > digest right? > a file of the caller's

Rule 1: nothing is asked for but what the caller names, and nothing is believed but its digest.
Rule 2: what was fetched is gone on with, also by another agent after a power cut; if it turns out not to be the
        artifact it is fetched once more from the start, and only then the cloud is to blame.
Rule 3: every byte is paid for before it is read; what cannot be paid waits.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

from edge_agent.adapters.disk import RealDisk, sync_directory
from fairway import log
from fairway.errors import BadInput, Tampered, Unavailable

EVENTS = log.get("edge_agent.artifacts")

# What a power cut can cost of what was fetched; a sync takes some tens of milliseconds.
SYNC_BYTES = 8 << 20
_PIECE = 1 << 20

Pay = Callable[[int], Awaitable[bool]]


async def free_of_charge(_size_bytes: int) -> bool:
    """Pay where nobody counts."""
    return True


class ArtifactSource(Protocol):
    """Where artifacts are fetched.  Contract: tests/contracts/test_artifact_source.py."""

    def pieces(self, digest: str, offset: int) -> AsyncIterator[tuple[bytes, int]]:
        """Yield the bytes from an offset on, each with the size of the whole; it may end early.

        The first piece may be empty.  Raises Unavailable (go on later), Denied, and BadInput when there is no
        such artifact, or none so large.
        """
        ...


class Artifacts:
    """Fetches artifacts into a folder, which is its own."""

    def __init__(
        self, folder: Path, source: Callable[[], ArtifactSource], pay: Pay = free_of_charge
    ) -> None:
        """`source` is asked for anew at every fetch: the cloud may have moved."""
        self._folder, self._source, self._pay = folder, source, pay
        self._disk = RealDisk()

    async def fetch(self, digest: str, to: Path, *, most_bytes: int) -> int:
        """Put an artifact at `to`, durably, and return its size in bytes; what is there already is verified.

        Raises BadInput when there is none, or a larger one, Tampered when what is sent is another,
        Unavailable when it is to be gone on with later, Denied.
        """
        there = await asyncio.to_thread(_size_if, to, digest)
        if there is not None:
            return there
        part = self._folder / f"{digest.removeprefix('sha256:')}.part"
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            begun_bytes = part.stat().st_size if part.exists() else 0
            if begun_bytes > most_bytes:
                part.unlink()
            found = await self._fetched(digest, part, most_bytes)
            if found != digest and begun_bytes:
                EVENTS.warning("artifact_begun_anew", digest=digest, begun_bytes=begun_bytes)
                part.unlink(missing_ok=True)
                found = await self._fetched(digest, part, most_bytes)
            if found != digest:
                part.unlink(missing_ok=True)
                raise Tampered(f"what the cloud sends as {digest} is {found}")
            size = await asyncio.to_thread(_moved, part, to)
        except OSError as error:
            raise Unavailable(f"{digest} cannot be kept: {error.strerror}") from error
        EVENTS.info("artifact_fetched", digest=digest, bytes=size)
        return size

    def forget(self, keep: frozenset[str]) -> None:
        """Remove what was begun of all artifacts but these."""
        kept = {f"{digest.removeprefix('sha256:')}.part" for digest in keep}
        with contextlib.suppress(FileNotFoundError):
            for path in self._folder.glob("*.part"):
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    async def _fetched(self, digest: str, part: Path, most_bytes: int) -> str:
        """Fetch the rest of an artifact, and return the digest of what is there then."""
        file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            offset = os.fstat(file).st_size
            source = self._source()
            try:
                offset = await self._read(source, digest, file, offset, most_bytes)
            except BadInput:
                if not offset:
                    raise
                # It has fewer bytes than were begun: they were of something else.
                os.ftruncate(file, 0)
                offset = await self._read(source, digest, file, 0, most_bytes)
            await asyncio.to_thread(self._disk.sync, file)
        finally:
            os.close(file)
        return await asyncio.to_thread(_digest_of, part)

    async def _read(
        self, source: ArtifactSource, digest: str, file: int, offset: int, most_bytes: int
    ) -> int:
        synced, whole = offset, -1
        async with contextlib.aclosing(source.pieces(digest, offset)) as pieces:  # type: ignore[type-var]
            async for data, size in pieces:
                if size > most_bytes:
                    raise BadInput(f"{digest} has {size} bytes, and {most_bytes} are allowed")
                if offset + len(data) > size:
                    raise Tampered(f"more than the {size} bytes of {digest} were sent")
                if data and not await self._pay(len(data)):
                    raise Unavailable(f"the budget does not have {len(data)} bytes of {digest} now")
                whole = size
                await asyncio.to_thread(self._disk.write, file, data, offset)
                offset += len(data)
                if offset - synced >= SYNC_BYTES:
                    await asyncio.to_thread(self._disk.sync, file)
                    synced = offset
        if offset != whole:
            raise Unavailable(f"{offset} of {whole} bytes of {digest} have come: it goes on later")
        return offset


def _size_if(path: Path, digest: str) -> int | None:
    """Return the size in bytes of a file that is an artifact, None when it is not."""
    return path.stat().st_size if path.is_file() and _digest_of(path) == digest else None


def _moved(part: Path, to: Path) -> int:
    """Give an artifact its place, durably, and return its size in bytes."""
    to.parent.mkdir(parents=True, exist_ok=True)
    part.replace(to)
    sync_directory(to.parent)
    return to.stat().st_size


def _digest_of(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_PIECE):
            found.update(data)
    return f"sha256:{found.hexdigest()}"
