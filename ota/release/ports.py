"""Where releases are published to: a fleet-cloud, a bucket, a folder.

Rule 1: bytes are named by their SHA-256 and come before the metadata that names them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ota.manifest import Blob


class Shelf(Protocol):
    """Keeps bytes.  Contract: tests/contracts/test_release_place.py."""

    def holds(self, blob: Blob) -> bool:
        """Whether these bytes are there, whole.  Raises Unavailable, Denied."""
        ...

    def send(self, blob: Blob, path: Path) -> None:
        """Keep the bytes in a file; twice is once.  Raises Unavailable, Denied, BadInput, Tampered."""
        ...


class Catalogue(Protocol):
    """Keeps metadata.  Contract: tests/contracts/test_release_place.py."""

    def file(self, name: str) -> bytes | None:
        """Return a file as it was published, None when there is none.  Raises Unavailable, Denied."""
        ...

    def publish(self, files: Mapping[str, bytes]) -> None:
        """Publish files that belong together: afterwards all of them count, or none does.

        Raises Unavailable, Denied, Conflict when another was faster, BadInput or Tampered for what is refused.
        """
        ...


class Place(Shelf, Catalogue, Protocol):
    """One that keeps both."""
