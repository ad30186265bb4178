"""Events of campaigns and check-ins, as FleetWise's agents send them <-> nouns.

    payload --(Snappy, or not)--> VehicleData message --> columns

Rule 1: nothing in a payload says whether it is compressed, but its first byte does: a message begins with the
        tag of its campaign, 0x0a; a block that began so would hold ten bytes, and no message is as short.
Rule 2: foreign bytes become nouns or BadInput, in time and memory bounded by the constants below.
Rule 3: texts that repeat are kept once.
"""

from collections.abc import Callable

import numpy as np

from fairway.errors import BadInput
from fairway.fleetwise.data import Checkin, VehicleData
from fairway.foreign.fleetwise.v1 import vehicle_data_pb2 as v1
from fairway.wire.fleetwise import snappy
from fairway.wire.fleetwise.reading import read, sync_id

# FleetWise's agent keeps to AWS IoT's 128 KiB.  Snappy makes samples 2 to 5 times smaller.
PAYLOAD_MAX_BYTES = 1024 * 1024
MESSAGE_MAX_BYTES = 16 * 1024 * 1024
# A sample takes 11 bytes or more on the wire.
SAMPLES_MAX = 1_000_000
DTCS_MAX = 1024
DTC_MAX_CHARACTERS = 64
OBJECTS_MAX = 1024
CHECKIN_MAX_BYTES = 1024 * 1024
# 256 campaigns and as many templates, with room.
CHECKIN_MAX_DOCUMENTS = 1024
# The year 2109, up to which the identity of a batch has room for times.
TIME_MAX_MS = (1 << 42) - 1
_CAMPAIGN_TAG = b"\x0a"
_SIGNAL_TAG = 0x2A


def vehicle_data_to_bytes(data: VehicleData, *, compress: bool) -> bytes:
    """Return a payload."""
    message = v1.VehicleData(
        campaign_sync_id=data.campaign_sync_id,
        decoder_sync_id=data.decoder_sync_id,
        event_id=data.event_id,
        event_time_ms=data.event_time_ms,
    )
    add = message.signals.add
    for number, time_ms, value, is_text in zip(
        data.signal_id.tolist(),
        data.relative_ms.tolist(),
        data.value.tolist(),
        data.is_text.tolist(),
        strict=True,
    ):
        if is_text:
            add(relative_time_ms=time_ms, signal_id=number, text=data.texts[int(value)])
        else:
            add(relative_time_ms=time_ms, signal_id=number, number=value)
    if data.dtcs:
        message.dtcs.codes.extend(data.dtcs)
        message.dtcs.relative_time_ms = data.dtcs_relative_ms
    for key in data.object_keys:
        message.objects.add(key=key)
    body = message.SerializeToString()
    return snappy.compressed(body) if compress else body


def body_of(payload: bytes) -> bytes:
    """Return the message in a payload, decompressed where it was compressed.  Raises BadInput."""
    if len(payload) > PAYLOAD_MAX_BYTES:
        raise BadInput(
            f"a payload of {len(payload)} bytes is over the limit of {PAYLOAD_MAX_BYTES}"
        )
    if payload.startswith(_CAMPAIGN_TAG):
        return payload
    return snappy.decompressed(payload, max_bytes=MESSAGE_MAX_BYTES, what="a payload")


def vehicle_data_from_bytes(payload: bytes) -> VehicleData:
    """Read a payload, compressed or not.  Raises BadInput."""
    return vehicle_data_from_body(body_of(payload))


def vehicle_data_from_body(body: bytes) -> VehicleData:
    """Read the message in a payload.  Raises BadInput."""
    if body.count(bytes([_SIGNAL_TAG])) > SAMPLES_MAX and _samples(body) > SAMPLES_MAX:
        raise BadInput(f"a payload has more than {SAMPLES_MAX} samples")
    message = read(v1.VehicleData, body, max_bytes=MESSAGE_MAX_BYTES, what="a payload")
    if message.event_time_ms > TIME_MAX_MS:
        raise BadInput(f"an event is of {message.event_time_ms} ms after 1970, which is no time")
    dtcs = tuple(message.dtcs.codes)
    if len(dtcs) > DTCS_MAX or any(len(code) > DTC_MAX_CHARACTERS for code in dtcs):
        raise BadInput(f"an event has over {DTCS_MAX} trouble codes, or one that is too long")
    if len(message.objects) > OBJECTS_MAX:
        raise BadInput(f"an event has over {OBJECTS_MAX} objects")
    signals = message.signals
    kinds = [one.WhichOneof("value") for one in signals]
    is_text = np.array([kind == "text" for kind in kinds], np.bool_)
    number = np.array([one.signal_id for one in signals], np.int64)
    value = np.array([one.number for one in signals], np.float64)
    texts: dict[str, int] = {}
    for row in np.flatnonzero(is_text).tolist():
        value[row] = texts.setdefault(signals[row].text, len(texts))
    # Number 0 is nobody's: it is that of a sample in a structured signal, which has its number elsewhere.
    taken = (number > 0) & np.array([kind is not None for kind in kinds], np.bool_)
    structured = sum(signals[row].HasField("signal_part") for row in np.flatnonzero(number == 0))
    relative_ms = np.array([one.relative_time_ms for one in signals], np.int64)
    return VehicleData(
        sync_id(message.campaign_sync_id, of="a campaign"),
        sync_id(message.decoder_sync_id, of="a decoder manifest"),
        message.event_id,
        message.event_time_ms,
        number[taken],
        np.clip(relative_ms[taken], -TIME_MAX_MS, TIME_MAX_MS),
        value[taken],
        is_text[taken],
        tuple(texts),
        dtcs,
        max(-TIME_MAX_MS, min(message.dtcs.relative_time_ms, TIME_MAX_MS)),
        tuple(one.key for one in message.objects),
        structured,
    )


def split(data: VehicleData) -> tuple[VehicleData, VehicleData]:
    """Return the halves of an event that is too large; trouble codes and objects go with the first.

    Raises BadInput when there is nothing to halve.
    """
    if len(data) < 2:
        raise BadInput(
            f"an event of campaign {data.campaign_sync_id} cannot be made small enough to be sent"
        )
    middle = len(data) // 2
    first = _rows(data, slice(None, middle), data.dtcs, data.object_keys)
    return first, _rows(data, slice(middle, None), (), ())


def payloads(data: VehicleData, *, compress: bool, max_bytes: int) -> list[bytes]:
    """Return the payloads of an event, each of at most `max_bytes`: halved as often as that takes.

    FleetWise's agent guesses how much will fit and corrects the guess from payload to payload; halves need no
    memory of what went before, for at most twice as many payloads.  Raises BadInput for a sample too large.
    """
    payload = vehicle_data_to_bytes(data, compress=compress)
    if len(payload) <= max_bytes:
        return [payload]
    return [
        part
        for half in split(data)
        for part in payloads(half, compress=compress, max_bytes=max_bytes)
    ]


def checkin_to_bytes(checkin: Checkin) -> bytes:
    """Return a Checkin."""
    return v1.Checkin(sync_ids=checkin.sync_ids, time_ms=checkin.time_ms).SerializeToString()


def checkin_from_bytes(data: bytes) -> Checkin:
    """Read a Checkin.  Raises BadInput."""
    message = read(v1.Checkin, data, max_bytes=CHECKIN_MAX_BYTES, what="a check-in")
    if len(message.sync_ids) > CHECKIN_MAX_DOCUMENTS:
        raise BadInput(
            f"a check-in of {len(message.sync_ids)} documents is over the limit of {CHECKIN_MAX_DOCUMENTS}"
        )
    ids = tuple(sync_id(one, of="a document") for one in message.sync_ids)
    return Checkin(ids, min(message.time_ms, TIME_MAX_MS))


def _rows(
    data: VehicleData, rows: slice, dtcs: tuple[str, ...], keys: tuple[str, ...]
) -> VehicleData:
    return VehicleData(
        data.campaign_sync_id,
        data.decoder_sync_id,
        data.event_id,
        data.event_time_ms,
        data.signal_id[rows],
        data.relative_ms[rows],
        data.value[rows],
        data.is_text[rows],
        data.texts,
        dtcs,
        data.dtcs_relative_ms,
        keys,
    )


def _samples(body: bytes) -> int:
    """Return how many samples a message has, without building one: an empty one takes two bytes."""
    at = found = 0
    while at < len(body) and found <= SAMPLES_MAX:
        tag, at = _varint(body, at)
        found += tag == _SIGNAL_TAG
        at = _after(body, at, tag & 7)
    return found


def _after(body: bytes, at: int, wire_type: int) -> int:
    skip: dict[int, Callable[[], int]] = {
        0: lambda: _varint(body, at)[1],
        1: lambda: at + 8,
        2: lambda: sum(_varint(body, at)),
        5: lambda: at + 4,
    }
    return skip.get(wire_type, lambda: len(body))()


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(body):
        byte = body[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80 or shift > 63:
            break
    return value, at
