"""Last known states: templates, their changes and what agents report <-> nouns.

Rule 1: foreign bytes become nouns or BadInput, in time and memory bounded by the constants below.
Rule 2: a number or boolean is written in the member of its type, and read from whichever it came in.
"""

from typing import Any

from fairway.errors import BadInput
from fairway.expression.campaign import Value
from fairway.fleetwise.data import (
    CapturedState,
    StateData,
    StateSample,
    StateTemplate,
    StateTemplateChange,
)
from fairway.fleetwise.decoders import Primitive
from fairway.foreign.fleetwise.v1 import state_pb2 as v1
from fairway.wire.fleetwise.reading import read, sync_id

CHANGE_MAX_BYTES = 4 * 1024 * 1024
DATA_MAX_BYTES = 4 * 1024 * 1024
TEMPLATES_MAX = 256
SIGNALS_MAX = 1000
VALUE_MAX_CHARACTERS = 4096
# What a value is -> the member that it travels in, here and in commands.
MEMBERS = {
    Primitive.UNSPECIFIED: "double",
    Primitive.BOOL: "bool",
    Primitive.UINT8: "uint8",
    Primitive.UINT16: "uint16",
    Primitive.UINT32: "uint32",
    Primitive.UINT64: "uint64",
    Primitive.INT8: "int8",
    Primitive.INT16: "int16",
    Primitive.INT32: "int32",
    Primitive.INT64: "int64",
    Primitive.FLOAT32: "float",
    Primitive.FLOAT64: "double",
    Primitive.STRING: "text",
}
_BITS = {
    "uint8": 8,
    "uint16": 16,
    "uint32": 32,
    "uint64": 64,
    "int8": 8,
    "int16": 16,
    "int32": 32,
    "int64": 64,
}


def change_to_bytes(change: StateTemplateChange) -> bytes:
    """Return a StateTemplateChange."""
    message = v1.StateTemplateChange(
        version=change.version,
        decoder_sync_id=change.decoder_sync_id,
        removed_sync_ids=change.removed,
    )
    for one in change.added:
        template = message.added.add(sync_id=one.sync_id, signal_ids=one.signal_ids)
        if one.period_ms:
            template.periodic.period_ms = one.period_ms
        else:
            template.on_change.SetInParent()
    return message.SerializeToString()


def change_from_bytes(data: bytes) -> StateTemplateChange:
    """Read a StateTemplateChange.  Raises BadInput."""
    message = read(
        v1.StateTemplateChange, data, max_bytes=CHANGE_MAX_BYTES, what="a change of state templates"
    )
    if max(len(message.added), len(message.removed_sync_ids)) > TEMPLATES_MAX:
        raise BadInput(f"a change of over {TEMPLATES_MAX} state templates")
    return StateTemplateChange(
        message.version,
        message.decoder_sync_id and sync_id(message.decoder_sync_id, of="a decoder manifest"),
        tuple(map(_template, message.added)),
        tuple(sync_id(one, of="a state template") for one in message.removed_sync_ids),
    )


def state_data_to_bytes(data: StateData, primitives: dict[int, Primitive]) -> bytes:
    """Return a StateData; `primitives` says what the values of a signal are."""
    message = v1.StateData(time_ms=data.time_ms)
    for state in data.states:
        captured = message.states.add(sync_id=state.sync_id)
        for one in state.values:
            primitive = primitives.get(one.signal_id, Primitive.UNSPECIFIED)
            value = captured.values.add(signal_id=one.signal_id)
            try:
                put_value(value, one.value, primitive)
            except BadInput:  # the type promised too little: the value goes all the same
                value.double = float(one.value)
    return message.SerializeToString()


def state_data_from_bytes(data: bytes) -> StateData:
    """Read a StateData.  Raises BadInput."""
    message = read(
        v1.StateData, data, max_bytes=DATA_MAX_BYTES, what="a report of last known states"
    )
    if len(message.states) > TEMPLATES_MAX:
        raise BadInput(f"a report of {len(message.states)} state templates is over {TEMPLATES_MAX}")
    return StateData(message.time_ms, tuple(map(_captured, message.states)))


def put_value(message: Any, value: Value, primitive: Primitive) -> None:
    """Say `value` in the member of its type.  Raises BadInput for one that does not fit there."""
    if isinstance(value, str):
        message.text = value[:VALUE_MAX_CHARACTERS]
        return
    member = MEMBERS[primitive]
    if member == "text":
        raise BadInput(f"{value} is no text, and signal {message.signal_id} takes texts")
    if member == "bool":
        message.bool = bool(value)
    elif member in _BITS:
        setattr(message, member, _whole(value, member, message.signal_id))
    else:
        setattr(message, member, float(value))


def value_of(message: Any, member: str | None) -> float | bool | str:
    """Return the value in `member`.  Raises BadInput for none, or one of a later version."""
    if member is None:
        raise BadInput(f"the value of signal {message.signal_id} is missing, or of a later version")
    value: float | bool | str = getattr(message, member)
    if isinstance(value, str) and len(value) > VALUE_MAX_CHARACTERS:
        raise BadInput(
            f"the value of signal {message.signal_id} is longer than {VALUE_MAX_CHARACTERS} characters"
        )
    return value if isinstance(value, str | bool) else float(value)


def _whole(value: float, member: str, number: int) -> int:
    least = -(1 << (_BITS[member] - 1)) if member.startswith("int") else 0
    most = least + (1 << _BITS[member]) - 1
    if value != value // 1 or not least <= value <= most:
        raise BadInput(f"{value} does not fit signal {number}, which is {member}")
    return int(value)


def _template(message: v1.StateTemplate) -> StateTemplate:
    if len(message.signal_ids) > SIGNALS_MAX:
        raise BadInput(f"a state template has over {SIGNALS_MAX} signals")
    match message.WhichOneof("strategy"):
        case "on_change":
            period_ms = 0
        case "periodic":
            period_ms = message.periodic.period_ms
        case _:
            raise BadInput("a state template does not say when it reports, or by a later version")
    return StateTemplate(
        sync_id(message.sync_id, of="a state template"), tuple(message.signal_ids), period_ms
    )


def _captured(message: v1.CapturedState) -> CapturedState:
    if len(message.values) > SIGNALS_MAX:
        raise BadInput(f"a report of {len(message.values)} values is over {SIGNALS_MAX}")
    return CapturedState(
        sync_id(message.sync_id, of="a state template"),
        tuple(
            StateSample(one.signal_id, value_of(one, one.WhichOneof("value")))
            for one in message.values
        ),
    )
