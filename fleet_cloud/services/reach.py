"""What one vehicle is to run, asked of the registry: for whoever wants to know, not for the doors."""

from collections.abc import Iterator

from fleet_cloud.control.aims import means
from fleet_cloud.control.ports import PAGE_MAX, FactsKeeper, Vehicle
from fleet_cloud.services.model import Kept
from fleet_cloud.services.plan import Chosen, merged
from fleet_cloud.services.ports import Desired


def of_vehicle(desired: Desired, facts: FactsKeeper, vehicle: Vehicle) -> tuple[Chosen, ...]:
    """Return what a vehicle is to run, in order of service.  Raises Unavailable."""
    known = facts.facts(vehicle)
    return merged(
        kept for kept in every(desired, vehicle.tenant) if means(kept.target, vehicle.name, known)
    )


def every(desired: Desired, tenant: str) -> Iterator[Kept]:
    """Return all that is desired of a tenant's vehicles.  Raises Unavailable."""
    after = ""
    while page := desired.all_desired(tenants=[tenant], after=after):
        yield from page
        if len(page) < PAGE_MAX:
            return
        after = f"{tenant}/{page[-1].name}/{page[-1].id}"
