"""Samples of FleetWise's events <-> sample blocks of ours, and the name under which a payload is stored once.

    VehicleData --block_of--> SampleBlock          SampleBlock --data_of--> VehicleData

Rule 1: a payload has no sequence of its own, and comes again whenever its broker likes: its name is made from
        what it says, so that the same payload has the same name, and hardly ever another the same.
Rule 2: sequences of a stream grow with the time of events, within 16 seconds: the ledger of the cloud keeps
        what is stored as ranges, and forgets the lowest first.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from fairway.campaign.parts import CampaignEvent, CampaignPart
from fairway.errors import BadInput
from fairway.fleetwise.data import VehicleData
from fairway.fleetwise.names import SignalNames
from fairway.ids import BatchName
from fairway.samples import Kind, SampleBlock
from fairway.telemetry import Batch

_NS_PER_MS = 1_000_000
# 28 bits of time, up to 2109, and 35 of hash: among a thousand payloads of one campaign and vehicle within
# 16 seconds two have the same name in one of 70,000 cases, in the usual ten of one event in one of 750 million.
_TIME_BITS = 14
_HASH_BITS = 35
_HASH_MASK = (1 << _HASH_BITS) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Blocked:
    """The samples of an event as ours, and one sentence for each kind of what could not be taken over."""

    block: SampleBlock
    left_out: tuple[str, ...] = ()


def block_of(data: VehicleData, names: SignalNames) -> Blocked:
    """Return the samples of an event, in the order of their times."""
    rows = names.rows(data.signal_id)
    kinds = np.array([signal.kind for signal in names.table], np.int8)
    is_known = rows >= 0
    fits = is_known.copy()
    fits[is_known] &= (kinds[rows[is_known]] == Kind.TEXT) == data.is_text[is_known]
    left_out = []
    if not is_known.all():
        number = int(data.signal_id[~is_known][0])
        left_out.append(
            f"{int((~is_known).sum())} samples are of signals that the decoder manifest does not have, such"
            f" as {number}"
        )
    if (fits != is_known).any():
        number = int(data.signal_id[fits != is_known][0])
        left_out.append(
            f"{int((fits != is_known).sum())} samples are no values of their signals, such as one of {number}"
        )
    if data.structured:
        left_out.append(f"{data.structured} samples lie in structured signals")
    time_ms = data.event_time_ms + data.relative_ms[fits]
    order = np.argsort(time_ms, kind="stable")
    block = SampleBlock(
        names.table,
        rows[fits][order].astype(np.int32),
        time_ms[order] * _NS_PER_MS,
        data.value[fits][order],
        data.texts,
    )
    return Blocked(block, tuple(left_out))


def batch_name(vehicle: str, data: VehicleData, body: bytes) -> BatchName:
    """Return the name of a payload; `body` is its message, decompressed.

    A stream is a campaign in a vehicle; the hash is of everything that the message says.
    """
    stream = hashlib.sha256(b"fleetwise\0" + data.campaign_sync_id.encode()).hexdigest()[:16]
    content = int.from_bytes(hashlib.sha256(body).digest()[:8], "big") & _HASH_MASK
    sequence = (data.event_time_ms >> _TIME_BITS) << _HASH_BITS | content
    return BatchName(vehicle, stream, sequence or 1)


def campaign_part(data: VehicleData, samples: int) -> CampaignPart:
    """Return which campaign and event a payload is of."""
    event = CampaignEvent(data.event_id, data.event_time_ms * _NS_PER_MS, samples, data.dtcs)
    return CampaignPart(data.campaign_sync_id, events=(event,))


def data_of(batch: Batch, names: SignalNames, decoder_sync_id: str) -> list[VehicleData]:
    """Return the events of a batch that a campaign collected.

    Signals without a number are left out: a campaign of FleetWise names none.  Raises BadInput for a batch
    of no campaign.
    """
    part = batch.campaign
    if part is None:
        raise BadInput(
            "samples of no campaign cannot go to a cloud of FleetWise: it knows campaigns only; set"
            ' [telemetry] collect = "none"'
        )
    first = 0
    events = []
    for event in part.events:
        rows = slice(first, first + event.samples)
        first += event.samples
        events.append(_event_of(batch, rows, event, names, decoder_sync_id))
    return events


def _event_of(
    batch: Batch, rows: slice, event: CampaignEvent, names: SignalNames, decoder_sync_id: str
) -> VehicleData:
    block = batch.block
    assert batch.campaign is not None
    numbers = np.array([names.id(signal.name) or 0 for signal in block.table], np.int64)
    is_text = np.array([signal.kind is Kind.TEXT for signal in block.table], np.bool_)
    signal = block.signal[rows]
    has_number = numbers[signal] > 0
    signal = signal[has_number]
    time_ms = event.time_ns // _NS_PER_MS
    return VehicleData(
        batch.campaign.sync_id,
        decoder_sync_id,
        event.id & 0xFFFFFFFF,
        time_ms,
        numbers[signal],
        block.time_ns[rows][has_number] // _NS_PER_MS - time_ms,
        block.value[rows][has_number],
        is_text[signal],
        block.texts,
        event.dtcs,
    )
