"""Campaign documents: JSON as AWS IoT FleetWise has it <-> campaigns.

    {"name": ..., "collectionScheme": {"conditionBasedCollectionScheme": {"expression": ...}},
     "signalsToCollect": [{"name": "Vehicle.Speed"}], "fairway": {"budget": {"maxBytesPerDay": 1000000}}}

Rule 1: what comes in goes out equal: every field said is said again, none is added.
Rule 2: every error names the field by its path in the document, what was found and what would do.
Rule 3: limits are those of FleetWise's API, but for a time-based period, which its agent takes from 1 ms on.
Rule 4: `sync_id` names the content a vehicle acts on: what concerns the cloud alone does not change it.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from fairway.campaign.fields import Fields, fields_of
from fairway.campaign.model import (
    AgeUnit,
    Budget,
    Campaign,
    Compression,
    ConditionalFetch,
    ConditionBased,
    DiagnosticsMode,
    Extensions,
    Function,
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

# The largest of FleetWise: 1,000 signals of 150 characters, 20 partitions with expressions.
DOCUMENT_MAX_BYTES = 1 << 20
SIGNALS_MAX = 1000
PARTITIONS_MAX = 20
FETCHES_MAX = 2
ACTIONS_MAX = 2
EXPRESSION_MAX_CHARACTERS = 2048
FETCH_EXPRESSION_MAX_CHARACTERS = 400
ACTION_MAX_CHARACTERS = 100
UINT32_MAX = (1 << 32) - 1
PERIOD_MAX_MS = 86_400_000
FUNCTIONS_MAX = 8
FUNCTION_MAX_CHARACTERS = 65_536
# 2**53: what JSON numbers carry exactly.
BYTES_MAX = 1 << 53

_NAME = re.compile(r"[a-zA-Z\d\-_:]{1,100}")
_SIGNAL = re.compile(r"[\w|*|-]+(\.[\w|*|-]+)*")
_NODE = re.compile(r"[a-zA-Z0-9_.]{1,150}")
_PARTITION = re.compile(r"[a-zA-Z0-9]{1,128}")
_CLOUD_ONLY = (
    "description",
    "signalCatalogArn",
    "targetArn",
    "dataExtraDimensions",
    "dataDestinationConfigs",
    "tags",
)


def campaign_from_json(text: str | bytes, *, name: str | None = None) -> Campaign:
    """Return the campaign that a document says; `name` is for one that has none.  Raises BadInput."""
    if len(text) > DOCUMENT_MAX_BYTES:
        raise BadInput(
            f"a campaign document of {len(text)} bytes is over the limit of {DOCUMENT_MAX_BYTES}"
        )
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the campaign document is no JSON: {error}") from error
    return campaign_of(document, name=name)


def campaign_of(document: object, *, name: str | None = None) -> Campaign:
    """Return the campaign that a parsed document says.  Raises BadInput."""
    fields = fields_of(document, "")
    said = fields.text("name", _NAME)
    if said is None and name is None:
        raise BadInput("name: a campaign has one; 1 to 100 of a-z A-Z 0-9 - _ :")
    if said is None and not _NAME.fullmatch(name or ""):
        raise BadInput(f"name: {name!r:.120} cannot name a campaign; 1 to 100 of a-z A-Z 0-9 - _ :")
    partitions = fields.each("dataPartitions", _partition, most=PARTITIONS_MAX)
    campaign = Campaign(
        name=said or name or "",
        scheme=_scheme(fields),
        signals=fields.each("signalsToCollect", _signal, most=SIGNALS_MAX),
        start_time_ns=fields.time_ns("startTime"),
        expiry_time_ns=fields.time_ns("expiryTime"),
        post_trigger_ms=fields.whole("postTriggerCollectionDuration", 0, UINT32_MAX),
        diagnostics=fields.choice("diagnosticsMode", DiagnosticsMode),
        spooling=fields.choice("spoolingMode", SpoolingMode),
        compression=fields.choice("compression", Compression),
        priority=fields.whole("priority", 0, UINT32_MAX),
        partitions=partitions,
        fetches=fields.each("signalsToFetch", _fetch, most=FETCHES_MAX),
        extensions=_extensions(fields.table("fairway")),
        cloud_only=tuple(
            (key, json.dumps(fields.taken(key), sort_keys=True))
            for key in _CLOUD_ONLY
            if key in fields
        ),
    )
    fields.nothing_else()
    _check(campaign)
    return campaign


def campaign_document(campaign: Campaign) -> dict[str, Any]:
    """Return the document of `campaign`, for json.dumps."""
    document: dict[str, Any] = {"name": campaign.name}
    document |= {key: json.loads(value) for key, value in campaign.cloud_only}
    document |= _acted_on(campaign)
    return document


def sync_id(campaign: Campaign) -> str:
    """Return the name of this content: the campaign's name, and 12 hexadecimal digits of a SHA-256."""
    content = json.dumps(_acted_on(campaign), sort_keys=True, separators=(",", ":"))
    return f"{campaign.name}@{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _acted_on(campaign: Campaign) -> dict[str, Any]:
    return _said(
        startTime=_seconds(campaign.start_time_ns),
        expiryTime=_seconds(campaign.expiry_time_ns),
        collectionScheme=_scheme_document(campaign.scheme),
        postTriggerCollectionDuration=campaign.post_trigger_ms,
        diagnosticsMode=campaign.diagnostics,
        spoolingMode=campaign.spooling,
        compression=campaign.compression,
        priority=campaign.priority,
        signalsToCollect=_each(campaign.signals, _signal_document),
        dataPartitions=_each(campaign.partitions, _partition_document),
        signalsToFetch=_each(campaign.fetches, _fetch_document),
        fairway=_extensions_document(campaign.extensions),
    )


def _scheme(fields: Fields) -> TimeBased | ConditionBased:
    scheme = fields.table("collectionScheme")
    if scheme is None:
        raise BadInput("collectionScheme: is missing: when does it collect?")
    timed, conditional = (
        scheme.table("timeBasedCollectionScheme"),
        scheme.table("conditionBasedCollectionScheme"),
    )
    scheme.nothing_else()
    if (timed is None) == (conditional is None):
        raise BadInput(
            "collectionScheme: give one of timeBasedCollectionScheme, conditionBasedCollectionScheme"
        )
    if timed is not None:
        period_ms = timed.needed_whole("periodMs", 1, PERIOD_MAX_MS)
        timed.nothing_else()
        return TimeBased(period_ms)
    assert conditional is not None
    based = ConditionBased(
        conditional.needed_text("expression", most=EXPRESSION_MAX_CHARACTERS),
        conditional.whole("minimumTriggerIntervalMs", 0, UINT32_MAX),
        conditional.choice("triggerMode", TriggerMode),
        conditional.whole("conditionLanguageVersion", 1, 1),
    )
    conditional.nothing_else()
    return based


def _signal(fields: Fields) -> SignalToCollect:
    return SignalToCollect(
        fields.needed_text("name", most=150, pattern=_SIGNAL),
        fields.whole("maxSampleCount", 1, UINT32_MAX),
        fields.whole("minimumSamplingIntervalMs", 0, UINT32_MAX),
        fields.text("dataPartitionId", _PARTITION),
    )


def _partition(fields: Fields) -> Partition:
    storage = fields.needed_table("storageOptions")
    size, age = storage.needed_table("maximumSize"), storage.needed_table("minimumTimeToLive")
    upload = fields.table("uploadOptions")
    partition = Partition(
        fields.needed_text("id", most=128, pattern=_PARTITION),
        size.needed_whole("value", 1, 1_073_741_824),
        size.needed_choice("unit", SizeUnit),
        storage.needed_text("storageLocation", most=4096),
        age.needed_whole("value", 1, 876_600),
        age.needed_choice("unit", AgeUnit),
        upload.needed_text("expression", most=EXPRESSION_MAX_CHARACTERS) if upload else None,
        upload.whole("conditionLanguageVersion", 1, 1) if upload else None,
    )
    for part in (size, age, storage, upload):
        if part is not None:
            part.nothing_else()
    return partition


def _fetch(fields: Fields) -> SignalToFetch:
    config = fields.needed_table("signalFetchConfig")
    timed, conditional = config.table("timeBased"), config.table("conditionBased")
    config.nothing_else()
    if (timed is None) == (conditional is None):
        raise BadInput(f"{config.path}: give one of timeBased and conditionBased")
    when: TimedFetch | ConditionalFetch
    if timed is not None:
        when = TimedFetch(timed.needed_whole("executionFrequencyMs", 1, BYTES_MAX))
        timed.nothing_else()
    else:
        assert conditional is not None
        when = ConditionalFetch(
            conditional.needed_text("conditionExpression", most=FETCH_EXPRESSION_MAX_CHARACTERS),
            conditional.needed_choice("triggerMode", TriggerMode),
        )
        conditional.nothing_else()
    return SignalToFetch(
        fields.needed_text("fullyQualifiedName", most=150, pattern=_NODE),
        when,
        fields.needed_texts("actions", most=ACTIONS_MAX, characters=ACTION_MAX_CHARACTERS),
        fields.whole("conditionLanguageVersion", 1, 1),
    )


def _extensions(fields: Fields | None) -> Extensions | None:
    if fields is None:
        return None
    budget = fields.table("budget")
    extensions = Extensions(
        equality_tolerance=fields.number("equalityTolerance", 0.0, 1e9),
        window_ms=fields.whole("windowMs", 1, PERIOD_MAX_MS),
        batch_max_samples=fields.whole("batchMaxSamples", 1, 1_000_000),
        batch_max_age_ms=fields.whole("batchMaxAgeMs", 1, PERIOD_MAX_MS),
        budget=Budget(
            budget.whole("maxBytes", 0, BYTES_MAX),
            budget.whole("maxBytesPerDay", 0, BYTES_MAX),
            budget.whole("maxMeteredBytesPerDay", 0, BYTES_MAX),
        )
        if budget
        else Budget(),
        functions=fields.each("functions", _function, most=FUNCTIONS_MAX),
    )
    if budget:
        budget.nothing_else()
    fields.nothing_else()
    return extensions


def _function(fields: Fields) -> Function:
    return Function(
        fields.needed_text("name", most=100, pattern=_NAME),
        fields.needed_text("source", most=FUNCTION_MAX_CHARACTERS),
    )


def _check(campaign: Campaign) -> None:
    start, expiry = campaign.start_time_ns, campaign.expiry_time_ns
    if start is not None and expiry is not None and expiry <= start:
        raise BadInput("expiryTime: a campaign ends after its startTime")
    ids = [partition.id for partition in campaign.partitions or ()]
    if len(set(ids)) != len(ids):
        raise BadInput(
            f"dataPartitions: {next(one for one in ids if ids.count(one) > 1)} stands twice"
        )
    for number, signal in enumerate(campaign.signals or ()):
        if signal.partition is not None and signal.partition not in ids:
            raise BadInput(
                f"signalsToCollect[{number}].dataPartitionId: {signal.partition} is none of dataPartitions"
            )
    if campaign.partitions and campaign.spooling is SpoolingMode.OFF:
        raise BadInput("spoolingMode: partitions are kept on disk; choose TO_DISK")


def _said(**values: object) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _seconds(time_ns: int | None) -> float | int | None:
    if time_ns is None:
        return None
    whole, rest = divmod(time_ns, 1_000_000_000)
    return whole if rest == 0 else time_ns / 1e9


def _each(some: tuple[Any, ...] | None, one: Any) -> list[Any] | None:
    return None if some is None else [one(item) for item in some]


def _scheme_document(scheme: TimeBased | ConditionBased) -> dict[str, Any]:
    if isinstance(scheme, TimeBased):
        return {"timeBasedCollectionScheme": {"periodMs": scheme.period_ms}}
    return {
        "conditionBasedCollectionScheme": _said(
            conditionLanguageVersion=scheme.language_version,
            expression=scheme.expression,
            minimumTriggerIntervalMs=scheme.min_interval_ms,
            triggerMode=scheme.trigger_mode,
        )
    }


def _signal_document(signal: SignalToCollect) -> dict[str, Any]:
    return _said(
        name=signal.name,
        maxSampleCount=signal.max_samples,
        minimumSamplingIntervalMs=signal.min_interval_ms,
        dataPartitionId=signal.partition,
    )


def _partition_document(partition: Partition) -> dict[str, Any]:
    upload = None
    if partition.upload is not None:
        upload = _said(
            expression=partition.upload, conditionLanguageVersion=partition.upload_language_version
        )
    return _said(
        id=partition.id,
        storageOptions={
            "maximumSize": {"unit": partition.size_unit, "value": partition.size},
            "storageLocation": partition.location,
            "minimumTimeToLive": {"unit": partition.age_unit, "value": partition.age},
        },
        uploadOptions=upload,
    )


def _fetch_document(fetch: SignalToFetch) -> dict[str, Any]:
    config: Mapping[str, object]
    if isinstance(fetch.when, TimedFetch):
        config = {"timeBased": {"executionFrequencyMs": fetch.when.period_ms}}
    else:
        config = {
            "conditionBased": {
                "conditionExpression": fetch.when.expression,
                "triggerMode": fetch.when.trigger_mode,
            }
        }
    return _said(
        fullyQualifiedName=fetch.name,
        signalFetchConfig=config,
        conditionLanguageVersion=fetch.language_version,
        actions=list(fetch.actions),
    )


def _extensions_document(extensions: Extensions | None) -> dict[str, Any] | None:
    if extensions is None:
        return None
    budget = extensions.budget
    limits = _said(
        maxBytes=budget.max_bytes,
        maxBytesPerDay=budget.max_bytes_per_day,
        maxMeteredBytesPerDay=budget.max_metered_bytes_per_day,
    )
    return _said(
        equalityTolerance=extensions.equality_tolerance,
        windowMs=extensions.window_ms,
        batchMaxSamples=extensions.batch_max_samples,
        batchMaxAgeMs=extensions.batch_max_age_ms,
        budget=limits or None,
        functions=_each(extensions.functions, lambda one: {"name": one.name, "source": one.source}),
    )
