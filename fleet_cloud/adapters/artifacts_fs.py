"""Artifacts in a folder: one file for each, called by its digest.

    <folder>/sha256/ab/abcd...          whole and right
    <folder>/incoming/<random>          being written; what a crash leaves there is swept at a later start

Rule 1: a file gets its name when its content is durable and has that digest, and not before.
Rule 2: several processes may write the same artifact at once: whoever is last replaces it by the same bytes.
Rule 3: room is kept for the rest of the cloud: an artifact is refused before the disk is full.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from pathlib import Path

from fairway.errors import BadInput, Tampered, Unavailable
from fleet_cloud.artifacts.ports import ARTIFACT_MAX_BYTES, artifact_digest

# The registry, the audit log and the telemetry of some minutes.
ROOM_KEPT_BYTES = 256 << 20
# An upload that stood still for so long is nobody's any more, whichever process began it.
STALE_S = 86_400
_ROOM_STEP_BYTES = 16 << 20


class FileArtifacts:
    """Keeps artifacts in a folder."""

    def __init__(self, folder: Path, *, room_kept_bytes: int = ROOM_KEPT_BYTES) -> None:
        """Make what is missing.  Raises Unavailable."""
        self._kept, self._incoming = folder / "sha256", folder / "incoming"
        self._room_kept_bytes = room_kept_bytes
        try:
            self._kept.mkdir(parents=True, exist_ok=True)
            self._incoming.mkdir(exist_ok=True)
            self._sweep()
        except OSError as error:
            raise Unavailable(f"cannot keep artifacts in {folder}: {error.strerror}") from error

    def receive(self, digest: str, most_bytes: int = ARTIFACT_MAX_BYTES) -> "_File":
        return _File(
            artifact_digest(digest),
            self._incoming / secrets.token_hex(16),
            self._path(digest),
            most_bytes,
            self._room_kept_bytes,
        )

    def size(self, digest: str) -> int | None:
        path = self._path(artifact_digest(digest))
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"cannot look at {digest}: {error.strerror}") from error

    def read(self, digest: str, offset: int, most_bytes: int) -> bytes:
        path = self._path(artifact_digest(digest))
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(most_bytes)
        except FileNotFoundError as error:
            raise BadInput(f"{digest} is not kept here") from error
        except OSError as error:
            raise Unavailable(f"cannot read {digest}: {error.strerror}") from error

    def remove(self, digest: str) -> None:
        """Remove an artifact; one that is not there is no error.  Raises BadInput, Unavailable."""
        try:
            self._path(artifact_digest(digest)).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"cannot remove {digest}: {error.strerror}") from error

    def _path(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        return self._kept / name[:2] / name

    def _sweep(self) -> None:
        old_s = time.time() - STALE_S  # noqa: TID251 - compared with the file system's own clock
        for path in self._incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < old_s:
                    path.unlink()


class _File:
    """One artifact that is being written."""

    def __init__(
        self, digest: str, path: Path, to: Path, most_bytes: int, room_kept_bytes: int
    ) -> None:
        self._digest, self._path, self._to = digest, path, to
        self._most_bytes, self._room_kept_bytes = most_bytes, room_kept_bytes
        self._hash = hashlib.sha256()
        self._bytes = self._looked_at = 0
        self._is_open = True
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            self._look(0)
        except OSError as error:
            raise self._unavailable(error) from error

    def write(self, data: bytes) -> None:
        if self._bytes + len(data) > self._most_bytes:
            raise BadInput(f"{self._digest} has more than {self._most_bytes} bytes")
        try:
            self._look(len(data))
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise self._unavailable(error) from error
        self._hash.update(data)
        self._bytes += len(data)

    def finish(self) -> int:
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._digest:
            self.abandon()
            raise Tampered(f"what was sent as {self._digest} is {found}")
        try:
            os.fsync(self._descriptor)
            is_new = not self._to.parent.exists()
            self._to.parent.mkdir(exist_ok=True)
            self._path.replace(self._to)
            _sync_folder(self._to.parent)
            if is_new:
                _sync_folder(self._to.parent.parent)
        except OSError as error:
            self.abandon()
            raise self._unavailable(error) from error
        self._close()
        return self._bytes

    def abandon(self) -> None:
        if self._is_open:
            self._close()
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self._descriptor)

    def _look(self, more_bytes: int) -> None:
        """Raise Unavailable when the disk has no room for this and for the rest of the cloud."""
        if self._bytes and self._bytes - self._looked_at < _ROOM_STEP_BYTES:
            return
        self._looked_at = self._bytes
        free = shutil.disk_usage(self._path.parent).free
        if free - more_bytes < self._room_kept_bytes:
            self.abandon()
            raise Unavailable(
                f"there is no room for artifacts: {free} bytes are free, and {self._room_kept_bytes} are kept"
            )

    def _unavailable(self, error: OSError) -> Unavailable:
        return Unavailable(f"cannot keep {self._digest}: {error.strerror}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
