"""Documents of AWS IoT FleetWise's API, as nouns: nodes of a catalogue, decoders, network interfaces.

    [{"sensor": {"fullyQualifiedName": "Vehicle.Speed", "dataType": "DOUBLE"}}]     nodes_of, nodes_document
    [{"fullyQualifiedName": ..., "type": "CAN_SIGNAL", "canSignal": {...}}]         decoders_of, ..._document
    [{"interfaceId": "1", "type": "CAN_INTERFACE", "canInterface": {...}}]          interfaces_of, ..._document

Rule 1: what comes in goes out equal: what was left out is None, and is left out again.
Rule 2: every error begins with the path of the field, as in [3].canSignal.startBit.
Rule 3: structured messages are kept as JSON: nothing here reads them.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass
from dataclasses import fields as fields_of_class
from typing import Any, ClassVar, TypeAlias, TypeVar

from fairway.campaign.fields import Fields, fields_of
from fairway.errors import BadInput

# A catalogue of every vehicle of a maker has some 20,000 nodes; the API takes them in pieces of 500.
ITEMS_MAX = 65_536
NAME_MAX_CHARACTERS = 150
TEXT_MAX_CHARACTERS = 4_096
ALLOWED_MAX = 1_000
STRUCTURE_MAX_BYTES = 262_144
_UINT32_MAX = (1 << 32) - 1

Reader: TypeAlias = Callable[[Fields, str], Any]
Item = TypeVar("Item")


def _text(fields: Fields, key: str) -> str | None:
    found = fields.text(key)
    if found is not None and len(found) > TEXT_MAX_CHARACTERS:
        raise BadInput(f"{fields.path}.{key}: has over {TEXT_MAX_CHARACTERS} characters")
    return found


def _name(fields: Fields, key: str) -> str | None:
    return fields.needed_text(key, most=NAME_MAX_CHARACTERS) if key in fields else None


def _whole(fields: Fields, key: str) -> int | None:
    return fields.whole(key, 0, _UINT32_MAX)


def _number(fields: Fields, key: str) -> float | None:
    return fields.number(key, -1e308, 1e308)


def _truth(fields: Fields, key: str) -> bool | None:
    if key not in fields:
        return None
    found = fields.taken(key)
    if not isinstance(found, bool):
        raise BadInput(f"{fields.path}.{key}: must be true or false, not {found!r:.80}")
    return found


def _texts(fields: Fields, key: str) -> tuple[str, ...] | None:
    if key not in fields:
        return None
    return fields.needed_texts(key, most=ALLOWED_MAX, characters=TEXT_MAX_CHARACTERS)


def _json(fields: Fields, key: str) -> str | None:
    if key not in fields:
        return None
    found = json.dumps(fields.taken(key))
    if len(found) > STRUCTURE_MAX_BYTES:
        raise BadInput(f"{fields.path}.{key}: is larger than {STRUCTURE_MAX_BYTES} bytes")
    return found


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a catalogue; `kind` is branch, sensor, actuator, attribute, struct or property."""

    KINDS: ClassVar[tuple[str, ...]] = (
        "branch", "sensor", "actuator", "attribute", "struct", "property",
    )  # fmt: skip
    TABLE: ClassVar[dict[str, tuple[str, Reader]]] = {
        "name": ("fullyQualifiedName", _name),
        "data_type": ("dataType", _name),
        "description": ("description", _text),
        "unit": ("unit", _text),
        "minimum": ("min", _number),
        "maximum": ("max", _number),
        "allowed": ("allowedValues", _texts),
        "default": ("defaultValue", _text),
        "assigned": ("assignedValue", _text),
        "encoding": ("dataEncoding", _name),
        "struct": ("structFullyQualifiedName", _name),
        "deprecation": ("deprecationMessage", _text),
        "comment": ("comment", _text),
    }

    kind: str
    name: str
    data_type: str | None = None
    description: str | None = None
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    default: str | None = None
    assigned: str | None = None
    encoding: str | None = None
    struct: str | None = None
    deprecation: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class CanDecoder:
    """How a signal is read from a CAN frame; `start_bit` is the least significant one."""

    TABLE: ClassVar[dict[str, tuple[str, Reader]]] = {
        "frame_id": ("messageId", _whole),
        "is_big_endian": ("isBigEndian", _truth),
        "is_signed": ("isSigned", _truth),
        "start_bit": ("startBit", _whole),
        "offset": ("offset", _number),
        "factor": ("factor", _number),
        "length_bits": ("length", _whole),
        "name": ("name", _name),
        "value_type": ("signalValueType", _name),
    }

    frame_id: int
    is_big_endian: bool
    is_signed: bool
    start_bit: int
    offset: float
    factor: float
    length_bits: int
    name: str | None = None
    value_type: str | None = None


@dataclass(frozen=True, slots=True)
class ObdDecoder:
    """How a signal is read from the answer to a J1979 request."""

    TABLE: ClassVar[dict[str, tuple[str, Reader]]] = {
        "response_bytes": ("pidResponseLength", _whole),
        "service": ("serviceMode", _whole),
        "pid": ("pid", _whole),
        "factor": ("scaling", _number),
        "offset": ("offset", _number),
        "start_byte": ("startByte", _whole),
        "length_bytes": ("byteLength", _whole),
        "right_shift_bits": ("bitRightShift", _whole),
        "mask_bits": ("bitMaskLength", _whole),
        "is_signed": ("isSigned", _truth),
        "value_type": ("signalValueType", _name),
    }

    response_bytes: int
    service: int
    pid: int
    factor: float
    offset: float
    start_byte: int
    length_bytes: int
    right_shift_bits: int | None = None
    mask_bits: int | None = None
    is_signed: bool | None = None
    value_type: str | None = None


@dataclass(frozen=True, slots=True)
class CustomDecoder:
    """A word that a part of the agent knows."""

    TABLE: ClassVar[dict[str, tuple[str, Reader]]] = {"id": ("id", _name)}

    id: str


@dataclass(frozen=True, slots=True)
class MessageDecoder:
    """A structured message of a middleware."""

    TABLE: ClassVar[dict[str, tuple[str, Reader]]] = {
        "topic": ("topicName", _text),
        "structure": ("structuredMessage", _json),
    }

    topic: str
    structure: str  # JSON


@dataclass(frozen=True, slots=True)
class CanInterface:
    """A CAN bus."""

    TABLE: ClassVar[dict[str, tuple[str, Reader]]] = {
        "name": ("name", _name),
        "protocol": ("protocolName", _name),
        "version": ("protocolVersion", _name),
    }

    name: str
    protocol: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ObdInterface:
    """Where J1979 requests are sent."""

    TABLE: ClassVar[dict[str, tuple[str, Reader]]] = {
        "name": ("name", _name),
        "request_id": ("requestMessageId", _whole),
        "standard": ("obdStandard", _name),
        "pid_interval_s": ("pidRequestIntervalSeconds", _whole),
        "dtc_interval_s": ("dtcRequestIntervalSeconds", _whole),
        "has_extended_ids": ("useExtendedIds", _truth),
        "has_transmission_ecu": ("hasTransmissionEcu", _truth),
    }

    name: str
    request_id: int
    standard: str | None = None
    pid_interval_s: int | None = None
    dtc_interval_s: int | None = None
    has_extended_ids: bool | None = None
    has_transmission_ecu: bool | None = None


@dataclass(frozen=True, slots=True)
class Middleware:
    """A middleware with structured messages."""

    TABLE: ClassVar[dict[str, tuple[str, Reader]]] = {
        "name": ("name", _name),
        "protocol": ("protocolName", _name),
    }

    name: str
    protocol: str


@dataclass(frozen=True, slots=True)
class CustomInterface:
    """A part of the agent that reads signals by words."""

    TABLE: ClassVar[dict[str, tuple[str, Reader]]] = {"name": ("name", _name)}

    name: str


How: TypeAlias = CanDecoder | ObdDecoder | CustomDecoder | MessageDecoder
Where: TypeAlias = CanInterface | ObdInterface | Middleware | CustomInterface

_DECODERS: dict[str, tuple[str, type]] = {
    "CAN_SIGNAL": ("canSignal", CanDecoder),
    "OBD_SIGNAL": ("obdSignal", ObdDecoder),
    "CUSTOM_DECODING_SIGNAL": ("customDecodingSignal", CustomDecoder),
    "MESSAGE_SIGNAL": ("messageSignal", MessageDecoder),
}
_INTERFACES: dict[str, tuple[str, type]] = {
    "CAN_INTERFACE": ("canInterface", CanInterface),
    "OBD_INTERFACE": ("obdInterface", ObdInterface),
    "VEHICLE_MIDDLEWARE": ("vehicleMiddleware", Middleware),
    "CUSTOM_DECODING_INTERFACE": ("customDecodingInterface", CustomInterface),
}


@dataclass(frozen=True, slots=True)
class SignalDecoder:
    """How one signal is read, and on which interface."""

    name: str
    interface: str
    how: How


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """Where signals are read."""

    id: str
    where: Where


def nodes_of(document: object) -> tuple[Node, ...]:
    """Return the nodes of a parsed document.  Raises BadInput."""
    return _each(document, _node)


def nodes_document(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    """Return the document of `nodes`, for json.dumps."""
    return [{one.kind: _written(one)} for one in nodes]


def decoders_of(document: object) -> tuple[SignalDecoder, ...]:
    """Return the decoders of a parsed document.  Raises BadInput."""
    return _each(document, _decoder)


def decoders_document(decoders: Iterable[SignalDecoder]) -> list[dict[str, Any]]:
    """Return the document of `decoders`, for json.dumps."""
    return [
        {"fullyQualifiedName": one.name, "interfaceId": one.interface} | _kind(one.how, _DECODERS)
        for one in decoders
    ]


def interfaces_of(document: object) -> tuple[NetworkInterface, ...]:
    """Return the interfaces of a parsed document.  Raises BadInput."""
    return _each(document, _interface)


def interfaces_document(interfaces: Iterable[NetworkInterface]) -> list[dict[str, Any]]:
    """Return the document of `interfaces`, for json.dumps."""
    return [{"interfaceId": one.id} | _kind(one.where, _INTERFACES) for one in interfaces]


def _each(document: object, one: Callable[[Fields], Item]) -> tuple[Item, ...]:
    if not isinstance(document, Sequence) or isinstance(document, str | bytes):
        raise BadInput(f"the document is no list: {document!r:.80}")
    if len(document) > ITEMS_MAX:
        raise BadInput(f"the document has {len(document)} items; at most {ITEMS_MAX} are taken")
    return tuple(one(fields_of(item, f"[{at}]")) for at, item in enumerate(document))


def _node(fields: Fields) -> Node:
    kinds = [kind for kind in Node.KINDS if kind in fields]
    if len(kinds) != 1:
        raise BadInput(f"{fields.path}: a node is one of {', '.join(Node.KINDS)}")
    node: Node = _read(Node, fields.needed_table(kinds[0]), kind=kinds[0])
    fields.nothing_else()
    return node


def _decoder(fields: Fields) -> SignalDecoder:
    name = fields.needed_text("fullyQualifiedName", most=NAME_MAX_CHARACTERS)
    interface = fields.needed_text("interfaceId", most=NAME_MAX_CHARACTERS)
    return SignalDecoder(name, interface, _of_kind(fields, _DECODERS))


def _interface(fields: Fields) -> NetworkInterface:
    number = fields.needed_text("interfaceId", most=NAME_MAX_CHARACTERS)
    return NetworkInterface(number, _of_kind(fields, _INTERFACES))


def _of_kind(fields: Fields, kinds: dict[str, tuple[str, type]]) -> Any:
    kind = fields.needed_text("type", most=NAME_MAX_CHARACTERS)
    if kind not in kinds:
        raise BadInput(f"{fields.path}.type: is {kind!r:.80}; choose from {', '.join(kinds)}")
    key, noun = kinds[kind]
    found = _read(noun, fields.needed_table(key))
    fields.nothing_else()
    return found


def _kind(noun: Any, kinds: dict[str, tuple[str, type]]) -> dict[str, Any]:
    kind, key = next((kind, key) for kind, (key, one) in kinds.items() if type(noun) is one)
    return {"type": kind, key: _written(noun)}


def _read(noun: Any, fields: Fields, **known: str) -> Any:
    values = {name: read(fields, key) for name, (key, read) in noun.TABLE.items()}
    for one in fields_of_class(noun):
        if one.name in values and values[one.name] is None and one.default is MISSING:
            raise BadInput(f"{fields.path}.{noun.TABLE[one.name][0]}: is missing")
    fields.nothing_else()
    return noun(**known, **values)


def _written(noun: Any) -> dict[str, Any]:
    document = {}
    for name, (key, read) in noun.TABLE.items():
        value = getattr(noun, name)
        if value is not None:
            document[key] = json.loads(value) if read is _json else _plain(value)
    return document


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
