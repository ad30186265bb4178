"""Which vehicle is to run what, worked out in memory from campaigns, facts and the fleet.

    campaigns --target--> vehicles --percent--> orders of one vehicle --digest--> is its list still right?

Rule 1: a campaign is found by what it is aimed at: a change costs its own vehicles, not the fleet.
Rule 2: a digest names the content of a list; the same content is never sent for news.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from fairway.control import CampaignOrder, StateTemplate
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import Facts, Kept, Target, TargetKind
from fleet_cloud.campaigns.query import Test, parse
from fleet_cloud.campaigns.stages import is_reached

# The digest of a list with nothing in it, which is what a vehicle has that was never told anything.
NOTHING = ""


class Key(NamedTuple):
    """A campaign, a vehicle or a template of a tenant."""

    tenant: str
    name: str


_NO_FACTS = Facts()


class Plan:
    """What runs where; `tenants` names the tenant of every vehicle that may connect."""

    def __init__(self, tenants: Callable[[], Mapping[str, str]]) -> None:
        self._tenants = tenants
        self._campaigns: dict[Key, Kept] = {}
        self._tests: dict[Key, Test] = {}
        self._facts: dict[Key, Facts] = {}
        self._of_vehicle: dict[Key, set[Key]] = {}  # aimed at one vehicle
        self._of_fleet: dict[Key, set[Key]] = {}
        self._by_query: dict[str, set[Key]] = {}
        self._members: dict[Key, set[str]] = {}  # of a fleet

    def put(self, kept: Kept) -> set[str]:
        """Take a campaign in, as it is now, and return the vehicles that may be concerned."""
        key = Key(kept.tenant, kept.name)
        before = self._campaigns.pop(key, None)
        concerned = set(self.targets(before)) if before else set()
        if before:
            self._index(before).discard(key)
            self._tests.pop(key, None)
        if kept.state.is_in_vehicles:
            self._campaigns[key] = kept
            self._index(kept).add(key)
            if kept.target.kind is TargetKind.QUERY:
                self._tests[key] = parse(kept.target.text)
            concerned |= set(self.targets(kept))
        return concerned

    def put_facts(self, tenant: str, vehicle: str, facts: Facts) -> None:
        """Take in what is known of a vehicle now."""
        key = Key(tenant, vehicle)
        for fleet in self._facts.get(key, _NO_FACTS).fleets:
            self._members[Key(tenant, fleet)].discard(vehicle)
        self._facts[key] = facts
        for fleet in facts.fleets:
            self._members.setdefault(Key(tenant, fleet), set()).add(vehicle)

    def targets(self, kept: Kept) -> Iterator[str]:
        """Return the vehicles that a campaign is aimed at, whatever its share."""
        return self.aimed_at(kept.tenant, kept.target)

    def aimed_at(self, tenant: str, target: Target) -> Iterator[str]:
        """Return the vehicles of `tenant` that may connect and that `target` means."""
        tenants = self._tenants()
        named: Iterable[str] = (target.text,)
        match target.kind:
            case TargetKind.FLEET:
                named = self._members.get(Key(tenant, target.text), ())
            case TargetKind.QUERY:
                test = parse(target.text)
                named = (one for one in tenants if test(self._known(tenant, one)))
        return (one for one in named if tenants.get(one) == tenant)

    def facts(self, tenant: str, vehicle: str) -> Facts:
        """Return what is known of a vehicle."""
        return self._facts.get(Key(tenant, vehicle), _NO_FACTS)

    def running(self) -> list[Kept]:
        """Return every campaign that vehicles are told of."""
        return list(self._campaigns.values())

    def orders(self, tenant: str, vehicle: str) -> tuple[CampaignOrder, ...]:
        """Return what a vehicle is to run, in order of name."""
        found = [
            kept
            for kept in self._aimed(tenant, vehicle)
            if is_reached(kept.name, vehicle, kept.percent)
        ]
        return tuple(
            CampaignOrder(kept.sync_id, kept.campaign, kept.state is State.SUSPENDED)
            for kept in sorted(found, key=lambda one: one.name)
        )

    def _aimed(self, tenant: str, vehicle: str) -> Iterator[Kept]:
        facts = self.facts(tenant, vehicle)
        keys = set(self._of_vehicle.get(Key(tenant, vehicle), ()))
        for fleet in facts.fleets:
            keys |= self._of_fleet.get(Key(tenant, fleet), set())
        known = self._known(tenant, vehicle)
        keys |= {key for key in self._by_query.get(tenant, ()) if self._tests[key](known)}
        return (self._campaigns[key] for key in keys)

    def _known(self, tenant: str, vehicle: str) -> Mapping[str, str | float | bool]:
        return {**self.facts(tenant, vehicle).attributes, "id": vehicle}

    def _index(self, kept: Kept) -> set[Key]:
        match kept.target.kind:
            case TargetKind.VEHICLE:
                return self._of_vehicle.setdefault(Key(kept.tenant, kept.target.text), set())
            case TargetKind.FLEET:
                return self._of_fleet.setdefault(Key(kept.tenant, kept.target.text), set())
            case TargetKind.QUERY:
                return self._by_query.setdefault(kept.tenant, set())


def digest(orders: Iterable[CampaignOrder]) -> str:
    """Return the name of a list's content."""
    said = "\n".join(f"{order.sync_id} {int(order.is_suspended)}" for order in orders)
    return hashlib.sha256(said.encode()).hexdigest()[:32] if said else NOTHING


def templates_digest(templates: Iterable[StateTemplate]) -> str:
    """Return the name of a list of templates."""
    said = "\n".join(f"{one.name} {one.period_ms} {' '.join(one.signals)}" for one in templates)
    return hashlib.sha256(said.encode()).hexdigest()[:32] if said else NOTHING
