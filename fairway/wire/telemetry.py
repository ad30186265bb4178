"""Telemetry nouns <-> bytes: dictionaries and batches upwards, receipts downwards.

Every function here takes or gives one whole serialised message, the same over MQTT and gRPC:

    dictionary_to_bytes, batch_to_bytes, request_from_bytes     TelemetryRequest
    receipts_to_bytes, receipts_from_bytes                      TelemetryResponse

Rule 1: foreign bytes become nouns or BadInput, in time and memory bounded by the constants below.
Rule 2: `request_from_bytes` reads a batch's head and leaves its columns alone: a duplicate costs little.
"""

import hashlib
import math
from collections.abc import Sequence

from google.protobuf.message import DecodeError

from fairway.errors import BadInput, Denied
from fairway.ids import BatchName, stream_id
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fairway.telemetry import Batch, Dictionary, Outcome, Receipt, SealedBatch
from fairway.v1 import telemetry_pb2 as v1
from fairway.wire.campaign_parts import add_campaign, campaign_of
from fairway.wire.columns import BATCH_MAX_SAMPLES, seal
from fairway.wire.compression import compressed, decompressed
from fairway.wire.stacks import unseal, unseal_each

# A rank is 16 bits; the largest ARXML of a whole vehicle names some 30,000 signals.
DICTIONARY_MAX_SIGNALS = 65_536
# A VSS path is under 100 characters, a DBC name under 128.
NAME_MAX_CHARACTERS = 512
UNIT_MAX_CHARACTERS = 64
# 65,536 signals of 100 characters, each with its scale and offset.
DICTIONARY_MAX_BYTES = 16 * 1024 * 1024
# The largest batch that is allowed, as it arrives; brokers commonly stop long before.
REQUEST_MAX_BYTES = 32 * 1024 * 1024
# A thousand refusals with their reasons, or 50,000 receipts without.
RECEIPTS_MAX_BYTES = 1024 * 1024
REASON_MAX_CHARACTERS = 500
_ID_BYTES = 8
_SIGNAL_TAG = b"\x0a"  # field 1 of DictionaryBody, and of DictionarySignal


def dictionary_of(table: SignalTable) -> Dictionary:
    """Return `table` under the name of its content.  Raises BadInput for a table too large to send."""
    _check_table(table)
    return Dictionary(hashlib.sha256(_body(table)).digest()[:_ID_BYTES], table)


def dictionary_to_bytes(dictionary: Dictionary) -> bytes:
    """Return a TelemetryRequest."""
    return v1.TelemetryRequest(dictionary=dictionary_message(dictionary)).SerializeToString()


def dictionary_message(dictionary: Dictionary) -> v1.TelemetryDictionary:
    """Return a TelemetryDictionary, for the messages that hold one."""
    return v1.TelemetryDictionary(id=dictionary.id, body=compressed(_body(dictionary.table)))


def batch_to_bytes(batch: Batch) -> bytes:
    """Return a TelemetryRequest.  Raises BadInput for a block that no batch can hold."""
    message = v1.TelemetryBatch(
        vehicle=batch.name.vehicle,
        stream=int(stream_id(batch.name.stream), 16),
        sequence=batch.name.sequence,
        dictionary_id=batch.dictionary_id,
        samples=len(batch.block),
        created_time_ns=batch.created_time_ns,
        columns=seal(batch.block),
    )
    if batch.campaign is not None:
        add_campaign(message, batch.campaign)
    return v1.TelemetryRequest(batch=message).SerializeToString()


def request_from_bytes(data: bytes, *, vehicle: str) -> Dictionary | SealedBatch:
    """Read what came over the connection of `vehicle`.

    Raises BadInput for bytes that are no such message, Denied for a batch of another vehicle.
    """
    if len(data) > REQUEST_MAX_BYTES:
        raise BadInput(
            f"a telemetry message of {len(data)} bytes is over the limit of {REQUEST_MAX_BYTES}"
        )
    try:
        request = v1.TelemetryRequest.FromString(data)
    except DecodeError as error:
        raise BadInput("the message is no TelemetryRequest") from error
    match request.WhichOneof("content"):
        case "dictionary":
            return dictionary_from_message(request.dictionary)
        case "batch":
            return _sealed(request.batch, vehicle)
        case _:
            raise BadInput("the message is an empty TelemetryRequest, or one of a later version")


def opened(sealed: SealedBatch, table: SignalTable) -> SampleBlock:
    """Return the samples of `sealed`, whose dictionary describes `table`.  Raises BadInput."""
    return unseal(sealed.columns, sealed.samples, table)


def opened_each(
    batches: Sequence[tuple[SealedBatch, SignalTable]],
) -> list[SampleBlock | BadInput]:
    """Return for each batch, beside the table of its dictionary, what `opened` returns or raises.

    Batches of one table are decoded together, at a fraction of the cost.
    """
    by_table: dict[int, list[int]] = {}
    for at, (_, table) in enumerate(batches):
        by_table.setdefault(id(table), []).append(at)
    answers: dict[int, SampleBlock | BadInput] = {}
    for some in by_table.values():
        sealed = [(batches[at][0].columns, batches[at][0].samples) for at in some]
        answers.update(zip(some, unseal_each(sealed, batches[some[0]][1]), strict=True))
    return [answers[at] for at in range(len(batches))]


def receipts_to_bytes(receipts: Sequence[Receipt]) -> bytes:
    """Return a TelemetryResponse."""
    messages = [
        v1.Receipt(
            stream=int(receipt.stream, 16),
            sequence=receipt.sequence,
            outcome=v1.Outcome.ValueType(receipt.outcome),
            reason=receipt.reason[:REASON_MAX_CHARACTERS],
            retry_after_ms=receipt.retry_after_ms,
        )
        for receipt in receipts
    ]
    return v1.TelemetryResponse(receipts=v1.Receipts(receipts=messages)).SerializeToString()


def receipts_from_bytes(data: bytes) -> tuple[Receipt, ...]:
    """Read a TelemetryResponse; an outcome of a later version is left out.  Raises BadInput."""
    if len(data) > RECEIPTS_MAX_BYTES:
        raise BadInput(f"receipts of {len(data)} bytes are over the limit of {RECEIPTS_MAX_BYTES}")
    try:
        response = v1.TelemetryResponse.FromString(data)
    except DecodeError as error:
        raise BadInput("the message is no TelemetryResponse") from error
    messages = response.receipts.receipts
    known = {int(outcome) for outcome in Outcome}
    return tuple(
        Receipt(
            stream=f"{message.stream:016x}",
            sequence=message.sequence,
            outcome=Outcome(message.outcome),
            reason=message.reason[:REASON_MAX_CHARACTERS],
            retry_after_ms=message.retry_after_ms,
        )
        for message in messages
        if message.outcome in known
    )


def _body(table: SignalTable) -> bytes:
    body = v1.DictionaryBody()
    for signal in table:
        body.signals.add(
            name=signal.name,
            kind=v1.SignalKind.ValueType(signal.kind + 1),
            unit=signal.unit,
            scale=signal.scale,
            offset=signal.offset,
            group=signal.group,
        )
    return body.SerializeToString(deterministic=True)


def _check_table(table: SignalTable) -> None:
    if len(table) > DICTIONARY_MAX_SIGNALS:
        raise BadInput(
            f"a dictionary of {len(table)} signals is over the limit of {DICTIONARY_MAX_SIGNALS}"
        )
    for signal in table:
        if (
            not 0 < len(signal.name) <= NAME_MAX_CHARACTERS
            or len(signal.unit) > UNIT_MAX_CHARACTERS
        ):
            raise BadInput(
                f"signal {signal.name[:80]!r}: a name has 1 to {NAME_MAX_CHARACTERS} characters, "
                f"a unit at most {UNIT_MAX_CHARACTERS}"
            )
        if not (math.isfinite(signal.scale) and math.isfinite(signal.offset)):
            raise BadInput(f"signal {signal.name}: scale and offset must be finite numbers")


def dictionary_from_message(message: v1.TelemetryDictionary) -> Dictionary:
    """Read a TelemetryDictionary.  Raises BadInput."""
    content = decompressed(message.body, max_bytes=DICTIONARY_MAX_BYTES, what="a dictionary")
    if hashlib.sha256(content).digest()[:_ID_BYTES] != message.id:
        raise BadInput(f"the dictionary {message.id[:_ID_BYTES].hex()} is not what its id says")
    if content.count(_SIGNAL_TAG) > DICTIONARY_MAX_SIGNALS and not _has_few_signals(content):
        raise BadInput(f"a dictionary has more than {DICTIONARY_MAX_SIGNALS} signals")
    try:
        body = v1.DictionaryBody.FromString(content)
    except DecodeError as error:
        raise BadInput("the message is no DictionaryBody") from error
    kinds = {kind + 1: kind for kind in Kind}
    if any(signal.kind not in kinds for signal in body.signals):
        raise BadInput("a dictionary has a signal of an unknown kind")
    table = SignalTable(
        tuple(
            Signal(
                name=signal.name,
                kind=kinds[int(signal.kind)],
                unit=signal.unit,
                scale=signal.scale,
                offset=signal.offset,
                group=signal.group,
            )
            for signal in body.signals
        )
    )
    _check_table(table)
    return Dictionary(message.id, table)


def _has_few_signals(body: bytes) -> bool:
    """Return whether a DictionaryBody has no more signals than allowed, without building one of them.

    An empty signal takes two bytes on the wire and a hundred in memory.
    """
    at, signals = 0, 0
    while at < len(body) and signals <= DICTIONARY_MAX_SIGNALS:
        if body[at : at + 1] != _SIGNAL_TAG:
            return False  # whatever that is, it is nothing we write
        length, shift, at = 0, 0, at + 1
        while at < len(body):
            length |= (body[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if body[at - 1] < 0x80 or shift > 28:
                break
        at, signals = at + length, signals + 1
    return signals <= DICTIONARY_MAX_SIGNALS


def _sealed(message: v1.TelemetryBatch, vehicle: str) -> SealedBatch:
    if message.vehicle and message.vehicle != vehicle:
        raise Denied(f"a batch of {message.vehicle[:64]!r} came over the connection of {vehicle}")
    if message.sequence == 0 or message.sequence >= 1 << 63:
        raise BadInput(f"a batch of {vehicle} has sequence {message.sequence}: it counts from 1")
    if len(message.dictionary_id) != _ID_BYTES:
        raise BadInput(f"a batch of {vehicle} names no dictionary: an id has {_ID_BYTES} bytes")
    if message.samples > BATCH_MAX_SAMPLES:
        raise BadInput(
            f"a batch of {message.samples} samples is over the limit of {BATCH_MAX_SAMPLES}"
        )
    return SealedBatch(
        name=BatchName(vehicle, f"{message.stream:016x}", message.sequence),
        dictionary_id=message.dictionary_id,
        samples=message.samples,
        created_time_ns=message.created_time_ns,
        columns=message.columns,
        campaign=campaign_of(message),
    )
