"""Vehicles: FleetWise's operations on them, over the registry that lets them in.

    CreateVehicle --> decided --> act --> registry: added, without a certificate --> its document
    DeleteVehicle --> decided --> act --> registry: denied --> its document forgotten

Rule 1: what was added here is denied again when it is deleted; what the registry knew before is left in it.
Rule 2: of a batch each item succeeds or fails for itself, and in order.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fairway.errors import FairwayError, Unavailable
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.fleetwise_calls import (
    Call,
    Operation,
    given,
    in_scope,
    times,
)
from fleet_cloud.api.compat.fleetwise_errors import refusal
from fleet_cloud.api.compat.fleetwise_tags import drop_tags, put_tags
from fleet_cloud.api.compat.fleetwise_templates import template_of
from fleet_cloud.models import vehicles
from fleet_cloud.models.documents import DOCUMENTS_MAX_PAGE, Document, Kind, Reference
from fleet_cloud.models.refusals import BadField
from fleet_cloud.models.transactions import Transaction
from fleet_cloud.vehicles.certificates import REPLACED
from fleet_cloud.vehicles.registry import Vehicle, VehicleState

# Why the certificates of a vehicle that is deleted are revoked.
_DELETED = "deleted by FleetWise's API"


def _create(call: Call) -> dict[str, Any]:
    return _create_one(call, call.request)


def _create_one(call: Call, item: Mapping[str, Any]) -> dict[str, Any]:
    name = vehicles.checked_name(item["vehicleName"])
    known = call.parts.vehicles.vehicle(name)
    adds = vehicles.is_to_be_added(name, known, call.tenant, item.get("associationBehavior", ""))

    def work(transaction: Transaction) -> None:
        content = {
            **_decoding(call, transaction, item),
            "attributes": vehicles.attributes_after({}, item.get("attributes"), "Overwrite"),
            "stateTemplates": vehicles.templates_after(
                {}, _strategies(transaction, item.get("stateTemplates", ())), {}, ()
            ),
            "isAddedHere": adds,
        }
        transaction.new(Kind.VEHICLE, name, content, _refers(content))
        put_tags(transaction, Kind.VEHICLE, name, item.get("tags", []))

    added = False

    def register() -> None:
        nonlocal added
        call.write_act("create", Kind.VEHICLE, name)
        if adds:
            if known is not None:
                call.parts.certificates.revoke(name, call.now_ns, REPLACED)
            call.parts.vehicles.add(
                Vehicle(name, call.tenant, VehicleState.ACTIVE, call.now_ns, None)
            )
            added = True

    try:
        call.parts.models.change(call.tenant, call.now_ns, work, before=register)
    except FairwayError:
        if added:
            call.parts.vehicles.remove(name)
        raise
    return {**_named(call, name), "thingArn": call.account.thing_arn(name)}


def _update(call: Call) -> dict[str, Any]:
    return _update_one(call, call.request)


def _update_one(call: Call, item: Mapping[str, Any]) -> dict[str, Any]:
    name = item["vehicleName"]

    def work(transaction: Transaction) -> None:
        found = transaction.get(Kind.VEHICLE, name)
        before = found.content
        content = {
            **before,
            **_decoding(call, transaction, item, before),
            "attributes": vehicles.attributes_after(
                before["attributes"], item.get("attributes"), item.get("attributeUpdateMode")
            ),
            "stateTemplates": vehicles.templates_after(
                before["stateTemplates"],
                _strategies(transaction, item.get("stateTemplatesToAdd", ())),
                _strategies(transaction, item.get("stateTemplatesToUpdate", ())),
                [
                    template_of(transaction, one).name
                    for one in item.get("stateTemplatesToRemove", ())
                ],
            ),
        }
        if content != before:
            transaction.replace(found, content, _refers(content))

    call.change("update", Kind.VEHICLE, name, work)
    return _named(call, name)


def _create_batch(call: Call) -> dict[str, Any]:
    return _batch(call, _create_one, lambda refused: refused.type)


def _update_batch(call: Call) -> dict[str, Any]:
    return _batch(call, _update_one, lambda refused: refused.status)


def _batch(
    call: Call,
    one: Callable[[Call, Mapping[str, Any]], dict[str, Any]],
    code: Callable[[Any], str | int],
) -> dict[str, Any]:
    done, failed = [], []
    for item in call.request["vehicles"]:
        try:
            done.append(one(call, item))
        except Unavailable:  # what is done is done, and the same request goes on behind it
            raise
        except FairwayError as error:
            refused = refusal(error)
            failed.append(
                {
                    "vehicleName": item["vehicleName"],
                    "code": code(refused),
                    "message": refused.message,
                }
            )
    return {"vehicles": done, "errors": failed}


def _show(call: Call) -> dict[str, Any]:
    found = call.reading().get(Kind.VEHICLE, call.request["vehicleName"])
    templates = found.content["stateTemplates"]
    told = [
        {"identifier": name, "stateTemplateUpdateStrategy": how} for name, how in templates.items()
    ]
    return {**_view(call, found), **({"stateTemplates": told} if told else {})}


def _remove(call: Call) -> dict[str, Any]:
    name = call.request["vehicleName"]
    denies = False
    fleets: dict[str, bool] = {}

    def work(transaction: Transaction) -> None:
        nonlocal denies
        found = transaction.find(Kind.VEHICLE, name)
        if found is None:
            return
        denies = found.content["isAddedHere"]
        for member in transaction.every(Kind.MEMBER, found.reference):
            fleets[member.name.split("/")[0]] = False
            transaction.drop(Kind.MEMBER, member.name)
        transaction.drop(Kind.VEHICLE, name)
        drop_tags(transaction, Kind.VEHICLE, name)

    def deny() -> None:
        call.write_act("delete", Kind.VEHICLE, name)
        known = call.parts.vehicles.vehicle(name)
        if denies and known is not None and known.may_connect and known.tenant == call.tenant:
            call.parts.vehicles.remove(name)
            call.parts.certificates.revoke(name, call.now_ns, _DELETED)

    call.parts.models.change(call.tenant, call.now_ns, work, before=deny)
    call.parts.campaigns.belongs(call.tenant, name, fleets)
    return _named(call, name)


def _list(call: Call) -> dict[str, Any]:
    request, of = call.request, None
    if "modelManifestArn" in request:
        name = call.account.name("modelManifestArn", request["modelManifestArn"], Kind.MODEL)
        of = Reference(Kind.MODEL, name)
    names, values = request.get("attributeNames", []), request.get("attributeValues", [])
    if len(names) != len(values) or len(set(names)) != len(names):
        raise BadField("attributeNames", "give each name once, with one of attributeValues")
    wanted = dict(zip(names, values, strict=True))
    transaction = call.reading()

    def fetch(after: str, limit: int) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        while len(found) < limit:
            page = transaction.listed(Kind.VEHICLE, of=of, after=after, limit=DOCUMENTS_MAX_PAGE)
            found += [
                (one.name, in_scope(call, _view(call, one)))
                for one in page
                if vehicles.fits(one.content["attributes"], wanted)
            ]
            if len(page) < DOCUMENTS_MAX_PAGE:
                break
            after = page[-1].name
        return found[:limit]

    return call.page("vehicleSummaries", fetch)


def _status(call: Call) -> dict[str, Any]:
    vehicle = call.reading().get(Kind.VEHICLE, call.request["vehicleName"])

    def fetch(after: str, limit: int) -> list[tuple[str, Any]]:
        found = call.parts.campaigns.of_vehicle(call.tenant, vehicle.name, after=after, limit=limit)
        return [
            (name, {"campaignName": name, "vehicleName": vehicle.name, "status": state})
            for name, state in found
        ]

    return call.page("campaigns", fetch)


def _decoding(
    call: Call,
    transaction: Transaction,
    item: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return which model and decoder manifest a vehicle has.  Raises BadField, NotThere, Unavailable."""
    named = dict(before or {})
    if "modelManifestArn" in item:
        arn = item["modelManifestArn"]
        named["model"] = call.account.name("modelManifestArn", arn, Kind.MODEL)
    if "decoderManifestArn" in item:
        arn = item["decoderManifestArn"]
        named["decoder"] = call.account.name("decoderManifestArn", arn, Kind.DECODER)
    model = transaction.get(Kind.MODEL, named["model"])
    vehicles.check_decoding(model, transaction.get(Kind.DECODER, named["decoder"]))
    return {"model": named["model"], "decoder": named["decoder"]}


def _strategies(transaction: Transaction, associations: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in associations:
        name = template_of(transaction, one["identifier"]).name
        if name in found:
            raise BadField("stateTemplates", f"{name} is there twice")
        found[name] = one["stateTemplateUpdateStrategy"]
    return found


def _refers(content: Mapping[str, Any]) -> frozenset[Reference]:
    return frozenset(
        {
            Reference(Kind.MODEL, content["model"]),
            Reference(Kind.DECODER, content["decoder"]),
            *(Reference(Kind.TEMPLATE, name) for name in content["stateTemplates"]),
        }
    )


def _named(call: Call, name: str) -> dict[str, Any]:
    return {"vehicleName": name, "arn": call.account.arn(Kind.VEHICLE, name)}


def _view(call: Call, found: Document) -> dict[str, Any]:
    return {
        **_named(call, found.name),
        "modelManifestArn": call.account.arn(Kind.MODEL, found.content["model"]),
        "decoderManifestArn": call.account.arn(Kind.DECODER, found.content["decoder"]),
        **given(found.content, "attributes"),
        **times(found),
    }


OPERATIONS = {
    "CreateVehicle": Operation(Permission.VEHICLES_WRITE, _create),
    "BatchCreateVehicle": Operation(Permission.VEHICLES_WRITE, _create_batch),
    "UpdateVehicle": Operation(Permission.VEHICLES_WRITE, _update),
    "BatchUpdateVehicle": Operation(Permission.VEHICLES_WRITE, _update_batch),
    "GetVehicle": Operation(Permission.VEHICLES_READ, _show),
    "DeleteVehicle": Operation(Permission.VEHICLES_WRITE, _remove),
    "ListVehicles": Operation(Permission.VEHICLES_READ, _list),
    "GetVehicleStatus": Operation(Permission.CAMPAIGNS_READ, _status),
}
