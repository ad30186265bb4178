"""Tags of whatever has an ARN: FleetWise's operations on them."""

from collections.abc import Mapping, Sequence
from typing import Any

from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.fleetwise_calls import Call, Operation
from fleet_cloud.models.documents import Kind
from fleet_cloud.models.refusals import BadField, NotThere, TooMany
from fleet_cloud.models.transactions import Transaction

# As AWS has it.
TAGS_MAX = 50
_KINDS = (
    Kind.CATALOG,
    Kind.MODEL,
    Kind.DECODER,
    Kind.FLEET,
    Kind.VEHICLE,
    Kind.TEMPLATE,
    Kind.CAMPAIGN,
)


def put_tags(
    transaction: Transaction, kind: Kind, name: str, tags: Sequence[Mapping[str, str]]
) -> None:
    """Give tags to something, beside those that it has.  Raises BadField, TooMany, Unavailable."""
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) < len(keys):
        raise BadField("tags", "a key is there twice")
    if any(key.lower().startswith("aws:") for key in keys):
        raise BadField("tags", "a key begins with aws:, which is AWS's own")
    known = transaction.find(Kind.TAGS, f"{kind}/{name}")
    wanted = {**(known.content if known else {}), **{tag["Key"]: tag["Value"] for tag in tags}}
    if len(wanted) > TAGS_MAX:
        raise TooMany(kind, name, f"something has {TAGS_MAX} tags at most")
    if wanted:
        transaction.put(Kind.TAGS, f"{kind}/{name}", wanted)


def drop_tags(transaction: Transaction, kind: Kind, name: str) -> None:
    """Forget the tags of something that goes."""
    transaction.drop(Kind.TAGS, f"{kind}/{name}")


def _tag(call: Call) -> dict[str, Any]:
    kind, name = _meant(call)

    def work(transaction: Transaction) -> None:
        _require(call, transaction, kind, name)
        put_tags(transaction, kind, name, call.request["Tags"])

    call.change("tag", kind, name, work)
    return {}


def _untag(call: Call) -> dict[str, Any]:
    kind, name = _meant(call)

    def work(transaction: Transaction) -> None:
        _require(call, transaction, kind, name)
        known = transaction.find(Kind.TAGS, f"{kind}/{name}")
        if known is not None:
            gone = set(call.request["TagKeys"])
            left = {key: value for key, value in known.content.items() if key not in gone}
            transaction.put(Kind.TAGS, f"{kind}/{name}", left)

    call.change("untag", kind, name, work)
    return {}


def _list_tags(call: Call) -> dict[str, Any]:
    kind, name = _meant(call)
    transaction = call.reading()
    _require(call, transaction, kind, name)
    known = transaction.find(Kind.TAGS, f"{kind}/{name}")
    tags = known.content if known else {}
    return {"Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}


def _require(call: Call, transaction: Transaction, kind: Kind, name: str) -> None:
    """Raise NotThere unless there is something of that name."""
    if kind is not Kind.CAMPAIGN:
        transaction.get(kind, name)
    elif call.parts.campaigns.campaign(call.tenant, name) is None:
        raise NotThere(kind, name)


def _meant(call: Call) -> tuple[Kind, str]:
    kind, name = call.account.named("ResourceARN", call.request["ResourceARN"], *_KINDS)
    return Kind(kind), name


OPERATIONS = {
    "TagResource": Operation(Permission.MODELS_WRITE, _tag),
    "UntagResource": Operation(Permission.MODELS_WRITE, _untag),
    "ListTagsForResource": Operation(Permission.MODELS_READ, _list_tags),
}
