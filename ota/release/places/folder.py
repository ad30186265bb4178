"""A place that is a folder: a web server's, a mount, a stick for the garage.

    metadata/NAME    blobs/SHA256    targets/PATH/SHA256.NAME   (the same bytes, as clients of TUF ask for them)

Rule 1: a file is there whole or not at all: written beside, made durable, then renamed.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tuf.api.metadata import Targets

from fairway.errors import BadInput, Tampered, Unavailable
from ota.manifest import Blob
from ota.release.folder import metadata_from
from ota.release.places.order import in_order


class FolderPlace:
    """A folder."""

    def __init__(self, path: Path) -> None:
        """Open or make it.  Raises BadInput when it cannot be one."""
        self._path = path
        try:
            for name in ("metadata", "blobs", "targets"):
                (path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{path} cannot be a place: {error.strerror}") from error

    def holds(self, blob: Blob) -> bool:
        path = self._path / "blobs" / blob.sha256
        return path.is_file() and path.stat().st_size == blob.length

    def send(self, blob: Blob, path: Path) -> None:
        to = self._path / "blobs" / blob.sha256
        fresh = to.with_name(f".{to.name}.new")
        found = hashlib.sha256()
        try:
            with path.open("rb") as source, fresh.open("wb") as file:
                while data := source.read(1 << 20):
                    found.update(data)
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if found.hexdigest() != blob.sha256:
                raise Tampered(f"{path} holds other bytes than those of {blob.sha256}")
            fresh.replace(to)
        except OSError as error:
            raise Unavailable(f"{to} cannot be written: {error.strerror}") from error
        finally:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)

    def file(self, name: str) -> bytes | None:
        try:
            return (self._path / "metadata" / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{name} cannot be read: {error.strerror}") from error

    def publish(self, files: Mapping[str, bytes]) -> None:
        for name, data in in_order(files):
            to = self._path / "metadata" / name
            fresh = to.with_name(f".{name}.new")
            try:
                self._link(name, data)
                with fresh.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(to)
            except OSError as error:
                raise Unavailable(f"{to} cannot be written: {error.strerror}") from error

    def _link(self, name: str, data: bytes) -> None:
        """Put bytes where clients of TUF look for them: beside their path, with their hash in front."""
        signed = metadata_from(data, name).signed
        if not isinstance(signed, Targets):
            return
        for path, target in signed.targets.items():
            sha256 = target.hashes.get("sha256", "")
            front, _, last = path.rpartition("/")
            to = self._path / "targets" / front / f"{sha256}.{last}"
            blob = self._path / "blobs" / sha256
            if to.exists() or not blob.is_file():
                continue
            to.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(blob, to)
            except OSError:  # a file system without links
                shutil.copyfile(blob, to)
