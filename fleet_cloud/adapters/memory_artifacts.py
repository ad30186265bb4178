"""Artifacts in memory, for trials and tests: nothing outlives the process."""

import hashlib
import threading

from fairway.errors import BadInput, Tampered
from fleet_cloud.artifacts.ports import ARTIFACT_MAX_BYTES, artifact_digest


class MemoryArtifacts:
    """Keeps artifacts."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def receive(self, digest: str, most_bytes: int = ARTIFACT_MAX_BYTES) -> "_Memory":
        return _Memory(artifact_digest(digest), most_bytes, self.kept)

    def size(self, digest: str) -> int | None:
        found = self.kept.get(artifact_digest(digest))
        return None if found is None else len(found)

    def read(self, digest: str, offset: int, most_bytes: int) -> bytes:
        found = self.kept.get(artifact_digest(digest))
        if found is None:
            raise BadInput(f"{digest} is not kept here")
        return found[offset : offset + most_bytes]


class _Memory:
    """One artifact that is being written."""

    def __init__(self, digest: str, most_bytes: int, kept: dict[str, bytes]) -> None:
        self._digest, self._most_bytes, self._kept = digest, most_bytes, kept
        self._bytes = bytearray()

    def write(self, data: bytes) -> None:
        if len(self._bytes) + len(data) > self._most_bytes:
            raise BadInput(f"{self._digest} has more than {self._most_bytes} bytes")
        self._bytes += data

    def finish(self) -> int:
        found = f"sha256:{hashlib.sha256(self._bytes).hexdigest()}"
        if found != self._digest:
            raise Tampered(f"what was sent as {self._digest} is {found}")
        self._kept[self._digest] = bytes(self._bytes)
        return len(self._bytes)

    def abandon(self) -> None:
        self._bytes.clear()


class MemoryHoldings:
    """Knows whose artifacts are kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], int] = {}

    def hold(self, tenant: str, digest: str, size_bytes: int, now_ns: int) -> None:
        del now_ns
        with self._lock:
            self._held.setdefault((tenant, digest), size_bytes)

    def held(self, tenant: str, digest: str) -> int | None:
        with self._lock:
            return self._held.get((tenant, digest))
