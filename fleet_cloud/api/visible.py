"""What a caller may see: the vehicles of tenants and fleets that a grant covers, and nothing of the others.

Rule 1: what is not covered is not there: it is answered like a name that nobody ever had.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fairway.errors import BadInput
from fairway.ids import vehicle_id
from fleet_cloud.access.grants import ALL, Principal, may
from fleet_cloud.access.roles import PERMISSIONS, Permission
from fleet_cloud.api.ports import FleetsOf, NotFound
from fleet_cloud.vehicles.registry import VEHICLES_MAX_PAGE, Vehicle, VehicleReader


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what for."""

    principal: Principal
    permission: Permission
    fleets_of: FleetsOf
    credential: str  # what was shown, so that a long answer can look whether it is still good

    @property
    def sees_all(self) -> bool:
        """Whether nothing is hidden from this caller."""
        return may(self.principal, self.permission, ALL)

    @property
    def tenants(self) -> frozenset[str] | None:
        """The tenants of which this caller may see something; None: all."""
        return self._tenants(is_whole=False)

    @property
    def whole_tenants(self) -> frozenset[str] | None:
        """The tenants of which nothing is hidden from this caller; None: all."""
        return self._tenants(is_whole=True)

    def _tenants(self, *, is_whole: bool) -> frozenset[str] | None:
        if self.sees_all:
            return None
        return frozenset(
            grant.tenant
            for grant in self.principal.grants
            if self.permission in PERMISSIONS[grant.role] and (not is_whole or grant.fleet == ALL)
        )

    def sees(self, tenant: str, vehicle: str) -> bool:
        """Whether a vehicle is there for this caller."""
        return any(
            may(self.principal, self.permission, tenant, fleet)
            for fleet in self.fleets_of(tenant, vehicle)
        )


def known_vehicle(vehicles: VehicleReader, name: str, caller: Caller) -> Vehicle:
    """Return the vehicle called `name`.  Raises NotFound, Unavailable."""
    try:
        found = vehicles.vehicle(vehicle_id(name))
    except BadInput as error:
        raise NotFound(f"no vehicle is called {name[:80]!r}: {error}") from error
    if found is None or not caller.sees(found.tenant, found.id):
        raise NotFound(f"no vehicle is called {name!r}: see /v1/vehicles")
    return found


def seen_vehicles(
    vehicles: VehicleReader, caller: Caller, *, after: str, limit: int
) -> list[Vehicle]:
    """Return up to `limit` vehicles that are there for `caller`, in order of id.  Raises Unavailable."""
    if caller.sees_all:
        return vehicles.vehicles(after=after, limit=limit)
    found: list[Vehicle] = []
    for vehicle in _behind(vehicles, after):
        if caller.sees(vehicle.tenant, vehicle.id):
            found.append(vehicle)
            if len(found) == limit:
                break
    return found


def _behind(vehicles: VehicleReader, after: str) -> Iterator[Vehicle]:
    while page := vehicles.vehicles(after=after, limit=VEHICLES_MAX_PAGE):
        yield from page
        after = page[-1].id
