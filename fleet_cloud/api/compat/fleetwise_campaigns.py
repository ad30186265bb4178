"""Campaigns: FleetWise's operations on them, over the port of models/campaigns.py.

Rule 1: what a campaign names (its catalog, its target) is there when it is made, and of the same tenant.
Rule 2: what came in is what goes out: the document is kept as it was said, with the tenant's own ARNs.
Rule 3: to approve needs a permission of its own, whatever else the operation that carries it needs.
"""

from typing import Any

from fleet_cloud.access.grants import may
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.fleetwise_calls import (
    Call,
    Operation,
    given,
    in_scope,
    seconds,
)
from fleet_cloud.api.compat.fleetwise_tags import drop_tags, put_tags
from fleet_cloud.api.ports import NotAllowed
from fleet_cloud.models.campaigns import Asker, KeptCampaign, Move
from fleet_cloud.models.documents import Kind
from fleet_cloud.models.refusals import BadField, NotThere

_TARGETS = (Kind.FLEET, Kind.VEHICLE)
_SUMMARY = ("description", "signalCatalogArn", "targetArn")


def _create(call: Call) -> dict[str, Any]:
    request = call.request
    catalog = call.account.name("signalCatalogArn", request["signalCatalogArn"], Kind.CATALOG)
    kind, target = call.account.named("targetArn", request["targetArn"], *_TARGETS)
    transaction = call.reading()
    transaction.get(Kind.CATALOG, catalog)
    transaction.get(Kind(kind), target)
    start, expiry = request.get("startTime"), request.get("expiryTime")
    if start is not None and expiry is not None and expiry <= start:
        raise BadField("expiryTime", "is not after startTime")
    document = {
        **{name: value for name, value in request.items() if name != "tags"},
        "signalCatalogArn": call.account.arn(Kind.CATALOG, catalog),
        "targetArn": call.account.arn(kind, target),
    }
    call.parts.campaigns.create(_asker(call), document)
    if request.get("tags"):
        call.change(
            "tag",
            Kind.CAMPAIGN,
            request["name"],
            lambda transaction: put_tags(
                transaction, Kind.CAMPAIGN, request["name"], request["tags"]
            ),
        )
    return _named(call, request["name"])


def _show(call: Call) -> dict[str, Any]:
    found = call.parts.campaigns.campaign(call.tenant, call.request["name"])
    if found is None:
        raise NotThere(Kind.CAMPAIGN, call.request["name"])
    return {**found.document, **_named(call, found.name), **_state(found)}


def _update(call: Call) -> dict[str, Any]:
    name, move = call.request["name"], Move(call.request["action"])
    changes = given(call.request, "description", "dataExtraDimensions")
    if changes and move is not Move.UPDATE:
        raise BadField("action", f"{move} changes nothing of a campaign: use UPDATE for that")
    if move is Move.APPROVE and not may(call.principal, Permission.CAMPAIGNS_APPROVE, call.tenant):
        raise NotAllowed(Permission.CAMPAIGNS_APPROVE)
    found = call.parts.campaigns.move(_asker(call), name, move, changes)
    return {**_named(call, name), "status": found.status}


def _remove(call: Call) -> dict[str, Any]:
    name = call.request["name"]
    call.parts.campaigns.remove(_asker(call), name)
    if call.reading().find(Kind.TAGS, f"{Kind.CAMPAIGN}/{name}") is not None:
        call.change(
            "untag",
            Kind.CAMPAIGN,
            name,
            lambda transaction: drop_tags(transaction, Kind.CAMPAIGN, name),
        )
    return _named(call, name)


def _list(call: Call) -> dict[str, Any]:
    status = call.request.get("status", "")

    def fetch(after: str, limit: int) -> list[tuple[str, Any]]:
        found = call.parts.campaigns.listed(call.tenant, after=after, limit=limit, status=status)
        return [(one.name, in_scope(call, _summary(call, one))) for one in found]

    return call.page("campaignSummaries", fetch)


def _asker(call: Call) -> Asker:
    return Asker(call.tenant, call.actor, call.now_ns)


def _named(call: Call, name: str) -> dict[str, Any]:
    return {"name": name, "arn": call.account.arn(Kind.CAMPAIGN, name)}


def _summary(call: Call, found: KeptCampaign) -> dict[str, Any]:
    return {**_named(call, found.name), **given(found.document, *_SUMMARY), **_state(found)}


def _state(found: KeptCampaign) -> dict[str, Any]:
    return {
        "status": found.status,
        "creationTime": seconds(found.created_time_ns),
        "lastModificationTime": seconds(found.changed_time_ns),
    }


OPERATIONS = {
    "CreateCampaign": Operation(Permission.CAMPAIGNS_WRITE, _create),
    "GetCampaign": Operation(Permission.CAMPAIGNS_READ, _show),
    "UpdateCampaign": Operation(Permission.CAMPAIGNS_WRITE, _update),
    "DeleteCampaign": Operation(Permission.CAMPAIGNS_WRITE, _remove),
    "ListCampaigns": Operation(Permission.CAMPAIGNS_READ, _list),
}
