"""Decoder manifests: FleetWise's operations on them."""

from collections.abc import Mapping
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
from fleet_cloud.models import decoders, manifests
from fleet_cloud.models.decoders import Decoders, Wish
from fleet_cloud.models.documents import Document, Kind, Reference
from fleet_cloud.models.manifests import Status
from fleet_cloud.models.refusals import BadField, InTheWay, TooMany
from fleet_cloud.models.transactions import Transaction

DECODERS_MAX = 10_000
# Whatever a decoder manifest does not map is decoded by the vehicle itself.
_DEFAULT = "defaultForUnmappedSignals"


def _create(call: Call) -> dict[str, Any]:
    request, name = call.request, call.request["name"]
    of = call.account.name("modelManifestArn", request["modelManifestArn"], Kind.MODEL)
    signals = Wish(add=request.get("signalDecoders", ()))
    interfaces = Wish(add=request.get("networkInterfaces", ()))

    def work(transaction: Transaction) -> None:
        model = transaction.get(Kind.MODEL, of)
        if transaction.reaches(Kind.DECODER, DECODERS_MAX):
            raise TooMany(
                Kind.DECODER, name, f"an account has {DECODERS_MAX} decoder manifests at most"
            )
        after = _updated(transaction, model, Decoders({}, {}), signals, interfaces)
        content = {
            **given(request, "description", _DEFAULT),
            "model": of,
            "status": Status.DRAFT.value,
        }
        transaction.new(Kind.DECODER, name, content, frozenset({model.reference}))
        _put(transaction, name, after)
        put_tags(transaction, Kind.DECODER, name, request.get("tags", []))

    call.change("create", Kind.DECODER, name, work)
    return _named(call, name)


def _show(call: Call) -> dict[str, Any]:
    return _view(call, call.reading().get(Kind.DECODER, call.request["name"]))


def _update(call: Call) -> dict[str, Any]:
    request, name = call.request, call.request["name"]
    signals = _wish(request, "signalDecoders")
    interfaces = _wish(request, "networkInterfaces")

    def work(transaction: Transaction) -> None:
        found = transaction.get(Kind.DECODER, name)
        changes = bool(signals or interfaces or given(request, "description", _DEFAULT))
        status = manifests.status_after(
            Kind.DECODER, name, found.content["status"], request.get("status"), changes=changes
        )
        model = transaction.get(Kind.MODEL, found.content["model"])
        after = _updated(transaction, model, _held(transaction, name), signals, interfaces)
        content = {
            **found.content,
            **given(request, "description", _DEFAULT),
            "status": status.value,
        }
        if status == Status.ACTIVE:
            _refuse_unfinished(transaction, model, after, content)
        if signals or interfaces:
            _put(transaction, name, after)
        transaction.put(Kind.DECODER, name, content)

    call.change("update", Kind.DECODER, name, work)
    return _named(call, name)


def _remove(call: Call) -> dict[str, Any]:
    name = call.request["name"]

    def work(transaction: Transaction) -> None:
        if transaction.find(Kind.DECODER, name) is None:
            return
        transaction.refuse_if_used(Reference(Kind.DECODER, name), Kind.VEHICLE)
        for kind in (Kind.DECODER, Kind.DECODER_SIGNALS, Kind.DECODER_INTERFACES):
            transaction.drop(kind, name)
        drop_tags(transaction, Kind.DECODER, name)

    call.change("delete", Kind.DECODER, name, work)
    return _named(call, name)


def _list(call: Call) -> dict[str, Any]:
    of = None
    if "modelManifestArn" in call.request:
        arn = call.request["modelManifestArn"]
        of = Reference(Kind.MODEL, call.account.name("modelManifestArn", arn, Kind.MODEL))
    return listed(call, "summaries", Kind.DECODER, lambda found: _view(call, found), of)


def _list_signals(call: Call) -> dict[str, Any]:
    return call.page("signalDecoders", sliced(_read(call).signals))


def _list_interfaces(call: Call) -> dict[str, Any]:
    return call.page("networkInterfaces", sliced(_read(call).interfaces))


def _import(_call: Call) -> dict[str, Any]:
    raise BadField(
        "networkFileDefinitions",
        "CAN databases are read where vehicles are, not by this cloud: send signalDecoders and"
        " networkInterfaces to CreateDecoderManifest",
    )


def _wish(request: Mapping[str, Any], member: str) -> Wish:
    add, update, remove = (
        request.get(f"{member}To{verb}", ()) for verb in ("Add", "Update", "Remove")
    )
    return Wish(add, update, remove)


def _updated(
    transaction: Transaction, model: Document, before: Decoders, signals: Wish, interfaces: Wish
) -> Decoders:
    if not signals and not interfaces:
        return before
    nodes = transaction.content(Kind.CATALOG_NODES, model.content["catalog"])
    paths = frozenset(transaction.content(Kind.MODEL_NODES, model.name))
    return decoders.updated(before, signals, interfaces, paths, nodes)


def _refuse_unfinished(
    transaction: Transaction, model: Document, held: Decoders, content: Mapping[str, Any]
) -> None:
    """Raise InTheWay or BadDecoders unless a manifest may become ACTIVE."""
    if model.content["status"] != Status.ACTIVE:
        why = f"the model-manifest {model.name} is not ACTIVE: vehicles are decoded once it is"
        raise InTheWay(Kind.MODEL, model.name, why)
    if _DEFAULT not in content:
        nodes = transaction.content(Kind.CATALOG_NODES, model.content["catalog"])
        paths = transaction.content(Kind.MODEL_NODES, model.name)
        decoders.refuse_incomplete(held, manifests.decoded(paths, nodes))


def _held(transaction: Transaction, name: str) -> Decoders:
    return Decoders(
        transaction.content(Kind.DECODER_SIGNALS, name),
        transaction.content(Kind.DECODER_INTERFACES, name),
    )


def _put(transaction: Transaction, name: str, after: Decoders) -> None:
    transaction.put(Kind.DECODER_SIGNALS, name, after.signals)
    transaction.put(Kind.DECODER_INTERFACES, name, after.interfaces)


def _read(call: Call) -> Decoders:
    transaction, name = call.reading(), call.request["name"]
    transaction.get(Kind.DECODER, name)
    return _held(transaction, name)


def _named(call: Call, name: str) -> dict[str, Any]:
    return {"name": name, "arn": call.account.arn(Kind.DECODER, name)}


def _view(call: Call, found: Document) -> dict[str, Any]:
    return {
        **_named(call, found.name),
        "modelManifestArn": call.account.arn(Kind.MODEL, found.content["model"]),
        **given(found.content, "description", "status"),
        **times(found),
    }


OPERATIONS = {
    "CreateDecoderManifest": Operation(Permission.MODELS_WRITE, _create),
    "GetDecoderManifest": Operation(Permission.MODELS_READ, _show),
    "UpdateDecoderManifest": Operation(Permission.MODELS_WRITE, _update),
    "DeleteDecoderManifest": Operation(Permission.MODELS_WRITE, _remove),
    "ListDecoderManifests": Operation(Permission.MODELS_READ, _list),
    "ListDecoderManifestSignals": Operation(Permission.MODELS_READ, _list_signals),
    "ListDecoderManifestNetworkInterfaces": Operation(Permission.MODELS_READ, _list_interfaces),
    "ImportDecoderManifest": Operation(Permission.MODELS_WRITE, _import),
}
