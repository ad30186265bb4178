"""Where vehicles are told that there is something new to install: a notice, and nothing of what it is.

    heard(messages)   a check-in that takes notices, of who holds an order or had no notice yet -> a notice
    refresh()         orders that changed -> the vehicles concerned
    push(vehicles)    notices for those that take them

Rule 1: a vehicle that has not said that it takes notices is sent none: it asks by itself.
Rule 2: a notice twice is no harm: every process may send it to whom it reaches.
Rule 3: who never had a notice does not know where the door is, and nobody knows its ECUs, without which nothing
can be ordered for it: it is called once.
Rule 4: one thread at a time, the same that answers about campaigns.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from fairway.control import CheckIn, UpdateNotice
from fleet_cloud.control.listing import Heard, Told
from fleet_cloud.control.ports import Vehicle

# The revision of a notice where there is no plan yet: a vehicle that says 0 had no notice.
FIRST = 1


class Changes(Protocol):
    """Knows whose orders changed.  Contract: tests/contracts/test_offers.py."""

    def changed(self, after: int, until: int) -> list[tuple[str, str]]:
        """Return (tenant, vehicle) of those whose order changed between two revisions of the plan."""
        ...

    def holding(self, tenant: str, vehicles: Collection[str]) -> set[str]:
        """Return those that hold an order.  Raises Unavailable."""
        ...


class Listeners(Protocol):
    """Knows who takes notices.  Contract: tests/contracts/test_director.py."""

    def note_listening(self, said: Mapping[tuple[str, str], bool]) -> None:
        """Note which vehicles, by tenant and id, take notices of updates.  Raises Unavailable."""
        ...

    def listening(self, tenant: str, vehicles: Collection[str]) -> set[str]:
        """Return those that take notices of updates.  Raises Unavailable."""
        ...


class NoticeDesk:
    """Tells vehicles to look."""

    def __init__(self, changes: Changes, listeners: Listeners, url: Callable[[], str]) -> None:
        """`url` says where the door for updates is; "" where vehicles know it."""
        self._changes, self._listeners, self._url = changes, listeners, url
        self._noted: dict[Vehicle, bool] = {}
        self._pending: set[Vehicle] = set()
        self.revision: int | None = None  # of the plan, as far as it is known here

    def refresh(self, revision: int) -> set[Vehicle]:
        """Return the vehicles whose orders changed until a revision of the plan.  Raises Unavailable."""
        if self.revision is None:  # what was before, vehicles hear when they check in
            self.revision = revision
        if revision == self.revision:
            return set()
        changed = self._changes.changed(self.revision, revision)
        self.revision = revision
        found = {Vehicle(tenant, name) for tenant, name in changed}
        self._pending |= found
        return found

    def push(self, vehicles: Collection[Vehicle]) -> list[Told]:
        """Return notices for those whose orders changed and that take them.  Raises Unavailable."""
        news = self._pending.intersection(vehicles)
        notice = UpdateNotice(self._url(), self.revision or 0)
        told = [
            Told(Vehicle(tenant, name), notice)
            for tenant, names in _by_tenant(news).items()
            for name in sorted(self._listeners.listening(tenant, names))
        ]
        self._pending -= news
        return told

    def heard(self, heard: Sequence[Heard]) -> list[Told]:
        """Note who takes notices; return those for who holds an order, or had none yet.  Raises Unavailable."""
        said: dict[Vehicle, int | None] = {}
        for one in heard:
            if isinstance(one.noun, CheckIn):
                said[one.vehicle] = one.noun.updates_revision
        fresh = {
            vehicle: at is not None
            for vehicle, at in said.items()
            # Who takes none, and never did, is not worth a row.
            if self._noted.get(vehicle, False) != (at is not None)
        }
        if fresh:
            self._listeners.note_listening({(of.tenant, of.name): is_ for of, is_ in fresh.items()})
            self._noted |= fresh
        takers = [vehicle for vehicle, at in said.items() if at is not None]
        notice = UpdateNotice(self._url(), max(self.revision or 0, FIRST))
        new = {vehicle.name for vehicle in takers if said[vehicle] == 0} if notice.url else set()
        return [
            Told(Vehicle(tenant, name), notice)
            for tenant, names in _by_tenant(takers).items()
            for name in sorted(self._changes.holding(tenant, names) | new.intersection(names))
        ]


def _by_tenant(vehicles: Collection[Vehicle]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for vehicle in vehicles:
        found.setdefault(vehicle.tenant, []).append(vehicle.name)
    return found
