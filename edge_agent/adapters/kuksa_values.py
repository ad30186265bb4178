"""Values as the messages of `kuksa.val` carry them, v1 and v2, and back.

    float  > member `float`        uint8 > member `uint32`        string[] > member `string_array`, its `values`

Rule 1: a value travels in the member that its data type names; one in another member does not fit.
"""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from edge_agent.broker.values import Limits, Value, check
from fairway.clock import NS_PER_S
from fairway.errors import BadInput
from fairway.foreign.kuksa.val.v2 import types_pb2

_NARROW = {
    "boolean": "bool",
    "int8": "int32",
    "int16": "int32",
    "uint8": "uint32",
    "uint16": "uint32",
}
DATA_TYPES = {
    datatype + suffix: getattr(types_pb2, f"DATA_TYPE_{datatype.upper()}{word}")
    for datatype in (
        *("string", "boolean", "float", "double"),
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    )
    for suffix, word in (("", ""), ("[]", "_ARRAY"))
}
ENTRY_TYPES = {
    kind: getattr(types_pb2, f"ENTRY_TYPE_{kind.upper()}")
    for kind in ("attribute", "sensor", "actuator")
}


def member_of(datatype: str) -> str:
    """Return the member that values of a data type travel in."""
    inner = datatype.removesuffix("[]")
    member = _NARROW.get(inner, inner)
    return f"{member}_array" if datatype.endswith("[]") else member


def fill(message: Any, member: str, value: Value) -> None:
    """Set the member of a Value of v2 or a Datapoint of v1."""
    if isinstance(value, tuple):
        # An array without items is there all the same.
        array = getattr(message, member)
        array.SetInParent()
        array.values.extend(value)
    else:
        setattr(message, member, value)


def read(message: Any, oneof: str) -> tuple[str, Value | None]:
    """Return which member of a Value of v2 or a Datapoint of v1 is set, and its value; None when none is."""
    member = message.WhichOneof(oneof)
    if member is None:
        return "", None
    value = getattr(message, member)
    return member, tuple(value.values) if member.endswith("_array") else value


def checked(limits: Limits, expected: str, message: Any, oneof: str) -> Value | None:
    """Return the value of a message as its signal takes it; None: there is none.  Raises BadInput."""
    member, value = read(message, oneof)
    if value is None:
        return None
    if member != expected:
        raise BadInput(f"{limits.path} takes a value in {expected}, not in {member}")
    return check(limits, value)


def stamp(message: Timestamp, time_ns: int) -> None:
    """Set a time stamp."""
    message.seconds, message.nanos = divmod(time_ns, NS_PER_S)


def stamp_ns(message: Timestamp) -> int:
    """Return a time stamp, 0 when there is none or it is out of the question."""
    time_ns = message.seconds * NS_PER_S + message.nanos
    return time_ns if 0 <= time_ns < 1 << 62 else 0
