"""Which vehicles a target means now, asked of the registry: for whoever wants to know, not for the doors."""

from fleet_cloud.control.aims import Fleets
from fleet_cloud.control.ports import (
    FactsKeeper,
)
from fleet_cloud.control.targets import (
    Target,
)
from fleet_cloud.vehicles.registry import VEHICLES_MAX_PAGE, VehicleReader


def meant(facts: FactsKeeper, vehicles: VehicleReader, tenant: str, target: Target) -> list[str]:
    """Return the vehicles of `tenant` that may connect and that `target` means, in order of id."""
    tenants = dict.fromkeys(_active(vehicles, tenant), tenant)
    fleets = Fleets(lambda: tenants)
    for vehicle, known in facts.all_facts(tenant).items():
        fleets.put(tenant, vehicle, known)
    return sorted(fleets.meant(tenant, target))


def _active(vehicles: VehicleReader, tenant: str) -> list[str]:
    found, after = [], ""
    while page := vehicles.vehicles(after=after, limit=VEHICLES_MAX_PAGE):
        found += [one.id for one in page if one.tenant == tenant and one.may_connect]
        after = page[-1].id
    return found
