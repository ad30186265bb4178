"""What the agent remembers of its campaigns over a restart: small records, each replaced whole."""

from typing import Protocol


class Kept(Protocol):
    """Keeps records by name.  Contract: tests/contracts/test_kept.py."""

    def read(self, name: str) -> bytes | None:
        """Return the record, whole, as it was last kept; None when there is none."""
        ...

    def keep(self, name: str, record: bytes) -> None:
        """Return once the record is durable.  Raises Unavailable, and then the one before is still there."""
        ...
