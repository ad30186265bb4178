"""What reading the audit log needs of the world."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from fleet_cloud.audit.chain import Entry, Head


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are meant; empty texts and None mean any."""

    tenants: frozenset[str] | None = None
    actor: str = ""
    action: str = ""  # the beginning of it: `vehicle.` means all that was done to vehicles
    object: str = ""
    from_ns: int = 0
    to_ns: int = 2**63 - 1

    def means(self, entry: Entry) -> bool:
        """Whether `entry` is meant."""
        act = entry.act
        return (
            (self.tenants is None or act.tenant in self.tenants)
            and self.actor in ("", act.actor)
            and act.action.startswith(self.action)
            and self.object in ("", act.object)
            and self.from_ns <= entry.time_ns < self.to_ns
        )


class AuditReader(Protocol):
    """Reads the log.  Contract: tests/contracts/test_audit.py."""

    def newest(
        self, wanted: Wanted, *, limit: int = 100, before: int | None = None
    ) -> list[tuple[int, Entry]]:
        """Return entries with their place in the log, the newest before `before` first.  Raises Unavailable."""
        ...

    def chain(self, tenant: str, after: int = 0) -> Iterator[Entry]:
        """Return a tenant's entries behind one, in order.  Raises Unavailable, Tampered."""
        ...

    def tenants(self) -> list[str]:
        """Return whose entries there are, head or no head.  Raises Unavailable."""
        ...

    def heads(self) -> list[Head]:
        """Return the head of every chain of the region.  Raises Unavailable."""
        ...
