"""Fleets, and which vehicles are in them: FleetWise's operations.

Rule 1: campaigns and grants are told who belongs to a fleet, each time and after it is kept: they know fleets
by what is known of vehicles, and whoever may put a vehicle into one has a say over the whole tenant.
"""

from typing import Any

from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.fleetwise_calls import (
    Call,
    Operation,
    campaign_of,
    given,
    listed,
    times,
)
from fleet_cloud.api.compat.fleetwise_tags import drop_tags, put_tags
from fleet_cloud.models.documents import Document, Kind, Reference
from fleet_cloud.models.refusals import BadField, TooMany
from fleet_cloud.models.transactions import Transaction
from fleet_cloud.models.vehicles import FLEETS_OF_VEHICLE_MAX, checked_fleet

FLEETS_MAX = 10_000


def _create(call: Call) -> dict[str, Any]:
    request, name = call.request, checked_fleet(call.request["fleetId"])
    of = call.account.name("signalCatalogArn", request["signalCatalogArn"], Kind.CATALOG)

    def work(transaction: Transaction) -> None:
        catalog = transaction.get(Kind.CATALOG, of)
        if transaction.reaches(Kind.FLEET, FLEETS_MAX):
            raise TooMany(Kind.FLEET, name, f"an account has {FLEETS_MAX} fleets at most")
        content = {**given(request, "description"), "catalog": of}
        transaction.new(Kind.FLEET, name, content, frozenset({catalog.reference}))
        put_tags(transaction, Kind.FLEET, name, request.get("tags", []))

    call.change("create", Kind.FLEET, name, work)
    return _named(call, name)


def _show(call: Call) -> dict[str, Any]:
    return _view(call, call.reading().get(Kind.FLEET, call.request["fleetId"]))


def _update(call: Call) -> dict[str, Any]:
    name = call.request["fleetId"]

    def work(transaction: Transaction) -> None:
        found = transaction.get(Kind.FLEET, name)
        transaction.put(Kind.FLEET, name, {**found.content, **given(call.request, "description")})

    call.change("update", Kind.FLEET, name, work)
    return _named(call, name)


def _remove(call: Call) -> dict[str, Any]:
    name = call.request["fleetId"]

    def work(transaction: Transaction) -> None:
        if transaction.find(Kind.FLEET, name) is None:
            return
        if transaction.reaches(Kind.MEMBER, 1, Reference(Kind.FLEET, name)):
            raise BadField("fleetId", f"the fleet {name} has vehicles: disassociate them first")
        campaign = campaign_of(call, "targetArn", call.account.arn(Kind.FLEET, name))
        if campaign:
            raise BadField("fleetId", f"the fleet {name} is the target of the campaign {campaign}")
        transaction.drop(Kind.FLEET, name)
        drop_tags(transaction, Kind.FLEET, name)

    call.change("delete", Kind.FLEET, name, work)
    return _named(call, name)


def _list(call: Call) -> dict[str, Any]:
    return listed(call, "fleetSummaries", Kind.FLEET, lambda found: _view(call, found))


def _associate(call: Call) -> dict[str, Any]:
    fleet, vehicle = call.request["fleetId"], call.request["vehicleName"]

    def work(transaction: Transaction) -> None:
        both = (transaction.get(Kind.FLEET, fleet), transaction.get(Kind.VEHICLE, vehicle))
        refers = frozenset(one.reference for one in both)
        if transaction.find(Kind.MEMBER, f"{fleet}/{vehicle}") is not None:
            return
        if transaction.reaches(Kind.MEMBER, FLEETS_OF_VEHICLE_MAX, both[1].reference):
            why = f"a vehicle is in {FLEETS_OF_VEHICLE_MAX} fleets at most"
            raise TooMany(Kind.VEHICLE, vehicle, why)
        transaction.new(Kind.MEMBER, f"{fleet}/{vehicle}", {}, refers)

    call.change("associate", Kind.FLEET, fleet, work)
    call.parts.campaigns.belongs(call.tenant, vehicle, {fleet: True})
    return {}


def _disassociate(call: Call) -> dict[str, Any]:
    fleet, vehicle = call.request["fleetId"], call.request["vehicleName"]

    def work(transaction: Transaction) -> None:
        transaction.get(Kind.FLEET, fleet)
        transaction.get(Kind.VEHICLE, vehicle)
        if transaction.find(Kind.MEMBER, f"{fleet}/{vehicle}") is not None:
            transaction.drop(Kind.MEMBER, f"{fleet}/{vehicle}")

    call.change("disassociate", Kind.FLEET, fleet, work)
    call.parts.campaigns.belongs(call.tenant, vehicle, {fleet: False})
    return {}


def _list_vehicles(call: Call) -> dict[str, Any]:
    fleet = call.reading().get(Kind.FLEET, call.request["fleetId"])
    return _members(call, "vehicles", fleet.reference, 1)


def _list_fleets_of(call: Call) -> dict[str, Any]:
    vehicle = call.reading().get(Kind.VEHICLE, call.request["vehicleName"])
    return _members(call, "fleets", vehicle.reference, 0)


def _members(call: Call, member: str, of: Reference, half: int) -> dict[str, Any]:
    """Return one page of the fleets, or of the vehicles, that `of` goes with."""
    transaction = call.reading()

    def fetch(after: str, limit: int) -> list[tuple[str, str]]:
        found = transaction.listed(Kind.MEMBER, of=of, after=after, limit=limit)
        return [(one.name, one.name.split("/")[half]) for one in found]

    return call.page(member, fetch)


def _named(call: Call, name: str) -> dict[str, Any]:
    return {"id": name, "arn": call.account.arn(Kind.FLEET, name)}


def _view(call: Call, found: Document) -> dict[str, Any]:
    return {
        **_named(call, found.name),
        "signalCatalogArn": call.account.arn(Kind.CATALOG, found.content["catalog"]),
        **given(found.content, "description"),
        **times(found),
    }


OPERATIONS = {
    "CreateFleet": Operation(Permission.VEHICLES_WRITE, _create),
    "GetFleet": Operation(Permission.VEHICLES_READ, _show),
    "UpdateFleet": Operation(Permission.VEHICLES_WRITE, _update),
    "DeleteFleet": Operation(Permission.VEHICLES_WRITE, _remove),
    "ListFleets": Operation(Permission.VEHICLES_READ, _list),
    "AssociateVehicleFleet": Operation(Permission.VEHICLES_WRITE, _associate),
    "DisassociateVehicleFleet": Operation(Permission.VEHICLES_WRITE, _disassociate),
    "ListVehiclesInFleet": Operation(Permission.VEHICLES_READ, _list_vehicles),
    "ListFleetsForVehicle": Operation(Permission.VEHICLES_READ, _list_fleets_of),
}
