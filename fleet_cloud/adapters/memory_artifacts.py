"""Artifacts in memory, for trials and tests: nothing outlives the process."""

import hashlib
import threading

from fairway.errors import BadInput, Tampered
from fleet_cloud.artifacts.ports import ARTIFACT_MAX_BYTES, artifact_digest
from fleet_cloud.artifacts.tidying import Holding


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

    def remove(self, digest: str) -> None:
        """Remove an artifact; one that is not there is no error.  Raises BadInput."""
        self.kept.pop(artifact_digest(digest), None)


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
        self._kept_ns: dict[tuple[str, str], int] = {}

    def hold(self, tenant: str, digest: str, size_bytes: int, now_ns: int) -> None:
        with self._lock:
            if (tenant, digest) not in self._held:
                self._held[tenant, digest] = size_bytes
                self._kept_ns[tenant, digest] = now_ns

    def held(self, tenant: str, digest: str) -> int | None:
        with self._lock:
            return self._held.get((tenant, digest))

    def holdings(self, tenant: str) -> list[Holding]:
        """Return what a tenant has, in order of digest."""
        with self._lock:
            return [
                Holding(digest, size, self._kept_ns[of, digest])
                for (of, digest), size in sorted(self._held.items())
                if of == tenant
            ]

    def let_go(self, tenant: str, digest: str) -> None:
        """Note that a tenant has an artifact no more."""
        with self._lock:
            self._held.pop((tenant, digest), None)

    def is_held(self, digest: str) -> bool:
        """Return whether any tenant has an artifact."""
        with self._lock:
            return any(of == digest for _, of in self._held)
