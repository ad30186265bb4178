"""Vehicle models (model manifests): FleetWise's operations on them."""

from typing import Any

from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.fleetwise_calls import (
    Call,
    Operation,
    given,
    listed,
    sliced,
    times,
)
from fleet_cloud.api.compat.fleetwise_tags import drop_tags, put_tags
from fleet_cloud.models import manifests
from fleet_cloud.models.documents import Document, Kind, Reference
from fleet_cloud.models.manifests import Status
from fleet_cloud.models.refusals import TooMany
from fleet_cloud.models.transactions import Transaction

# FleetWise has 10,000 for each account, counting every version of every model.
MODELS_MAX = 10_000


def _create(call: Call) -> dict[str, Any]:
    request, name = call.request, call.request["name"]
    of = call.account.name("signalCatalogArn", request["signalCatalogArn"], Kind.CATALOG)

    def work(transaction: Transaction) -> None:
        catalog = transaction.get(Kind.CATALOG, of)
        nodes = transaction.content(Kind.CATALOG_NODES, of)
        paths = manifests.with_nodes((), request["nodes"], (), nodes)
        if transaction.reaches(Kind.MODEL, MODELS_MAX):
            raise TooMany(Kind.MODEL, name, f"an account has {MODELS_MAX} models at most")
        content = {**given(request, "description"), "catalog": of, "status": Status.DRAFT.value}
        transaction.new(Kind.MODEL, name, content, frozenset({catalog.reference}))
        transaction.put(Kind.MODEL_NODES, name, paths)
        put_tags(transaction, Kind.MODEL, name, request.get("tags", []))

    call.change("create", Kind.MODEL, name, work)
    return _named(call, name)


def _show(call: Call) -> dict[str, Any]:
    return _view(call, call.reading().get(Kind.MODEL, call.request["name"]))


def _update(call: Call) -> dict[str, Any]:
    request, name = call.request, call.request["name"]
    add, remove = request.get("nodesToAdd", ()), request.get("nodesToRemove", ())

    def work(transaction: Transaction) -> None:
        found = transaction.get(Kind.MODEL, name)
        changes = bool(add or remove or "description" in request)
        status = manifests.status_after(
            Kind.MODEL, name, found.content["status"], request.get("status"), changes=changes
        )
        if add or remove:
            nodes = transaction.content(Kind.CATALOG_NODES, found.content["catalog"])
            before = transaction.content(Kind.MODEL_NODES, name)
            paths = manifests.with_nodes(before, add, remove, nodes)
            transaction.put(Kind.MODEL_NODES, name, paths)
        content = {**found.content, **given(request, "description"), "status": status.value}
        transaction.put(Kind.MODEL, name, content)

    call.change("update", Kind.MODEL, name, work)
    return _named(call, name)


def _remove(call: Call) -> dict[str, Any]:
    name = call.request["name"]

    def work(transaction: Transaction) -> None:
        if transaction.find(Kind.MODEL, name) is None:
            return
        transaction.refuse_if_used(Reference(Kind.MODEL, name), Kind.DECODER)
        transaction.drop(Kind.MODEL, name)
        transaction.drop(Kind.MODEL_NODES, name)
        drop_tags(transaction, Kind.MODEL, name)

    call.change("delete", Kind.MODEL, name, work)
    return _named(call, name)


def _list(call: Call) -> dict[str, Any]:
    of = None
    if "signalCatalogArn" in call.request:
        arn = call.request["signalCatalogArn"]
        name = call.account.name("signalCatalogArn", arn, Kind.CATALOG)
        of = Reference(Kind.CATALOG, name)
    return listed(call, "summaries", Kind.MODEL, lambda found: _view(call, found), of)


def _list_nodes(call: Call) -> dict[str, Any]:
    transaction, name = call.reading(), call.request["name"]
    found = transaction.get(Kind.MODEL, name)
    nodes = transaction.content(Kind.CATALOG_NODES, found.content["catalog"])
    paths = transaction.content(Kind.MODEL_NODES, name)
    return call.page("nodes", sliced({path: nodes[path] for path in paths}))


def _named(call: Call, name: str) -> dict[str, Any]:
    return {"name": name, "arn": call.account.arn(Kind.MODEL, name)}


def _view(call: Call, found: Document) -> dict[str, Any]:
    return {
        **_named(call, found.name),
        "signalCatalogArn": call.account.arn(Kind.CATALOG, found.content["catalog"]),
        **given(found.content, "description", "status"),
        **times(found),
    }


OPERATIONS = {
    "CreateModelManifest": Operation(Permission.MODELS_WRITE, _create),
    "GetModelManifest": Operation(Permission.MODELS_READ, _show),
    "UpdateModelManifest": Operation(Permission.MODELS_WRITE, _update),
    "DeleteModelManifest": Operation(Permission.MODELS_WRITE, _remove),
    "ListModelManifests": Operation(Permission.MODELS_READ, _list),
    "ListModelManifestNodes": Operation(Permission.MODELS_READ, _list_nodes),
}
