"""Decoder manifests: bytes as FleetWise's agents take them <-> nouns.

Rule 1: a manifest that is read is written equal, structured signals and all.
Rule 2: foreign bytes become nouns or BadInput, in time and memory bounded by the constants below.
"""

import math
from typing import Any

from fairway.errors import BadInput
from fairway.fleetwise.decoders import (
    CanSignal,
    ComplexArray,
    ComplexPrimitive,
    ComplexSignal,
    ComplexStruct,
    ComplexText,
    ComplexType,
    CustomSignal,
    DecoderManifest,
    ObdSignal,
    Primitive,
    Variant,
)
from fairway.foreign.fleetwise.v1 import decoder_pb2 as v1
from fairway.wire.fleetwise.reading import name, read, sync_id

# 65,536 signals of 60 bytes.
MANIFEST_MAX_BYTES = 8 * 1024 * 1024
# As many as a dictionary of ours has.
SIGNALS_MAX = 65_536
# Every type of a ROS 2 system, and members of each.
TYPES_MAX = 65_536
MEMBERS_MAX = 65_536
_BIT_MAX = 511  # of 64 bytes
_BYTE_MAX = 255
_VARIANTS: dict[type, str] = {
    ComplexPrimitive: "primitive",
    ComplexStruct: "struct",
    ComplexArray: "array",
    ComplexText: "text",
}


def manifest_to_bytes(manifest: DecoderManifest) -> bytes:
    """Return a DecoderManifest."""
    return v1.DecoderManifest(
        sync_id=manifest.sync_id,
        can_signals=map(_can_message, manifest.can),
        obd_signals=map(_obd_message, manifest.obd),
        custom_signals=[
            v1.CustomSignal(
                signal_id=one.id,
                interface_id=one.interface,
                decoder=one.decoder,
                primitive=v1.Primitive.ValueType(one.primitive),
            )
            for one in manifest.custom
        ],
        complex_types=map(_type_message, manifest.complex_types),
        complex_signals=[
            v1.ComplexSignal(
                signal_id=one.id,
                interface_id=one.interface,
                message_id=one.message,
                root_type_id=one.root_type,
            )
            for one in manifest.complex_signals
        ],
    ).SerializeToString()


def manifest_from_bytes(data: bytes) -> DecoderManifest:
    """Read a DecoderManifest.  Raises BadInput."""
    message = read(
        v1.DecoderManifest, data, max_bytes=MANIFEST_MAX_BYTES, what="a decoder manifest"
    )
    signals = (
        len(message.can_signals)
        + len(message.obd_signals)
        + len(message.custom_signals)
        + len(message.complex_signals)
    )
    if signals > SIGNALS_MAX or len(message.complex_types) > TYPES_MAX:
        raise BadInput(
            f"a decoder manifest of {signals} signals and {len(message.complex_types)} types is over the"
            f" limits of {SIGNALS_MAX} and {TYPES_MAX}"
        )
    return DecoderManifest(
        sync_id(message.sync_id, of="a decoder manifest"),
        tuple(map(_can, message.can_signals)),
        tuple(map(_obd, message.obd_signals)),
        tuple(map(_custom, message.custom_signals)),
        tuple(ComplexType(one.type_id, _variant(one)) for one in message.complex_types),
        tuple(
            ComplexSignal(
                one.signal_id,
                name(one.interface_id, of="an interface"),
                name(one.message_id, of="a message"),
                one.root_type_id,
            )
            for one in message.complex_signals
        ),
    )


def _can_message(signal: CanSignal) -> v1.CanSignal:
    return v1.CanSignal(
        signal_id=signal.id,
        interface_id=signal.interface,
        frame_id=signal.frame_id,
        is_big_endian=signal.is_big_endian,
        is_signed=signal.is_signed,
        start_bit=signal.start_bit,
        offset=signal.offset,
        factor=signal.factor,
        length_bits=signal.length_bits,
        primitive=v1.Primitive.ValueType(signal.primitive),
        raw_kind=v1.RAW_KIND_FLOAT if signal.is_float else v1.RAW_KIND_INTEGER,
    )


def _can(message: v1.CanSignal) -> CanSignal:
    if message.start_bit > _BIT_MAX or not 1 <= message.length_bits <= 64:
        raise BadInput(
            f"signal {message.signal_id}: {message.length_bits} bits at bit {message.start_bit}; a signal has"
            f" 1 to 64 bits, a frame {_BIT_MAX + 1}"
        )
    if message.frame_id >= 1 << 29:
        raise BadInput(
            f"signal {message.signal_id}: {message.frame_id} is no id of a frame, which has up to 29 bits"
        )
    return CanSignal(
        id=message.signal_id,
        interface=name(message.interface_id, of="an interface"),
        frame_id=message.frame_id,
        start_bit=message.start_bit,
        length_bits=message.length_bits,
        is_big_endian=message.is_big_endian,
        is_signed=message.is_signed,
        is_float=_is_float(message),
        factor=_finite(message.factor, message.signal_id),
        offset=_finite(message.offset, message.signal_id),
        primitive=_primitive(message.primitive),
    )


def _obd_message(signal: ObdSignal) -> v1.ObdSignal:
    return v1.ObdSignal(
        signal_id=signal.id,
        interface_id=signal.interface,
        response_bytes=signal.response_bytes,
        service=signal.service,
        pid=signal.pid,
        factor=signal.factor,
        offset=signal.offset,
        start_byte=signal.start_byte,
        length_bytes=signal.length_bytes,
        right_shift_bits=signal.right_shift_bits,
        mask_bits=signal.mask_bits,
        primitive=v1.Primitive.ValueType(signal.primitive),
        raw_kind=v1.RAW_KIND_FLOAT if signal.is_float else v1.RAW_KIND_INTEGER,
        is_signed=signal.is_signed,
    )


def _obd(message: v1.ObdSignal) -> ObdSignal:
    numbers = (
        message.service,
        message.pid,
        message.response_bytes,
        message.start_byte,
        message.length_bytes,
        message.right_shift_bits,
        message.mask_bits,
    )
    if max(numbers) > _BYTE_MAX:
        raise BadInput(
            f"signal {message.signal_id}: services, PIDs, bytes and bits of OBD are numbers up to {_BYTE_MAX}"
        )
    return ObdSignal(
        id=message.signal_id,
        interface=name(message.interface_id, of="an interface"),
        service=message.service,
        pid=message.pid,
        response_bytes=message.response_bytes,
        start_byte=message.start_byte,
        length_bytes=message.length_bytes,
        right_shift_bits=message.right_shift_bits,
        mask_bits=message.mask_bits,
        factor=_finite(message.factor, message.signal_id),
        offset=_finite(message.offset, message.signal_id),
        is_signed=message.is_signed,
        is_float=_is_float(message),
        primitive=_primitive(message.primitive),
    )


def _custom(message: v1.CustomSignal) -> CustomSignal:
    return CustomSignal(
        message.signal_id,
        name(message.interface_id, of="an interface"),
        name(message.decoder, of="a decoder"),
        _primitive(message.primitive),
    )


def _type_message(one: ComplexType) -> v1.ComplexType:
    message = v1.ComplexType(type_id=one.id)
    if one.variant is not None:
        getattr(
            message, _VARIANTS[type(one.variant)]
        ).SetInParent()  # said, though all of it be zero
    match one.variant:
        case ComplexPrimitive(primitive, factor, offset):
            message.primitive.primitive = v1.Primitive.ValueType(primitive)
            message.primitive.factor, message.primitive.offset = factor, offset
        case ComplexStruct(members):
            message.struct.members.extend(v1.ComplexMember(type_id=one) for one in members)
        case ComplexArray(size, type_id):
            message.array.size, message.array.type_id = size, type_id
        case ComplexText(is_utf_16, size):
            message.text.encoding = v1.TextEncoding.ValueType(is_utf_16)
            message.text.size = size
    return message


def _variant(message: v1.ComplexType) -> Variant | None:
    match message.WhichOneof("variant"):
        case "primitive":
            found = message.primitive
            return ComplexPrimitive(
                _primitive(found.primitive),
                _finite(found.factor, message.type_id),
                _finite(found.offset, message.type_id),
            )
        case "struct":
            if len(message.struct.members) > MEMBERS_MAX:
                raise BadInput(f"the type {message.type_id} has over {MEMBERS_MAX} members")
            return ComplexStruct(tuple(one.type_id for one in message.struct.members))
        case "array":
            return ComplexArray(message.array.size, message.array.type_id)
        case "text":
            return ComplexText(message.text.encoding == v1.TEXT_ENCODING_UTF_16, message.text.size)
        case _:
            return None


def _primitive(number: int) -> Primitive:
    """Return what a value is; what later versions call it is a number like any other."""
    try:
        return Primitive(number)
    except ValueError:
        return Primitive.UNSPECIFIED


def _is_float(message: Any) -> bool:
    return bool(message.raw_kind == v1.RAW_KIND_FLOAT)


def _finite(value: float, number: int) -> float:
    if not math.isfinite(value):
        raise BadInput(f"{number}: a factor or offset is {value}; both are finite numbers")
    return value
