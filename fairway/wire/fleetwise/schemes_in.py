"""Campaigns as FleetWise's agents take them, read: the way in of schemes.py, whose rules hold here."""

import math
import re
from collections.abc import Sequence

from fairway.campaign.document import PARTITIONS_MAX, SIGNALS_MAX, campaign_document, campaign_of
from fairway.campaign.model import (
    WINDOW_MS_DEFAULT,
    AgeUnit,
    Campaign,
    Compression,
    ConditionalFetch,
    ConditionBased,
    DiagnosticsMode,
    Extensions,
    Partition,
    SignalToCollect,
    SignalToFetch,
    SizeUnit,
    SpoolingMode,
    TimeBased,
    TimedFetch,
    TriggerMode,
)
from fairway.errors import BadInput
from fairway.fleetwise.campaigns import Scheme, SchemeList
from fairway.fleetwise.names import SignalNames
from fairway.foreign.fleetwise.v1 import scheme_pb2 as v1
from fairway.wire.fleetwise.conditions import expression_from
from fairway.wire.fleetwise.reading import SYNC_ID_MAX_CHARACTERS, read, sync_id
from fairway.wire.fleetwise.schemes import FOREVER_MS

# 256 campaigns of 1,000 signals, with conditions.
LIST_MAX_BYTES = 8 * 1024 * 1024
SCHEMES_MAX = 256
_NS_PER_MS = 1_000_000
_MB = 1 << 20
_HOUR_S = 3600
_REASON_MAX_CHARACTERS = 500
_NAME = re.compile(r"[a-zA-Z\d\-_:]{1,100}")
_NO_NAME = re.compile(r"[^a-zA-Z\d\-_:]")
_MODES = {
    v1.TRIGGER_MODE_ALWAYS: TriggerMode.ALWAYS,
    v1.TRIGGER_MODE_RISING_EDGE: TriggerMode.RISING_EDGE,
}


def scheme_list_from_bytes(data: bytes, names: SignalNames) -> SchemeList:
    """Read the list of a vehicle's campaigns; `names` are of its decoder manifest.  Raises BadInput."""
    message = read(v1.SchemeList, data, max_bytes=LIST_MAX_BYTES, what="a list of campaigns")
    if len(message.schemes) > SCHEMES_MAX:
        raise BadInput(
            f"a list of {len(message.schemes)} campaigns is over the limit of {SCHEMES_MAX}"
        )
    schemes, unreadable = [], []
    for one in message.schemes:
        try:
            schemes.append(_scheme(one, names))
        except BadInput as error:
            known_as = one.sync_id[:SYNC_ID_MAX_CHARACTERS]
            unreadable.append((known_as, str(error)[:_REASON_MAX_CHARACTERS]))
    return SchemeList(message.time_ms, tuple(schemes), tuple(unreadable))


def decoders_named(data: bytes) -> set[str]:
    """Return the decoder manifests that the campaigns of a list are of.  Raises BadInput."""
    message = read(v1.SchemeList, data, max_bytes=LIST_MAX_BYTES, what="a list of campaigns")
    return {one.decoder_sync_id for one in message.schemes}


def _scheme(message: v1.Scheme, names: SignalNames) -> Scheme:
    left_out: list[str] = []
    known_as = sync_id(message.sync_id, of="a campaign")
    decoder = sync_id(message.decoder_sync_id, of="a decoder manifest")
    partitions = _partitions(message, names)
    campaign = Campaign(
        name=_campaign_name(message),
        scheme=_kind(message, names),
        signals=_signals(message, names, len(partitions), left_out),
        start_time_ns=message.start_time_ms * _NS_PER_MS or None,
        expiry_time_ns=_expiry_ns(message),
        post_trigger_ms=message.post_trigger_ms or None,
        diagnostics=DiagnosticsMode.SEND_ACTIVE_DTCS if message.sends_dtcs else None,
        spooling=SpoolingMode.TO_DISK if message.is_spooled else None,
        compression=Compression.SNAPPY if message.is_compressed else Compression.OFF,
        priority=message.priority or None,
        partitions=partitions or None,
        fetches=tuple(_fetch(one, names) for one in message.fetches) or None,
        extensions=_extensions(message),
    )
    # Its limits are those of documents, in which it travels on.
    campaign_of(campaign_document(campaign))
    if message.HasField("object_store"):
        left_out.append("objects are not uploaded to a store of objects")
    return Scheme(
        known_as, decoder, campaign, message.arn[:SYNC_ID_MAX_CHARACTERS], tuple(left_out)
    )


def _campaign_name(message: v1.Scheme) -> str:
    """Return the name in its ARN, or its sync id up to an @, in the characters that a name may have."""
    of_arn = message.arn.rpartition("/")[2] if "/" in message.arn else ""
    if _NAME.fullmatch(of_arn):
        return of_arn
    return _NO_NAME.sub("-", message.sync_id.partition("@")[0] or "-")[:100]


def _kind(message: v1.Scheme, names: SignalNames) -> TimeBased | ConditionBased:
    match message.WhichOneof("kind"):
        case "time_based":
            return TimeBased(message.time_based.period_ms)
        case "condition_based":
            based = message.condition_based
            return ConditionBased(
                expression_from(based.condition, names).text,
                based.min_interval_ms or None,
                _mode(based.mode),
                based.language_version or None,
            )
        case _:
            raise BadInput("a campaign does not say when it collects, or by a later version")


def _mode(number: int) -> TriggerMode:
    if number not in _MODES:
        raise BadInput(f"a campaign has trigger mode {number}, which is of a later version")
    return _MODES[v1.TriggerMode.ValueType(number)]


def _expiry_ns(message: v1.Scheme) -> int | None:
    if message.expiry_time_ms == 0 or message.expiry_time_ms >= FOREVER_MS:
        return None
    return message.expiry_time_ms * _NS_PER_MS


def _signals(
    message: v1.Scheme, names: SignalNames, partitions: int, left_out: list[str]
) -> tuple[SignalToCollect, ...]:
    if len(message.signals) > 2 * SIGNALS_MAX:
        raise BadInput(f"a campaign has {len(message.signals)} signals")
    found = []
    for one in message.signals:
        if one.is_condition_only:
            continue
        name = names.name(one.signal_id)
        if one.HasField("path") or name is None:
            what = "lies in a structured signal" if name is not None else "is in no manifest"
            left_out.append(f"signal {one.signal_id} {what}: it is not collected")
            continue
        if partitions and one.partition >= partitions:
            raise BadInput(
                f"signal {one.signal_id} is of partition {one.partition}; there are {partitions}"
            )
        found.append(
            SignalToCollect(
                name,
                one.max_samples or None,
                one.min_interval_ms or None,
                str(one.partition) if partitions else None,
            )
        )
    return tuple(found)


def _partitions(message: v1.Scheme, names: SignalNames) -> tuple[Partition, ...]:
    if len(message.partitions.partitions) > PARTITIONS_MAX:
        raise BadInput(f"a campaign has {len(message.partitions.partitions)} partitions")
    return tuple(
        Partition(
            id=str(position),
            size=max(1, math.ceil(one.storage.max_bytes / _MB)),
            size_unit=SizeUnit.MB,
            location=one.storage.location or str(position),
            age=max(1, math.ceil(one.storage.min_age_s / _HOUR_S)),
            age_unit=AgeUnit.HOURS,
            upload=expression_from(one.upload.condition, names).text
            if one.HasField("upload")
            else None,
        )
        for position, one in enumerate(message.partitions.partitions)
    )


def _fetch(message: v1.Fetch, names: SignalNames) -> SignalToFetch:
    name = names.name(message.signal_id)
    if name is None:
        raise BadInput(f"a campaign fetches signal {message.signal_id}, which is in no manifest")
    when: TimedFetch | ConditionalFetch
    match message.WhichOneof("when"):
        case "timed":
            when = TimedFetch(message.timed.period_ms)
        case "conditional":
            found = message.conditional
            when = ConditionalFetch(expression_from(found.condition, names).text, _mode(found.mode))
        case _:
            raise BadInput(f"a campaign does not say when it fetches {name}")
    actions = tuple(expression_from(one, names).text for one in message.actions)
    return SignalToFetch(name, when, actions, message.language_version or None)


def _extensions(message: v1.Scheme) -> Extensions | None:
    windows = {one.window_ms for one in message.signals if one.window_ms}
    if len(windows) > 1:
        raise BadInput(
            f"a campaign has windows of {_listed(sorted(windows))} ms; all of one campaign are alike here"
        )
    if not windows or windows == {WINDOW_MS_DEFAULT}:
        return None
    return Extensions(window_ms=windows.pop())


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(one) for one in numbers[:5])
