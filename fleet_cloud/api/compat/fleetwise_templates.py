"""State templates (what of a vehicle is told as its last known state): FleetWise's operations on them.

Rule 1: a template is named by its name, or by the id that it was given when it was made.
"""

import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Any

from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.fleetwise_calls import Call, Operation, given, listed, times
from fleet_cloud.api.compat.fleetwise_tags import drop_tags, put_tags
from fleet_cloud.models.documents import Document, Kind, Reference
from fleet_cloud.models.refusals import BadField, BadSignals, NotThere, TooMany
from fleet_cloud.models.transactions import Transaction

TEMPLATES_MAX = 1000
# As many as one request may name.
PROPERTIES_MAX = 500

_ID_CHARS = string.ascii_uppercase + string.digits
_ID_LENGTH = 26
_PROPERTIES = "stateTemplateProperties"
_EXTRA = ("dataExtraDimensions", "metadataExtraDimensions")


def template_of(transaction: Transaction, identifier: str) -> Document:
    """Return the template of that name or id.  Raises NotThere, Unavailable."""
    found = transaction.find(Kind.TEMPLATE, identifier)
    if found is not None:
        return found
    of_id = transaction.listed(Kind.TEMPLATE, of=Reference(Kind.TEMPLATE_ID, identifier), limit=1)
    if not of_id:
        raise NotThere(Kind.TEMPLATE, identifier)
    return of_id[0]


def _create(call: Call) -> dict[str, Any]:
    request, name = call.request, call.request["name"]
    of = call.account.name("signalCatalogArn", request["signalCatalogArn"], Kind.CATALOG)
    identifier = "".join(secrets.choice(_ID_CHARS) for _ in range(_ID_LENGTH))

    def work(transaction: Transaction) -> None:
        catalog = transaction.get(Kind.CATALOG, of)
        if transaction.reaches(Kind.TEMPLATE, TEMPLATES_MAX):
            raise TooMany(Kind.TEMPLATE, name, f"an account has {TEMPLATES_MAX} at most")
        nodes = transaction.content(Kind.CATALOG_NODES, of)
        content = {
            **given(request, "description", *_EXTRA),
            "id": identifier,
            "catalog": of,
            _PROPERTIES: _properties((), request[_PROPERTIES], (), nodes),
        }
        refers = frozenset({catalog.reference, Reference(Kind.TEMPLATE_ID, identifier)})
        transaction.new(Kind.TEMPLATE, name, content, refers)
        put_tags(transaction, Kind.TEMPLATE, name, request.get("tags", []))

    call.change("create", Kind.TEMPLATE, name, work)
    return {**_named(call, name), "id": identifier}


def _show(call: Call) -> dict[str, Any]:
    found = template_of(call.reading(), call.request["identifier"])
    return {**_view(call, found), **given(found.content, _PROPERTIES, *_EXTRA)}


def _update(call: Call) -> dict[str, Any]:
    request = call.request

    def work(transaction: Transaction) -> Document:
        found = template_of(transaction, request["identifier"])
        nodes = transaction.content(Kind.CATALOG_NODES, found.content["catalog"])
        properties = _properties(
            found.content[_PROPERTIES],
            request.get(f"{_PROPERTIES}ToAdd", ()),
            request.get(f"{_PROPERTIES}ToRemove", ()),
            nodes,
        )
        content = {
            **found.content,
            **given(request, "description", *_EXTRA),
            _PROPERTIES: properties,
        }
        transaction.put(Kind.TEMPLATE, found.name, content)
        return found

    found = call.change("update", Kind.TEMPLATE, request["identifier"], work)
    return {**_named(call, found.name), "id": found.content["id"]}


def _remove(call: Call) -> dict[str, Any]:
    identifier = call.request["identifier"]

    def work(transaction: Transaction) -> Document | None:
        try:
            found = template_of(transaction, identifier)
        except NotThere:
            return None
        users = transaction.listed(Kind.VEHICLE, of=found.reference, limit=1)
        if users:
            raise BadField("identifier", f"the vehicle {users[0].name} has the state template")
        transaction.drop(Kind.TEMPLATE, found.name)
        drop_tags(transaction, Kind.TEMPLATE, found.name)
        return found

    found = call.change("delete", Kind.TEMPLATE, identifier, work)
    if found is None:
        return _named(call, identifier)
    return {**_named(call, found.name), "id": found.content["id"]}


def _list(call: Call) -> dict[str, Any]:
    return listed(call, "summaries", Kind.TEMPLATE, lambda found: _view(call, found))


def _properties(
    before: Sequence[str], add: Sequence[str], remove: Sequence[str], nodes: Mapping[str, Any]
) -> list[str]:
    unknown = [(path, "the node is not in the signal catalog") for path in add if path not in nodes]
    if unknown:
        raise BadSignals(unknown)
    gone = set(remove)
    after = list(dict.fromkeys([*(path for path in before if path not in gone), *add]))
    if not after:
        raise BadField(f"{_PROPERTIES}ToRemove", "a state template has one property at least")
    if len(after) > PROPERTIES_MAX:
        raise TooMany(Kind.TEMPLATE, _PROPERTIES, f"{PROPERTIES_MAX} properties are the most")
    return after


def _named(call: Call, name: str) -> dict[str, Any]:
    return {"name": name, "arn": call.account.arn(Kind.TEMPLATE, name)}


def _view(call: Call, found: Document) -> dict[str, Any]:
    return {
        **_named(call, found.name),
        "signalCatalogArn": call.account.arn(Kind.CATALOG, found.content["catalog"]),
        **given(found.content, "description", "id"),
        **times(found),
    }


OPERATIONS = {
    "CreateStateTemplate": Operation(Permission.MODELS_WRITE, _create),
    "GetStateTemplate": Operation(Permission.MODELS_READ, _show),
    "UpdateStateTemplate": Operation(Permission.MODELS_WRITE, _update),
    "DeleteStateTemplate": Operation(Permission.MODELS_WRITE, _remove),
    "ListStateTemplates": Operation(Permission.MODELS_READ, _list),
}
