"""Signal catalogs: FleetWise's operations on them."""

from typing import Any

from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.fleetwise_calls import (
    Call,
    Operation,
    campaign_of,
    given,
    listed,
    sliced,
    times,
)
from fleet_cloud.api.compat.fleetwise_tags import drop_tags, put_tags
from fleet_cloud.models import catalog
from fleet_cloud.models.catalog import Nodes, Update
from fleet_cloud.models.documents import Document, Kind, Reference
from fleet_cloud.models.refusals import InTheWay, TooMany
from fleet_cloud.models.transactions import Transaction

# FleetWise has one for each account; a few more let versions of a vocabulary stand side by side.
CATALOGS_MAX = 100

_TYPES = {
    "SENSOR": "sensor",
    "ACTUATOR": "actuator",
    "ATTRIBUTE": "attribute",
    "BRANCH": "branch",
    "CUSTOM_STRUCT": "struct",
    "CUSTOM_PROPERTY": "property",
}


def _create(call: Call) -> dict[str, Any]:
    nodes = catalog.created(call.request.get("nodes", []))
    return make(call, nodes)


def make(call: Call, nodes: Nodes) -> dict[str, Any]:
    """Make the catalog that a request names, of these nodes.  Raises InTheWay, TooMany, Unavailable."""
    name = call.request["name"]

    def work(transaction: Transaction) -> None:
        if transaction.reaches(Kind.CATALOG, CATALOGS_MAX):
            raise TooMany(Kind.CATALOG, name, f"an account has {CATALOGS_MAX} catalogs at most")
        content = {**given(call.request, "description"), "nodeCounts": catalog.counts(nodes)}
        transaction.new(Kind.CATALOG, name, content, frozenset())
        transaction.put(Kind.CATALOG_NODES, name, nodes)
        put_tags(transaction, Kind.CATALOG, name, call.request.get("tags", []))

    call.change("create", Kind.CATALOG, name, work)
    return _named(call, name)


def _show(call: Call) -> dict[str, Any]:
    found = call.reading().get(Kind.CATALOG, call.request["name"])
    return {
        **_named(call, found.name),
        **given(found.content, "description", "nodeCounts"),
        **times(found),
    }


def _update(call: Call) -> dict[str, Any]:
    name = call.request["name"]
    wish = Update(
        call.request.get("nodesToAdd", ()),
        call.request.get("nodesToUpdate", ()),
        call.request.get("nodesToRemove", ()),
    )

    def work(transaction: Transaction) -> None:
        found = transaction.get(Kind.CATALOG, name)
        before = transaction.content(Kind.CATALOG_NODES, name)
        after = catalog.updated(before, wish, used_paths(transaction, name))
        content = {
            **found.content,
            **given(call.request, "description"),
            "nodeCounts": catalog.counts(after),
        }
        transaction.put(Kind.CATALOG_NODES, name, after)
        transaction.put(Kind.CATALOG, name, content)

    call.change("update", Kind.CATALOG, name, work)
    return _named(call, name)


def used_paths(transaction: Transaction, name: str) -> set[str]:
    """Return the paths of a catalog that models and state templates use.  Raises Unavailable."""
    of = Reference(Kind.CATALOG, name)
    used: set[str] = set()
    for model in transaction.every(Kind.MODEL, of):
        used.update(transaction.content(Kind.MODEL_NODES, model.name))
    for template in transaction.every(Kind.TEMPLATE, of):
        used.update(template.content["stateTemplateProperties"])
    return used


def _remove(call: Call) -> dict[str, Any]:
    name = call.request["name"]

    def work(transaction: Transaction) -> None:
        if transaction.find(Kind.CATALOG, name) is None:
            return
        for user in (Kind.MODEL, Kind.FLEET, Kind.TEMPLATE):
            transaction.refuse_if_used(Reference(Kind.CATALOG, name), user)
        campaign = campaign_of(call, "signalCatalogArn", call.account.arn(Kind.CATALOG, name))
        if campaign:
            why = f"the {Kind.CATALOG} {name} is in use by the campaign {campaign}"
            raise InTheWay(Kind.CATALOG, name, why)
        transaction.drop(Kind.CATALOG, name)
        transaction.drop(Kind.CATALOG_NODES, name)
        drop_tags(transaction, Kind.CATALOG, name)

    call.change("delete", Kind.CATALOG, name, work)
    return _named(call, name)


def _list_all(call: Call) -> dict[str, Any]:
    def view(document: Document) -> dict[str, Any]:
        return {**_named(call, document.name), **times(document)}

    return listed(call, "summaries", Kind.CATALOG, view)


def _list_nodes(call: Call) -> dict[str, Any]:
    transaction, name = call.reading(), call.request["name"]
    transaction.get(Kind.CATALOG, name)
    nodes = transaction.content(Kind.CATALOG_NODES, name)
    wanted = _TYPES.get(call.request.get("signalNodeType", ""))
    if wanted is not None:
        nodes = {path: node for path, node in nodes.items() if catalog.kind_of(node) == wanted}
    return call.page("nodes", sliced(nodes))


def _named(call: Call, name: str) -> dict[str, Any]:
    return {"name": name, "arn": call.account.arn(Kind.CATALOG, name)}


OPERATIONS = {
    "CreateSignalCatalog": Operation(Permission.MODELS_WRITE, _create),
    "GetSignalCatalog": Operation(Permission.MODELS_READ, _show),
    "UpdateSignalCatalog": Operation(Permission.MODELS_WRITE, _update),
    "DeleteSignalCatalog": Operation(Permission.MODELS_WRITE, _remove),
    "ListSignalCatalogs": Operation(Permission.MODELS_READ, _list_all),
    "ListSignalCatalogNodes": Operation(Permission.MODELS_READ, _list_nodes),
}
