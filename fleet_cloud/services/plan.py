"""Which services each vehicle is to run, worked out in memory from what is desired of whom.

    desired --target--> the vehicle --merge--> one content for each service --digest--> is its list still right?

Rule 1: what is desired of the vehicle itself goes before what is desired of its fleets, and that before what a
        query means.
Rule 2: two of one rank that want different contents are a conflict: the one that was there first holds, so that
        a mistake changes nothing in a vehicle, and whoever looks is told.
Rule 3: the same content is never sent for news.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from fairway.control import ServiceOrder
from fleet_cloud.control.aims import NOTHING, Aims, Fleets, Key
from fleet_cloud.control.targets import TargetKind
from fleet_cloud.services.model import Content, Kept

_RANKS = {TargetKind.VEHICLE: 0, TargetKind.FLEET: 1, TargetKind.QUERY: 2}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a vehicle is to run of one service, and what else was desired of it."""

    kept: Kept
    content: Content
    overridden: tuple[Kept, ...] = ()  # of a lower rank
    conflicting: tuple[Kept, ...] = ()  # of the same rank, with another content

    @property
    def conflict(self) -> str:
        """One sentence, or nothing."""
        if not self.conflicting:
            return ""
        others = ", ".join(f"{one.target.kind} {one.target.text}" for one in self.conflicting)
        mine = self.kept.target
        return (
            f"{self.kept.name} {self.content.version} of {mine.kind} {mine.text} holds, as it was there first;"
            f" {others} want another: remove one of them, or say what the vehicle itself is to run"
        )


class ServicePlan:
    """What runs where."""

    def __init__(self, fleets: Fleets) -> None:
        self._fleets = fleets
        self._aims = Aims(fleets)
        self._kept: dict[Key, Kept] = {}

    def put(self, kept: Kept) -> set[str]:
        """Take something desired in, as it is now, and return the vehicles that may be concerned."""
        key = Key(kept.tenant, kept.id)
        before = self._kept.pop(key, None)
        concerned = set[str]()
        if before is not None:
            concerned |= set(self._fleets.meant(before.tenant, before.target))
            self._aims.discard(key, before.target)
        if kept.state.is_in_vehicles:
            self._kept[key] = kept
            self._aims.add(key, kept.target)
            concerned |= set(self._fleets.meant(kept.tenant, kept.target))
        return concerned

    def chosen(self, tenant: str, vehicle: str) -> tuple[Chosen, ...]:
        """Return what a vehicle is to run, in order of service."""
        return merged(self._kept[key] for key in self._aims.at(tenant, vehicle))


def merged(desired: Iterable[Kept]) -> tuple[Chosen, ...]:
    """Return one choice for each service out of all that is desired of one vehicle."""
    by_name: dict[str, list[tuple[Kept, Content]]] = {}
    for kept in desired:
        if kept.in_force is not None:
            by_name.setdefault(kept.name, []).append((kept, kept.in_force))
    return tuple(_chosen(by_name[name]) for name in sorted(by_name))


def _chosen(some: list[tuple[Kept, Content]]) -> Chosen:
    some.sort(key=lambda one: (_rank(one[0]), one[0].created_time_ns, one[0].id))
    kept, content = some[0]
    rest = some[1:]
    return Chosen(
        kept,
        content,
        tuple(other for other, _ in rest if _rank(other) > _rank(kept)),
        tuple(
            other
            for other, wanted in rest
            if _rank(other) == _rank(kept) and wanted.sync_id != content.sync_id
        ),
    )


def _rank(kept: Kept) -> int:
    return _RANKS[kept.target.kind]


def orders(chosen: Iterable[Chosen]) -> tuple[ServiceOrder, ...]:
    """Return what a vehicle is told."""
    return tuple(ServiceOrder(one.content.sync_id, one.content.manifest) for one in chosen)


def digest(some: Iterable[ServiceOrder], artifacts_url: str) -> str:
    """Return the name of a list's content.

    Where images are is worth a list without orders: services come by releases, too, and need it.
    """
    said = "\n".join(order.sync_id for order in some)
    is_worth = said or artifacts_url
    return (
        hashlib.sha256(f"{artifacts_url}\n{said}".encode()).hexdigest()[:32]
        if is_worth
        else NOTHING
    )
