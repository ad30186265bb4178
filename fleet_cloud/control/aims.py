"""Which vehicles are meant, worked out in memory from what is known of them.

    fleet, facts --> Fleets --.
    things with targets ------+--> Aims --> the things aimed at one vehicle

Rule 1: a thing is found by what it is aimed at: a change costs its own vehicles, not the fleet.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from fleet_cloud.control.query import Test, Value, parse
from fleet_cloud.control.targets import Facts, Target, TargetKind

# The digest of a list with nothing in it, which is what a vehicle has that was never told anything.
NOTHING = ""


class Key(NamedTuple):
    """A thing, a vehicle or a fleet of a tenant."""

    tenant: str
    name: str


_NO_FACTS = Facts()


def means(target: Target, vehicle: str, facts: Facts) -> bool:
    """Whether a target means a vehicle of its tenant of which this is known."""
    match target.kind:
        case TargetKind.VEHICLE:
            return target.text == vehicle
        case TargetKind.FLEET:
            return target.text in facts.fleets
        case TargetKind.QUERY:
            return parse(target.text)({**facts.attributes, "id": vehicle})


class Fleets:
    """What is known of vehicles; `tenants` names the tenant of every vehicle that may connect."""

    def __init__(self, tenants: Callable[[], Mapping[str, str]]) -> None:
        self._tenants = tenants
        self._facts: dict[Key, Facts] = {}
        self._members: dict[Key, set[str]] = {}  # of a fleet

    def put(self, tenant: str, vehicle: str, facts: Facts) -> None:
        """Take in what is known of a vehicle now."""
        key = Key(tenant, vehicle)
        for fleet in self._facts.get(key, _NO_FACTS).fleets:
            self._members[Key(tenant, fleet)].discard(vehicle)
        self._facts[key] = facts
        for fleet in facts.fleets:
            self._members.setdefault(Key(tenant, fleet), set()).add(vehicle)

    def facts(self, tenant: str, vehicle: str) -> Facts:
        """Return what is known of a vehicle."""
        return self._facts.get(Key(tenant, vehicle), _NO_FACTS)

    def known(self, tenant: str, vehicle: str) -> Mapping[str, Value]:
        """Return what queries ask."""
        return {**self.facts(tenant, vehicle).attributes, "id": vehicle}

    def meant(self, tenant: str, target: Target) -> Iterator[str]:
        """Return the vehicles of `tenant` that may connect and that `target` means."""
        tenants = self._tenants()
        named: Iterable[str] = (target.text,)
        match target.kind:
            case TargetKind.FLEET:
                named = self._members.get(Key(tenant, target.text), ())
            case TargetKind.QUERY:
                test = parse(target.text)
                named = (one for one in tenants if test(self.known(tenant, one)))
        return (one for one in named if tenants.get(one) == tenant)


class Aims:
    """Things by what they are aimed at."""

    def __init__(self, fleets: Fleets) -> None:
        self._fleets = fleets
        self._tests: dict[Key, Test] = {}
        self._of_vehicle: dict[Key, set[Key]] = {}  # aimed at one vehicle
        self._of_fleet: dict[Key, set[Key]] = {}
        self._by_query: dict[str, set[Key]] = {}

    def add(self, key: Key, target: Target) -> None:
        """Aim a thing."""
        self._index(key.tenant, target).add(key)
        if target.kind is TargetKind.QUERY:
            self._tests[key] = parse(target.text)

    def discard(self, key: Key, target: Target) -> None:
        """Aim it no more."""
        self._index(key.tenant, target).discard(key)
        self._tests.pop(key, None)

    def at(self, tenant: str, vehicle: str) -> set[Key]:
        """Return the things that are aimed at a vehicle."""
        keys = set(self._of_vehicle.get(Key(tenant, vehicle), ()))
        for fleet in self._fleets.facts(tenant, vehicle).fleets:
            keys |= self._of_fleet.get(Key(tenant, fleet), set())
        known = self._fleets.known(tenant, vehicle)
        return keys | {key for key in self._by_query.get(tenant, ()) if self._tests[key](known)}

    def _index(self, tenant: str, target: Target) -> set[Key]:
        match target.kind:
            case TargetKind.VEHICLE:
                return self._of_vehicle.setdefault(Key(tenant, target.text), set())
            case TargetKind.FLEET:
                return self._of_fleet.setdefault(Key(tenant, target.text), set())
            case TargetKind.QUERY:
                return self._by_query.setdefault(tenant, set())
