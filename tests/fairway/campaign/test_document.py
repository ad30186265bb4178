"""Campaign documents: real ones go out as they came in, every limit names its field, garbage is BadInput."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.campaign.document import (
    DOCUMENT_MAX_BYTES,
    campaign_document,
    campaign_from_json,
    campaign_of,
    sync_id,
)
from fairway.campaign.engine import Engine
from fairway.campaign.model import ConditionBased, TimeBased
from fairway.errors import BadInput
from fairway.samples import Kind, Signal, SignalTable
from tests.shared_data import SHARED, shared

CAMPAIGNS = "edge/fleetwise/campaigns"
FILES = sorted(path.name for path in (SHARED / CAMPAIGNS).glob("*.json"))

STORAGE = {
    "maximumSize": {"unit": "MB", "value": 10},
    "storageLocation": "x",
    "minimumTimeToLive": {"unit": "DAYS", "value": 7},
}
CONDITION = "collectionScheme/conditionBasedCollectionScheme"
STORED = "dataPartitions/0/storageOptions"
ALWAYS_OPEN = {"expression": "true", "conditionLanguageVersion": 1}
FULL: dict[str, Any] = {
    "name": "full",
    "targetArn": "arn:x",
    "startTime": 1_700_000_000,
    "expiryTime": 1_800_000_000,
    "collectionScheme": {
        "conditionBasedCollectionScheme": {
            "conditionLanguageVersion": 1,
            "expression": "$variable.`A` > 1",
            "minimumTriggerIntervalMs": 5000,
            "triggerMode": "RISING_EDGE",
        }
    },
    "postTriggerCollectionDuration": 10,
    "diagnosticsMode": "SEND_ACTIVE_DTCS",
    "spoolingMode": "TO_DISK",
    "compression": "OFF",
    "priority": 3,
    "signalsToCollect": [
        {
            "name": "A.*",
            "maxSampleCount": 5,
            "minimumSamplingIntervalMs": 10,
            "dataPartitionId": "p",
        }
    ],
    "dataPartitions": [
        {
            "id": "p",
            "storageOptions": STORAGE,
            "uploadOptions": {"expression": "true", "conditionLanguageVersion": 1},
        }
    ],
    "signalsToFetch": [
        {
            "fullyQualifiedName": "A",
            "signalFetchConfig": {
                "conditionBased": {"conditionExpression": "true", "triggerMode": "ALWAYS"}
            },
            "actions": ["custom_function('DTC_QUERY', -1)"],
            "conditionLanguageVersion": 1,
        }
    ],
    "fairway": {
        "equalityTolerance": 0.5,
        "windowMs": 100,
        "batchMaxSamples": 10,
        "batchMaxAgeMs": 20,
        "budget": {"maxBytes": 1, "maxBytesPerDay": 2, "maxMeteredBytesPerDay": 3},
        "functions": [{"name": "f", "source": "def invoke(): pass"}],
    },
}


def test_there_are_real_campaigns_to_read():
    shared(CAMPAIGNS)

    assert len(FILES) == 16


@pytest.mark.parametrize("file", FILES)
def test_a_real_campaign_goes_out_as_it_came_in(file: str):
    document = json.loads(shared(f"{CAMPAIGNS}/{file}").read_text())

    campaign = campaign_of(document, name=file.removesuffix(".json"))

    assert campaign_document(campaign) == {"name": campaign.name} | document
    assert campaign_of(campaign_document(campaign)) == campaign


@pytest.mark.parametrize("file", FILES)
def test_a_real_campaign_runs_or_is_refused_for_a_function_the_vehicle_lacks(file: str):
    campaign = campaign_from_json(shared(f"{CAMPAIGNS}/{file}").read_bytes(), name="real")
    names = {one.name for one in campaign.signals or ()}
    engine = Engine(SignalTable(tuple(Signal(name, Kind.NUMBER) for name in sorted(names))))

    (verdict,) = engine.set_campaigns([campaign], now_ns=0)

    outside = "counter" in file or "file-size" in file or "python" in file
    assert ("has no custom function" in (verdict.refused or "")) == outside
    assert (verdict.refused is None) == (not outside)


def test_a_campaign_that_says_everything_goes_out_as_it_came_in():
    assert campaign_document(campaign_of(FULL)) == FULL


def _with(path: str, value: object) -> dict[str, Any]:
    """Return FULL with another value at a path; ... takes the field away."""
    document = copy.deepcopy(FULL)
    *above, last = path.split("/")
    place: Any = document
    for step in above:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("name", "a b", "name: "),
        ("name", "x" * 101, "name: "),
        ("name", 5, "name: must be a text"),
        ("collectionScheme", ..., "collectionScheme: is missing: when does it collect?"),
        ("collectionScheme", {}, "collectionScheme: give one of"),
        (
            "collectionScheme",
            {"timeBasedCollectionScheme": {"periodMs": 0}},
            "timeBasedCollectionScheme.periodMs: ",
        ),
        (
            "collectionScheme",
            {"timeBasedCollectionScheme": {"periodMs": 86_400_001}},
            "collectionScheme.timeBasedCollectionScheme.periodMs: must be a whole number of 1 to 86400000",
        ),
        (
            f"{CONDITION}/expression",
            "x" * 2049,
            "conditionBasedCollectionScheme.expression: must be a text of 1 to 2048",
        ),
        (
            f"{CONDITION}/expression",
            "",
            "expression: must be a text",
        ),
        (
            f"{CONDITION}/minimumTriggerIntervalMs",
            1 << 32,
            "minimumTriggerIntervalMs: must be a whole number of 0 to 4294967295",
        ),
        (
            f"{CONDITION}/minimumTriggerIntervalMs",
            True,
            "IntervalMs: must be",
        ),
        (
            f"{CONDITION}/triggerMode",
            "NEVER",
            "triggerMode: 'NEVER' is none of",
        ),
        (
            f"{CONDITION}/conditionLanguageVersion",
            2,
            "LanguageVersion: ",
        ),
        ("postTriggerCollectionDuration", -1, "postTriggerCollectionDuration: "),
        ("priority", 1.5, "priority: "),
        ("diagnosticsMode", "ON", "diagnosticsMode: "),
        ("spoolingMode", "OFF", "spoolingMode: partitions are kept on disk"),
        ("compression", None, "compression: "),
        ("startTime", "yesterday", "startTime: "),
        ("startTime", -1, "startTime: "),
        ("startTime", "2026-01-31T12:00:00", "startTime: "),
        ("expiryTime", 1_600_000_000, "expiryTime: a campaign ends after its startTime"),
        (
            "signalsToCollect",
            [{"name": "A"}] * 1001,
            "signalsToCollect: must be a list of at most 1000",
        ),
        ("signalsToCollect", {}, "signalsToCollect: must be a list"),
        ("signalsToCollect", ["A"], "signalsToCollect[0]: must be an object"),
        ("signalsToCollect/0/name", ..., "signalsToCollect[0].name: is missing"),
        ("signalsToCollect/0/name", "a b", "signalsToCollect[0].name: "),
        ("signalsToCollect/0/name", "x" * 151, "signalsToCollect[0].name: "),
        ("signalsToCollect/0/maxSampleCount", 0, "signalsToCollect[0].maxSampleCount: "),
        (
            "signalsToCollect/0/minimumSamplingIntervalMs",
            "1",
            "[0].minimumSamplingIntervalMs: ",
        ),
        (
            "signalsToCollect/0/dataPartitionId",
            "q",
            "signalsToCollect[0].dataPartitionId: q is none of",
        ),
        ("signalsToCollect/0/colour", 1, "signalsToCollect[0].colour: there is no such field"),
        ("dataPartitions", [FULL["dataPartitions"][0]] * 2, "dataPartitions: p stands twice"),
        (
            "dataPartitions",
            [{"id": f"p{n}", "storageOptions": STORAGE} for n in range(21)],
            "at most 20",
        ),
        ("dataPartitions/0/id", "a-b", "dataPartitions[0].id: "),
        (
            f"{STORED}/maximumSize/value",
            0,
            "storageOptions.maximumSize.value: ",
        ),
        (
            f"{STORED}/maximumSize/unit",
            "KB",
            "storageOptions.maximumSize.unit: ",
        ),
        (
            f"{STORED}/minimumTimeToLive",
            ...,
            "storageOptions.minimumTimeToLive: is missing",
        ),
        (
            "dataPartitions/0/uploadOptions/expression",
            "x" * 2049,
            "uploadOptions.expression: ",
        ),
        (
            "signalsToFetch",
            [FULL["signalsToFetch"][0]] * 3,
            "signalsToFetch: must be a list of at most 2",
        ),
        ("signalsToFetch/0/actions", [], "signalsToFetch[0].actions: give at least one"),
        (
            "signalsToFetch/0/actions",
            ["a"] * 3,
            "signalsToFetch[0].actions: must be a list of at most 2",
        ),
        ("signalsToFetch/0/actions", ["x" * 101], "signalsToFetch[0].actions[0]: "),
        (
            "signalsToFetch/0/signalFetchConfig",
            {},
            "signalsToFetch[0].signalFetchConfig: give one of",
        ),
        (
            "signalsToFetch/0/signalFetchConfig/conditionBased/conditionExpression",
            "x" * 401,
            "signalFetchConfig.conditionBased.conditionExpression: must be a text of 1 to 400",
        ),
        ("fairway/windowMs", 0, "fairway.windowMs: "),
        ("fairway/equalityTolerance", -0.1, "fairway.equalityTolerance: "),
        ("fairway/equalityTolerance", float("nan"), "fairway.equalityTolerance: "),
        ("fairway/budget/maxBytes", -1, "fairway.budget.maxBytes: "),
        (
            "fairway/functions",
            [FULL["fairway"]["functions"][0]] * 9,
            "fairway.functions: must be a list",
        ),
        ("fairway/functions/0/source", "x" * 65_537, "fairway.functions[0].source: "),
        ("fairway/speed", 1, "fairway.speed: there is no such field"),
        ("colour", 1, "colour: there is no such field"),
    ],
)
def test_what_is_wrong_is_refused_with_the_path_of_its_field(path: str, value: object, said: str):
    with pytest.raises(BadInput) as error:
        campaign_of(_with(path, value))

    assert said in str(error.value)


def test_a_document_too_large_or_no_json_or_without_a_name_is_refused():
    with pytest.raises(BadInput, match="over the limit"):
        campaign_from_json(b" " * (DOCUMENT_MAX_BYTES + 1))
    with pytest.raises(BadInput, match="is no JSON"):
        campaign_from_json("{")
    with pytest.raises(BadInput, match="is no JSON"):
        campaign_from_json("[" * 100_000)
    with pytest.raises(BadInput, match="name: a campaign has one"):
        campaign_of({})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def _paths(value: Any, above: str = "") -> list[str]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [
        path for key, one in items for path in (f"{above}{key}", *_paths(one, f"{above}{key}/"))
    ]


@given(st.sampled_from(_paths(FULL)), json_values)
@settings(max_examples=400, deadline=None)
def test_garbage_in_any_field_is_a_campaign_or_bad_input(path: str, value: object):
    *above, last = path.split("/")
    place: Any = (document := copy.deepcopy(FULL))
    for step in above:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[int(last) if isinstance(place, list) else last] = value
    try:
        campaign = campaign_of(document)
    except BadInput:
        return

    assert campaign_of(campaign_document(campaign)) == campaign


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_garbage_as_a_document_is_bad_input(content: bytes):
    with pytest.raises(BadInput):
        campaign_from_json(content, name="it")


def test_the_sync_id_is_the_name_and_what_the_vehicle_acts_on():
    campaign = campaign_of(FULL)

    assert sync_id(campaign).startswith("full@")
    assert sync_id(campaign_of(_with("targetArn", "another"))) == sync_id(campaign)
    for path in ("priority", "fairway/windowMs", "postTriggerCollectionDuration"):
        assert sync_id(campaign_of(_with(path, 7))) != sync_id(campaign)


def test_what_a_document_does_not_say_has_the_value_of_fleetwise():
    campaign = campaign_of(
        {
            "name": "x",
            "collectionScheme": {"conditionBasedCollectionScheme": {"expression": "true"}},
        }
    )

    assert (campaign.min_interval_ms, campaign.trigger_mode, campaign.effective_priority) == (
        0,
        "ALWAYS",
        0,
    )
    assert (campaign.equality_tolerance, campaign.window_ms) == (0.001, 1000)
    assert not campaign.sends_dtcs
    assert not campaign.is_spooled
    assert campaign.budget.max_bytes is None


def test_a_heartbeat_always_triggers_each_period():
    campaign = replace(campaign_of(FULL), scheme=TimeBased(20_000))

    assert (campaign.min_interval_ms, campaign.trigger_mode) == (20_000, "ALWAYS")
    assert isinstance(campaign_of(FULL).scheme, ConditionBased)


def test_a_partition_says_its_limits_in_bytes_and_seconds():
    campaign = campaign_of(FULL)
    (partition,) = campaign.partitions or ()

    assert (partition.max_bytes, partition.max_age_s) == (10 * 1024 * 1024, 7 * 86_400)
    assert campaign.is_spooled
    (signal,) = campaign.signals or ()
    assert campaign.partition_of(signal) is partition
    assert campaign.partition_of(replace(signal, partition=None)) is None
