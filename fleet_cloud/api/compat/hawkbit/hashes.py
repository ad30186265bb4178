"""The hashes that hawkBit's clients know files by, taken once for each file and kept.

Rule 1: what a file is stays its SHA-256; MD5 and SHA-1 are computed for clients that compare nothing else.
"""

import hashlib

from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.ports import NotFound
from fleet_cloud.rollouts.foreign.model import Hashes
from fleet_cloud.rollouts.foreign.ports import Document, Kind, found, written

_PIECE_BYTES = 1 << 20


class Hashing:
    """Bytes that pass by, hashed in all ways at once."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        # For comparing with what others say; nothing is trusted for it.
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._length = 0

    def update(self, data: bytes) -> None:
        """Take more bytes."""
        for one in (self._sha256, self._sha1, self._md5):
            one.update(data)
        self._length += len(data)

    def hashes(self) -> Hashes:
        """Return what has passed by."""
        return Hashes(
            self._sha256.hexdigest(),
            self._sha1.hexdigest(),
            self._md5.hexdigest(),
            self._length,
        )


def hashes_of(ports: HawkbitPorts, tenant: str, sha256: str) -> Hashes:
    """Return the hashes of a file that a tenant has.  Raises NotFound, Unavailable."""
    digest = f"sha256:{sha256}"
    kept = found(ports.documents, tenant, Kind.HASHES, sha256, Hashes)
    if kept is not None:
        return kept
    size = ports.device.holdings.held(tenant, digest)
    if size is None or ports.device.artifacts.size(digest) is None:
        raise NotFound(f"no bytes are kept here as {sha256}: publish them first")
    hashing, at = Hashing(), 0
    while at < size:
        data = ports.device.artifacts.read(digest, at, _PIECE_BYTES)
        hashing.update(data)
        at += len(data) or size
    fresh = hashing.hashes()
    keep(ports, tenant, fresh)
    return fresh


def keep(ports: HawkbitPorts, tenant: str, hashes: Hashes) -> None:
    """Keep the hashes of a file; who was quicker kept the same."""
    ports.documents.put(tenant, Document(Kind.HASHES, hashes.sha256, written(hashes)))
