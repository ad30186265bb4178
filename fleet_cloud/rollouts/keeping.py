"""What rollouts need of the world: somewhere durable for what is wished and done, and facts of vehicles.

    people --Rollouts--> kept <--Advancing-- the worker          doors --Offers, Director--> kept

Rule 1: whatever changes is recorded in the same transaction: rollouts/records.py.
Rule 2: a rollout is advanced by whoever holds its lease, and a change is made to the version that was looked
at: two processes never do the same twice.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fairway.update import Stage
from fleet_cloud.control.ports import PAGE_MAX
from fleet_cloud.control.query import Value
from fleet_cloud.control.targets import Facts as VehicleFacts
from fleet_cloud.rollouts.decide import Act, Facts
from fleet_cloud.rollouts.model import Content, Counts, Kept, VehicleKept, WaveKept
from fleet_cloud.rollouts.records import Fact

__all__ = ["PAGE_MAX"]


@dataclass(frozen=True, slots=True)
class Lease:
    """Who advances a rollout, and until when."""

    owner: str
    until_ns: int


class Rollouts(Protocol):
    """Keeps rollouts.  Contract: tests/contracts/test_rollouts.py."""

    def add(self, kept: Kept, facts: Sequence[Fact]) -> None:
        """Keep a new rollout.  Raises Conflict when there is one of that id, Unavailable."""
        ...

    def change(self, kept: Kept, facts: Sequence[Fact], waves: Sequence[WaveKept] = ()) -> bool:
        """Put `kept`, whose version is one above the one it was made from, in that one's place.

        False: somebody else has changed it since.  Raises Unavailable.
        """
        ...

    def retry(self, kept: Kept, facts: Sequence[Fact]) -> int | None:
        """Do what `change` does, and plan those again who failed or declined; return how many.

        None: somebody else has changed it since.  Versions that failed in a vehicle are not tried again.
        """
        ...

    def rollout(self, tenants: Collection[str] | None, id_: str) -> Kept | None:
        """Return a rollout of `tenants` (None: of any).  Raises Unavailable."""
        ...

    def rollouts(
        self, *, tenants: Collection[str] | None = None, after: str = "", limit: int = PAGE_MAX
    ) -> list[Kept]:
        """Return rollouts, newest first; `after` is `<created_time_ns>/<id>`.  Raises Unavailable."""
        ...


class Standings(Protocol):
    """Tells how far rollouts are.  Contract: tests/contracts/test_rollouts.py."""

    def waves(self, kept: Kept) -> tuple[WaveKept, ...]:
        """Return the waves of a rollout, in order.  Raises Unavailable."""
        ...

    def counts(self, kept: Kept) -> Mapping[int, Counts]:
        """Return how many vehicles of each wave stand where.  Raises Unavailable."""
        ...

    def vehicles(
        self,
        kept: Kept,
        *,
        after: str = "",
        stage: Stage | None = None,
        wave: int | None = None,
        limit: int = PAGE_MAX,
    ) -> list[VehicleKept]:
        """Return vehicles of a rollout, in order of id.  Raises Unavailable."""
        ...

    def of_vehicle(
        self, tenant: str, vehicle: str, *, limit: int = PAGE_MAX
    ) -> list[tuple[Kept, VehicleKept]]:
        """Return the rollouts that a vehicle is or was in, newest first.  Raises Unavailable."""
        ...


class Advancing(Protocol):
    """Moves rollouts on.  Contract: tests/contracts/test_rollouts.py."""

    def claim(self, lease: Lease, now_ns: int) -> Kept | None:
        """Lease a rollout that is to be looked at and that nobody else holds, None when there is none."""
        ...

    def facts(self, kept: Kept, now_ns: int) -> Facts:
        """Return what is known of a rollout's vehicles, but for their health.  Raises Unavailable."""
        ...

    def act(self, kept: Kept, act: Act, lease: Lease, now_ns: int) -> Sequence[str]:
        """Do something, whole or not at all; return the vehicles that it is news to.

        Raises Conflict when somebody else has changed the rollout since, Unavailable.
        """
        ...


class FleetPages(Protocol):
    """Looks through the fleet.  Contract: tests/contracts/test_rollouts.py."""

    def page(self, tenant: str, after: str, limit: int) -> list[tuple[str, VehicleFacts]]:
        """Return vehicles that may connect, in order of id, with what is known of them.  Raises Unavailable."""
        ...


class LastValues(Protocol):
    """Knows what vehicles said last.  Contract: tests/contracts/test_rollouts.py."""

    def last(self, tenant: str, vehicle: str, since_ns: int) -> Mapping[str, Value]:
        """Return the last value of each signal that is newer than a time.  Raises Unavailable."""
        ...


class Bundles(Protocol):
    """Knows what can be rolled out."""

    def content(self, tenant: str, path: str) -> Content:
        """Return the bundle at a path as it is now.  Raises BadInput when there is none, Unavailable."""
        ...
