"""Which vehicle is to run what, worked out in memory from campaigns, facts and the fleet.

    campaigns --target--> vehicles --percent--> orders of one vehicle --digest--> is its list still right?

Rule 1: a digest names the content of a list; the same content is never sent for news.
"""

import hashlib
from collections.abc import Iterable, Iterator

from fairway.control import CampaignOrder, StateTemplate
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import Kept
from fleet_cloud.campaigns.stages import is_reached
from fleet_cloud.control.aims import NOTHING, Aims, Fleets, Key


class Plan:
    """What runs where."""

    def __init__(self, fleets: Fleets) -> None:
        self._fleets = fleets
        self._aims = Aims(fleets)
        self._campaigns: dict[Key, Kept] = {}

    def put(self, kept: Kept) -> set[str]:
        """Take a campaign in, as it is now, and return the vehicles that may be concerned."""
        key = Key(kept.tenant, kept.name)
        before = self._campaigns.pop(key, None)
        concerned = set(self.targets(before)) if before else set()
        if before:
            self._aims.discard(key, before.target)
        if kept.state.is_in_vehicles:
            self._campaigns[key] = kept
            self._aims.add(key, kept.target)
            concerned |= set(self.targets(kept))
        return concerned

    def targets(self, kept: Kept) -> Iterator[str]:
        """Return the vehicles that a campaign is aimed at, whatever its share."""
        return self._fleets.meant(kept.tenant, kept.target)

    def running(self) -> list[Kept]:
        """Return every campaign that vehicles are told of."""
        return list(self._campaigns.values())

    def orders(self, tenant: str, vehicle: str) -> tuple[CampaignOrder, ...]:
        """Return what a vehicle is to run, in order of name."""
        aimed = (self._campaigns[key] for key in self._aims.at(tenant, vehicle))
        found = [kept for kept in aimed if is_reached(kept.name, vehicle, kept.percent)]
        return tuple(
            CampaignOrder(kept.sync_id, kept.campaign, kept.state is State.SUSPENDED)
            for kept in sorted(found, key=lambda one: one.name)
        )


def digest(orders: Iterable[CampaignOrder]) -> str:
    """Return the name of a list's content."""
    said = "\n".join(f"{order.sync_id} {int(order.is_suspended)}" for order in orders)
    return hashlib.sha256(said.encode()).hexdigest()[:32] if said else NOTHING


def templates_digest(templates: Iterable[StateTemplate]) -> str:
    """Return the name of a list of templates."""
    said = "\n".join(f"{one.name} {one.period_ms} {' '.join(one.signals)}" for one in templates)
    return hashlib.sha256(said.encode()).hexdigest()[:32] if said else NOTHING
