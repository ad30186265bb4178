"""A place in memory: for tests, and for trying a release out without a place."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from fairway.errors import Tampered
from ota.manifest import Blob


class MemoryPlace:
    """Keeps what is published for as long as it lives."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}

    def holds(self, blob: Blob) -> bool:
        return len(self.blobs.get(blob.sha256, b"")) == blob.length and blob.sha256 in self.blobs

    def send(self, blob: Blob, path: Path) -> None:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != blob.sha256:
            raise Tampered(f"{path} holds other bytes than those of {blob.sha256}")
        self.blobs[blob.sha256] = data

    def file(self, name: str) -> bytes | None:
        return self.files.get(name)

    def publish(self, files: Mapping[str, bytes]) -> None:
        self.files |= files
