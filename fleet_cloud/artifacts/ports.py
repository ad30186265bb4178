"""Large files for vehicles: whatever is named by the SHA-256 of its content, kept once.

    bytes --Receiving--> the store (one copy) + holdings (whose) --read--> a vehicle of that tenant

Rule 1: a file is there whole and right, or not at all.
Rule 2: who has a file is another's question than whether it is there: a tenant has what it brought itself.
"""

import re
from typing import Protocol

from fairway.errors import BadInput

# An image of a whole partition; a layer of a service is some megabytes.
ARTIFACT_MAX_BYTES = 16 << 30
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def artifact_digest(text: str) -> str:
    """Return `text` if it names an artifact.  Raises BadInput."""
    if not _DIGEST.fullmatch(text):
        raise BadInput(f"{text[:80]!r} is no digest: sha256: and 64 hex digits")
    return text


class Receiving(Protocol):
    """An artifact that is being written; one thread at a time."""

    def write(self, data: bytes) -> None:
        """Add bytes.  Raises BadInput when there are too many, Unavailable when there is no room."""
        ...

    def finish(self) -> int:
        """Return the size in bytes once the artifact is durable.

        Raises Tampered when it is not the one that was announced, Unavailable; then nothing of it is left.
        """
        ...

    def abandon(self) -> None:
        """Leave nothing of it; after `finish` nothing happens."""
        ...


class Artifacts(Protocol):
    """Keeps artifacts.  Contract: tests/contracts/test_artifacts.py."""

    def receive(self, digest: str, most_bytes: int = ARTIFACT_MAX_BYTES) -> Receiving:
        """Begin to write an artifact.  Raises BadInput for what is no digest, Unavailable."""
        ...

    def size(self, digest: str) -> int | None:
        """Return the size in bytes of an artifact that is there.  Raises BadInput, Unavailable."""
        ...

    def read(self, digest: str, offset: int, most_bytes: int) -> bytes:
        """Return bytes from an offset on; none at the end, fewer than asked only there.

        Raises BadInput when it is not there, Unavailable.
        """
        ...


class Holdings(Protocol):
    """Knows whose artifacts are kept.  Contract: tests/contracts/test_artifacts.py."""

    def hold(self, tenant: str, digest: str, size_bytes: int, now_ns: int) -> None:
        """Note that a tenant has an artifact.  Raises Unavailable."""
        ...

    def held(self, tenant: str, digest: str) -> int | None:
        """Return the size in bytes of an artifact that a tenant has.  Raises Unavailable."""
        ...
