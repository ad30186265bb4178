"""A decoder manifest: how the signals of a model are read from a vehicle's networks.

    signal decoder  --interfaceId-->  network interface
    CAN_SIGNAL                        CAN_INTERFACE
    OBD_SIGNAL                        OBD_INTERFACE
    MESSAGE_SIGNAL                    VEHICLE_MIDDLEWARE
    CUSTOM_DECODING_SIGNAL            CUSTOM_DECODING_INTERFACE

Rule 1: a decoder is for a signal of the model, over an interface of the manifest that is of its kind.
Rule 2: an ACTIVE manifest decodes every sensor and actuator of its model, or has said that whatever is left
is decoded by the vehicle itself (`defaultForUnmappedSignals`).
Rule 3: every fault of a request is told at once, with FleetWise's own word for it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet_cloud.models.catalog import NODES_MAX, Nodes, kind_of
from fleet_cloud.models.refusals import BadDecoders, BadField, Fault, NotThere, TooMany

# A vehicle has tens of buses and middlewares.
INTERFACES_MAX = 500
# The longest message of CAN FD, and the widest value that travels.
_CAN_BITS, _VALUE_BITS = 512, 64

Document = Mapping[str, Any]

# type of a decoder: the member that tells it, what is said when that is missing, the type of its interface
_SIGNALS = {
    "CAN_SIGNAL": ("canSignal", "CAN_SIGNAL_INFO_IS_NULL", "CAN_INTERFACE"),
    "OBD_SIGNAL": ("obdSignal", "OBD_SIGNAL_INFO_IS_NULL", "OBD_INTERFACE"),
    "MESSAGE_SIGNAL": ("messageSignal", "MESSAGE_SIGNAL_INFO_IS_NULL", "VEHICLE_MIDDLEWARE"),
    "CUSTOM_DECODING_SIGNAL": (
        "customDecodingSignal",
        "CUSTOM_DECODING_SIGNAL_INFO_IS_NULL",
        "CUSTOM_DECODING_INTERFACE",
    ),
}
_INTERFACES = {
    "CAN_INTERFACE": ("canInterface", "CAN_NETWORK_INTERFACE_INFO_IS_NULL"),
    "OBD_INTERFACE": ("obdInterface", "OBD_NETWORK_INTERFACE_INFO_IS_NULL"),
    "VEHICLE_MIDDLEWARE": (
        "vehicleMiddleware",
        "VEHICLE_MIDDLEWARE_NETWORK_INTERFACE_INFO_IS_NULL",
    ),
    "CUSTOM_DECODING_INTERFACE": (
        "customDecodingInterface",
        "CUSTOM_DECODING_SIGNAL_NETWORK_INTERFACE_INFO_IS_NULL",
    ),
}


@dataclass(frozen=True, slots=True)
class Decoders:
    """What a decoder manifest holds."""

    signals: Mapping[str, Document]  # by path
    interfaces: Mapping[str, Document]  # by id


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to become of one of the two lists."""

    add: Sequence[Document] = ()
    update: Sequence[Document] = ()
    remove: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.update or self.remove)


def updated(
    before: Decoders, signals: Wish, interfaces: Wish, model: Collection[str], catalog: Nodes
) -> Decoders:
    """Return the manifest after an update, for a model of these paths.

    Raises BadDecoders, NotThere, BadField, TooMany.
    """
    faults = _twice(signals, _path, "SIGNAL", "SIGNAL_TO_ADD_ALREADY_EXISTS", before.signals)
    odd = _twice(
        interfaces,
        _id,
        "NETWORK_INTERFACE",
        "NETWORK_INTERFACE_TO_ADD_ALREADY_EXISTS",
        before.interfaces,
    )
    _refuse(faults, odd)
    after = Decoders(
        _applied(before.signals, signals, _path, "signal decoder"),
        _applied(before.interfaces, interfaces, _id, "network interface"),
    )
    if len(after.signals) > NODES_MAX:
        raise TooMany("decoder-manifest", "signals", f"{NODES_MAX} decoders are the most")
    if len(after.interfaces) > INTERFACES_MAX:
        raise TooMany("decoder-manifest", "interfaces", f"{INTERFACES_MAX} interfaces are the most")
    touched = (*signals.add, *signals.update)
    faults = [fault for one in touched if (fault := _fault(one, after, model, catalog))]
    _refuse(faults, _interface_faults(after, interfaces))
    for one in touched:
        _refuse_misfit(one)
    return after


def refuse_incomplete(decoders: Decoders, needed: Iterable[str]) -> None:
    """Raise BadDecoders when a signal that needs a decoder has none."""
    word = "NO_DECODER_INFO_FOR_SIGNAL_IN_MODEL"
    _refuse([Fault(path, word) for path in needed if path not in decoders.signals], [])


def _twice(
    wish: Wish,
    name: Callable[[Document], str],
    noun: str,
    exists: str,
    before: Mapping[str, Document],
) -> list[Fault]:
    added, changed = list(map(name, wish.add)), list(map(name, wish.update))
    doubled = [Fault(one, f"DUPLICATE_{noun}") for one in _repeated(added) + _repeated(changed)]
    across = set(added) & set(changed) | (set(added) | set(changed)) & set(wish.remove)
    crossed = [Fault(one, f"CONFLICTING_{noun}") for one in sorted(across)]
    return doubled + crossed + [Fault(one, exists) for one in added if one in before]


def _repeated(names: list[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _applied(
    before: Mapping[str, Document], wish: Wish, name: Callable[[Document], str], noun: str
) -> dict[str, Document]:
    for one in (*map(name, wish.update), *wish.remove):
        if one not in before:
            raise NotThere(noun, one)
    left = {key: value for key, value in before.items() if key not in set(wish.remove)}
    return {**left, **{name(one): one for one in (*wish.add, *wish.update)}}


def _fault(
    signal: Document, after: Decoders, model: Collection[str], catalog: Nodes
) -> Fault | None:
    path = _path(signal)
    member, missing, wanted = _SIGNALS[signal["type"]]
    interface = after.interfaces.get(signal["interfaceId"])
    if member not in signal:
        return Fault(path, missing)
    if interface is None:
        why = f"there is no interface {signal['interfaceId']}"
        return Fault(path, "SIGNAL_NOT_ASSOCIATED_WITH_NETWORK_INTERFACE", why)
    if interface["type"] != wanted:
        word = "NETWORK_INTERFACE_TYPE_INCOMPATIBLE_WITH_SIGNAL_DECODER_TYPE"
        return Fault(path, word, f"a {signal['type']} needs a {wanted}")
    return _node_fault(path, model, catalog)


def _node_fault(path: str, model: Collection[str], catalog: Nodes) -> Fault | None:
    if path not in catalog:
        return Fault(path, "NO_SIGNAL_IN_CATALOG_FOR_DECODER_SIGNAL")
    if path not in model:
        return Fault(path, "SIGNAL_NOT_IN_MODEL")
    if kind_of(catalog[path]) in ("branch", "struct"):
        word = "SIGNAL_DECODER_INCOMPATIBLE_WITH_SIGNAL_CATALOG"
        return Fault(path, word, f"a {kind_of(catalog[path])} has no value")
    return None


def _interface_faults(after: Decoders, wish: Wish) -> list[Fault]:
    faults = []
    for one in (*wish.add, *wish.update):
        member, missing = _INTERFACES[one["type"]]
        if member not in one:
            faults.append(Fault(_id(one), missing))
    in_use = {signal["interfaceId"] for signal in after.signals.values()}
    word = "NETWORK_INTERFACE_TO_REMOVE_ASSOCIATED_WITH_SIGNALS"
    faults += [Fault(one, word) for one in wish.remove if one in in_use]
    changed = {_id(one) for one in wish.update}
    odd = [
        signal
        for signal in after.signals.values()
        if signal["interfaceId"] in changed
        and after.interfaces[signal["interfaceId"]]["type"] != _SIGNALS[signal["type"]][2]
    ]
    return faults + [Fault(one["interfaceId"], "CONFLICTING_NETWORK_INTERFACE") for one in odd[:1]]


def _refuse_misfit(signal: Document) -> None:
    """Refuse a CAN signal that no message can carry."""
    can = signal.get("canSignal")
    if can is None:
        return
    if not 0 < can["length"] <= _VALUE_BITS or can["startBit"] >= _CAN_BITS:
        why = f"has {can['length']} bits from bit {can['startBit']} on"
        raise BadField(
            f"{_path(signal)}.canSignal", f"{why}: 1 to {_VALUE_BITS} below {_CAN_BITS} fit"
        )


def _refuse(signals: Sequence[Fault], interfaces: Sequence[Fault]) -> None:
    if signals or interfaces:
        raise BadDecoders(signals, interfaces)


def _path(signal: Document) -> str:
    return str(signal["fullyQualifiedName"])


def _id(interface: Document) -> str:
    return str(interface["interfaceId"])
