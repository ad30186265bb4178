"""Campaigns for FleetWise's agents, and from its clouds: numbers for names, trees for conditions."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.campaign.document import campaign_from_json, sync_id
from fairway.campaign.model import (
    Budget,
    Campaign,
    Compression,
    ConditionBased,
    DiagnosticsMode,
    Extensions,
    SignalToCollect,
    TimeBased,
    TriggerMode,
)
from fairway.errors import BadInput
from fairway.fleetwise.campaigns import Scheme
from fairway.fleetwise.decoders import CustomSignal, DecoderManifest, Primitive
from fairway.fleetwise.names import names_of
from fairway.wire.fleetwise.schemes import compiled, scheme_list_to_bytes
from fairway.wire.fleetwise.schemes_in import scheme_list_from_bytes
from tests.fleetwise_peer import peer
from tests.shared_data import shared

SIGNALS = ("Vehicle.Speed", "Vehicle.Brake", "Vehicle.Gear", "Vehicle.ECU1.DTC_INFO")
MANIFEST = DecoderManifest(
    "manifest-1",
    custom=tuple(
        CustomSignal(number, "1", name, Primitive.STRING if "DTC" in name else Primitive.FLOAT64)
        for number, name in enumerate(SIGNALS, start=10)
    ),
)
NAMES = names_of(MANIFEST, dict(enumerate(SIGNALS, start=10)))


def scheme(campaign: Campaign) -> Scheme:
    return Scheme(sync_id(campaign), "manifest-1", campaign)


def for_agent(campaign: Campaign):
    return peer["CollectionScheme"].FromString(compiled(scheme(campaign), NAMES).body)


def there_and_back(campaign: Campaign) -> Campaign:
    data = scheme_list_to_bytes([compiled(scheme(campaign), NAMES)], time_ms=5)
    read = scheme_list_from_bytes(data, NAMES)
    assert not read.unreadable
    assert read.time_ms == 5
    return read.schemes[0].campaign


def conditional(expression: str, *signals: str, **more) -> Campaign:
    collected = tuple(SignalToCollect(name) for name in signals) or None
    return Campaign("brake", ConditionBased(expression), collected, **more)


def test_a_time_based_campaign_has_its_numbers_where_an_agent_looks_for_them():
    campaign = Campaign(
        "heartbeat",
        TimeBased(10_000),
        (SignalToCollect("Vehicle.Speed", 5, 100), SignalToCollect("Vehicle.Brake")),
        start_time_ns=1_700_000_000_000_000_000,
        expiry_time_ns=1_800_000_000_000_000_000,
        post_trigger_ms=2_000,
        diagnostics=DiagnosticsMode.SEND_ACTIVE_DTCS,
        priority=3,
        compression=Compression.OFF,
    )

    found = for_agent(campaign)

    assert found.campaign_sync_id == sync_id(campaign)
    assert found.decoder_manifest_sync_id == "manifest-1"
    assert (found.start_time_ms_epoch, found.expiry_time_ms_epoch) == (
        1_700_000_000_000,
        1_800_000_000_000,
    )
    assert found.time_based.period_ms == 10_000
    assert (found.after_duration_ms, found.priority) == (2_000, 3)
    assert (found.include_active_dtcs, found.compress_collected_data) == (True, False)
    assert [
        (one.signal_id, one.sample_buffer_size, one.minimum_sample_period_ms)
        for one in found.signal_information
    ] == [(10, 5, 100), (11, 1000, 0)]


def test_a_campaign_that_never_ends_has_fleetwises_last_second_and_is_compressed():
    found = for_agent(Campaign("heartbeat", TimeBased(500)))

    assert found.expiry_time_ms_epoch == 253_402_214_400_000
    assert found.compress_collected_data


def test_a_condition_is_a_tree_over_numbers():
    campaign = conditional(
        "$variable.`Vehicle.Speed` > 50 && !isNull($variable.`Vehicle.Brake`)", "Vehicle.Gear"
    )

    found = for_agent(campaign)

    both = found.condition_based.condition_tree.node_operator
    assert both.operator == 6
    assert both.left_child.node_operator.operator == 1
    assert both.left_child.node_operator.left_child.node_signal_id == 10
    assert both.left_child.node_operator.right_child.node_double_value == 50.0
    negated = both.right_child.node_operator
    assert negated.operator == 8
    assert negated.left_child.node_function.is_null_function.expression.node_signal_id == 11
    assert found.condition_based.condition_language_version == 1
    assert {(one.signal_id, one.condition_only_signal) for one in found.signal_information} == {
        (12, False),
        (10, True),
        (11, True),
    }


def test_a_window_goes_with_the_signal_that_it_is_over():
    campaign = conditional(
        "prev_last_window_avg($variable.`Vehicle.Speed`) > $variable.`Vehicle.Gear`",
        "Vehicle.Speed",
        extensions=Extensions(window_ms=2_500),
    )

    found = for_agent(campaign)

    left = found.condition_based.condition_tree.node_operator.left_child
    assert left.node_function.window_function.window_type == 5
    assert {(one.signal_id, one.fixed_window_period_ms) for one in found.signal_information} == {
        (10, 2_500),
        (12, 0),
    }


EXPRESSIONS = [
    "$variable.`Vehicle.Speed` > 50",
    "!($variable.`Vehicle.Speed` == 1 || false)",
    "$variable.`Vehicle.ECU1.DTC_INFO` + 'x' != \"y'\"",
    "custom_function('pow', $variable.`Vehicle.Speed`, 2) / 3 - 4 * 5 <= 6",
    "custom_function('MULTI', 'a', $variable.`Vehicle.Brake` >= 1, true)",
    "last_window_min($variable.`Vehicle.Speed`) < prev_last_window_max($variable.`Vehicle.Gear`)",
    "isNull($variable.`Vehicle.Gear`)",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_condition_comes_back_in_its_canonical_text(expression):
    once = there_and_back(conditional(expression, "Vehicle.Speed"))

    assert there_and_back(once) == once
    assert (
        for_agent(once).condition_based
        == for_agent(conditional(expression, "Vehicle.Speed")).condition_based
    )


def test_a_minus_before_an_operand_is_a_difference_from_zero():
    once = there_and_back(conditional("-$variable.`Vehicle.Speed` < -5", "Vehicle.Speed"))

    assert isinstance(once.scheme, ConditionBased)
    assert once.scheme.expression == "0 - $variable.`Vehicle.Speed` < -5"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("held($variable.`Vehicle.Speed` > 1, 2 s)", r"held\(...\) is unknown to the agents"),
        ("rate($variable.`Vehicle.Speed`) > 1", r"rate\(...\) is unknown to the agents"),
        ("inside_circle(1, 2, 3, 4, 5)", "inside_circle is unknown to the agents"),
        ("$variable.`Vehicle.Fuel` > 1", "names Vehicle.Fuel, which the decoder manifest"),
        ("(((((((((($variable.`Vehicle.Speed` + 1) + 1) + 1) + 1) + 1) + 1) + 1) + 1) + 1) + 1) > 1",
         "deeper than 10 levels"),
    ],
)  # fmt: skip
def test_a_condition_that_no_agent_of_fleetwise_can_evaluate_is_refused(expression, reason):
    with pytest.raises(BadInput, match=reason):
        compiled(scheme(conditional(expression, "Vehicle.Speed")), NAMES)


@pytest.mark.parametrize(
    ("extensions", "word"),
    [
        (Extensions(equality_tolerance=0.5), "equalityTolerance"),
        (Extensions(budget=Budget(max_bytes=1)), "budget"),
    ],
)
def test_a_campaign_that_would_run_otherwise_than_it_says_is_refused(extensions, word):
    campaign = Campaign("brake", TimeBased(500), extensions=extensions)

    with pytest.raises(BadInput, match=f"have no {word}"):
        compiled(scheme(campaign), NAMES)


def test_a_name_with_a_star_is_every_signal_that_it_fits():
    campaign = Campaign("all", TimeBased(500), (SignalToCollect("Vehicle.*e*"),))

    found = for_agent(campaign)

    assert [one.signal_id for one in found.signal_information] == [10, 11, 12]


def test_signals_that_the_manifest_does_not_have_are_told():
    campaign = Campaign(
        "some", TimeBased(500), (SignalToCollect("Vehicle.Speed"), SignalToCollect("Vehicle.No"))
    )

    assert compiled(scheme(campaign), NAMES).missing == ("Vehicle.No",)
    with pytest.raises(BadInput, match="none of the signals"):
        compiled(scheme(replace(campaign, signals=(SignalToCollect("Vehicle.No"),))), NAMES)


def test_partitions_go_by_position_and_what_is_in_none_has_one_that_is_always_open():
    document = json.loads(
        shared(
            "edge/fleetwise/campaigns/campaign-upload-critical-during-hard-braking.json"
        ).read_text()
    )
    document |= {
        "name": "parts",
        "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 10_000}},
    }
    part = document["dataPartitions"][0]["id"]
    for one in document["dataPartitions"]:
        one["uploadOptions"] = {"expression": "$variable.`Vehicle.Brake` > 100"}
    document["signalsToCollect"] = [
        {"name": "Vehicle.Speed", "dataPartitionId": part},
        {"name": "Vehicle.Gear"},
    ]
    campaign = campaign_from_json(json.dumps(document))
    assert campaign.partitions
    count = len(campaign.partitions)

    found = for_agent(campaign)

    parts = found.store_and_forward.partition_configuration
    assert [(one.signal_id, one.data_partition_id) for one in found.signal_information] == [
        (10, 0),
        (12, count),
        (11, 0),
    ]
    assert parts[0].storage_options.maximum_size_in_bytes == campaign.partitions[0].max_bytes
    assert parts[0].upload_options.condition_tree.node_operator.left_child.node_signal_id == 11
    assert parts[count].upload_options.condition_tree.node_boolean_value
    read = there_and_back(campaign)
    assert read.partitions is not None
    assert [one.max_bytes for one in read.partitions[:count]] == [
        one.max_bytes for one in campaign.partitions
    ]
    assert read.signals is not None
    assert [one.partition for one in read.signals] == ["0", str(count)]


def test_a_fetch_has_its_actions_as_trees():
    name = "edge/fleetwise/campaigns/campaign-uds-dtc-time-based-fetch.json"
    campaign = campaign_from_json(shared(name).read_text(), name="dtc")

    found = for_agent(campaign)

    fetch = found.signal_fetch_information[0]
    assert fetch.signal_id == 13
    assert fetch.time_based.execution_frequency_ms > 0
    action = fetch.actions[0].node_function.custom_function
    assert action.function_name == "DTC_QUERY"
    assert [one.node_double_value for one in action.params] == [-1.0, 4.0, -1.0]
    read = there_and_back(campaign)
    assert read.fetches is not None
    assert campaign.fetches is not None
    assert read.fetches[0].when == campaign.fetches[0].when


CAMPAIGNS = st.builds(
    Campaign,
    st.from_regex(r"[a-zA-Z0-9_:-]{1,50}", fullmatch=True),
    st.builds(TimeBased, st.integers(1, 86_400_000))
    | st.builds(
        ConditionBased,
        st.sampled_from(["$variable.`Vehicle.Speed` > 50", "isNull($variable.`Vehicle.Gear`)"]),
        st.integers(1, 2**32 - 1),
        st.sampled_from(TriggerMode),
        st.just(1),
    ),
    st.lists(
        st.builds(
            SignalToCollect, st.sampled_from(SIGNALS), st.integers(1, 99), st.integers(1, 9999)
        ),
        unique_by=lambda one: one.name,
        max_size=4,
    ).map(tuple),
    st.none() | st.integers(1, 10**9).map(lambda s: s * 10**9),
    st.none() | st.integers(10**9 + 1, 10**10).map(lambda s: s * 10**9),
    st.none() | st.integers(1, 2**32 - 1),
    st.sampled_from([None, DiagnosticsMode.SEND_ACTIVE_DTCS]),
    st.none(),
    st.sampled_from(Compression),
    st.none() | st.integers(1, 2**32 - 1),
)


@given(CAMPAIGNS)
def test_a_campaign_comes_out_as_it_went_in(campaign):
    assert there_and_back(campaign) == campaign


@settings(max_examples=400)
@given(st.binary(max_size=200), st.integers(0, 200), st.binary(max_size=10))
def test_garbage_is_a_list_or_bad_input(noise, at, patch):
    data = bytearray(
        scheme_list_to_bytes(
            [compiled(scheme(conditional(EXPRESSIONS[at % 7], "Vehicle.Speed")), NAMES)], time_ms=1
        )
    )
    data[at : at + len(patch)] = patch
    for garbage in (noise, bytes(data)):
        with suppress(BadInput):
            scheme_list_from_bytes(garbage, NAMES)
