"""The vehicles of a tenant with what is known of them, a page at a time."""

import json

from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_campaign_tables import vehicle_facts
from fleet_cloud.adapters.registry_schema import vehicles
from fleet_cloud.adapters.registry_sql import Database, chunks
from fleet_cloud.control.ports import FactsKeeper, Vehicle
from fleet_cloud.control.targets import Facts
from fleet_cloud.vehicles.registry import VEHICLES_MAX_PAGE, VehicleReader, VehicleState


class SqlFleetPages:
    """Looks through a fleet in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database, self._region = database, region

    def page(self, tenant: str, after: str, limit: int) -> list[tuple[str, Facts]]:
        scope = Scope(self._region, tenant)
        wanted = registry_scope.chosen(
            vehicles,
            scope,
            vehicles.c.state == VehicleState.ACTIVE.value,
            vehicles.c.id > after,
        )
        ordered = wanted.with_only_columns(vehicles.c.id).order_by(vehicles.c.id).limit(limit)
        known: dict[str, Facts] = {}
        with self._database.reading() as connection:
            ids = list(connection.execute(ordered).scalars())
            for some in chunks(ids):
                of_them = registry_scope.chosen(
                    vehicle_facts, scope, vehicle_facts.c.vehicle.in_(some)
                )
                for row in connection.execute(of_them):
                    fleets = frozenset(json.loads(row.fleets))
                    known[row.vehicle] = Facts(json.loads(row.attributes), fleets)
        nothing = Facts()
        return [(one, known.get(one, nothing)) for one in ids]


class FleetPagesOf:
    """Looks through any registry, a question for each vehicle: for fleets in memory."""

    def __init__(self, vehicles_: VehicleReader, facts: FactsKeeper) -> None:
        self._vehicles, self._facts = vehicles_, facts

    def page(self, tenant: str, after: str, limit: int) -> list[tuple[str, Facts]]:
        found: list[tuple[str, Facts]] = []
        while len(found) < limit:
            page = self._vehicles.vehicles(after=after, limit=VEHICLES_MAX_PAGE)
            if not page:
                break
            after = page[-1].id
            found += [
                (one.id, self._facts.facts(Vehicle(tenant, one.id)))
                for one in page
                if one.tenant == tenant and one.may_connect
            ]
        return found[:limit]
