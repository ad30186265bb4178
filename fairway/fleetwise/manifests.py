"""Decoders of signals, as documents have them -> the decoder manifest that an agent is sent.

    SignalDecoders + nodes of the catalogue --manifest_of--> DecoderManifest, what its numbers are called

Rule 1: numbers are given in the order of names, from 1 on: the same documents give the same manifest.
Rule 2: its sync id names its content, so that an agent that has it is not sent it again.
Rule 3: structured messages are left out, each with a sentence.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fairway.errors import BadInput
from fairway.fleetwise.decoders import (
    CanSignal,
    CustomSignal,
    DecoderManifest,
    ObdSignal,
    Primitive,
)
from fairway.fleetwise.documents import (
    CanDecoder,
    CustomDecoder,
    MessageDecoder,
    Node,
    ObdDecoder,
    SignalDecoder,
    decoders_document,
)

_PRIMITIVES = {
    "BOOLEAN": Primitive.BOOL,
    "UINT8": Primitive.UINT8,
    "UINT16": Primitive.UINT16,
    "UINT32": Primitive.UINT32,
    "UINT64": Primitive.UINT64,
    "INT8": Primitive.INT8,
    "INT16": Primitive.INT16,
    "INT32": Primitive.INT32,
    "INT64": Primitive.INT64,
    "UNIX_TIMESTAMP": Primitive.INT64,
    "FLOAT": Primitive.FLOAT32,
    "DOUBLE": Primitive.FLOAT64,
    "STRING": Primitive.STRING,
}
_FLOAT = "FLOATING_POINT"


@dataclass(frozen=True, slots=True)
class Made:
    """A manifest, what its numbers are called, and sentences on what is not in it."""

    manifest: DecoderManifest
    called: Mapping[int, str]
    left_out: tuple[str, ...] = ()


def manifest_of(name: str, decoders: Sequence[SignalDecoder], nodes: Iterable[Node]) -> Made:
    """Return the manifest called `name`.  Raises BadInput for a signal that stands twice."""
    types = {node.name: node.data_type or "" for node in nodes}
    left_out = []
    can, obd, custom = list[CanSignal](), list[ObdSignal](), list[CustomSignal]()
    called: dict[int, str] = {}
    ordered = sorted(decoders, key=lambda one: one.name)
    for before, one in itertools.pairwise(ordered):
        if before.name == one.name:
            raise BadInput(f"the signal {one.name} has two decoders in the manifest {name}")
    for number, one in enumerate(ordered, start=1):
        primitive = _PRIMITIVES.get(types.get(one.name, ""), Primitive.UNSPECIFIED)
        match one.how:
            case CanDecoder():
                can.append(_can(number, one.interface, one.how, primitive))
            case ObdDecoder():
                obd.append(_obd(number, one.interface, one.how, primitive))
            case CustomDecoder(word):
                custom.append(CustomSignal(number, one.interface, word, primitive))
            case MessageDecoder():
                left_out.append(f"{one.name} is a structured message, which is not read here")
                continue
        called[number] = one.name
    manifest = DecoderManifest(name, tuple(can), tuple(obd), tuple(custom))
    content = json.dumps([decoders_document(ordered), [types.get(one.name) for one in ordered]])
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return Made(replace(manifest, sync_id=f"{name}@{digest}"), called, tuple(left_out))


def _can(number: int, interface: str, how: CanDecoder, primitive: Primitive) -> CanSignal:
    return CanSignal(
        id=number,
        interface=interface,
        frame_id=how.frame_id,
        start_bit=how.start_bit,
        length_bits=how.length_bits,
        is_big_endian=how.is_big_endian,
        is_signed=how.is_signed,
        is_float=how.value_type == _FLOAT,
        factor=how.factor,
        offset=how.offset,
        primitive=primitive,
    )


def _obd(number: int, interface: str, how: ObdDecoder, primitive: Primitive) -> ObdSignal:
    return ObdSignal(
        id=number,
        interface=interface,
        service=how.service,
        pid=how.pid,
        response_bytes=how.response_bytes,
        start_byte=how.start_byte,
        length_bytes=how.length_bytes,
        right_shift_bits=how.right_shift_bits or 0,
        mask_bits=8 if how.mask_bits is None else how.mask_bits,
        factor=how.factor,
        offset=how.offset,
        is_signed=bool(how.is_signed),
        is_float=how.value_type == _FLOAT,
        primitive=primitive,
    )
