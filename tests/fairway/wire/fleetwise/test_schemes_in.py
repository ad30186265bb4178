"""Campaigns of FleetWise's clouds, and every real campaign on its way to an agent and back."""

import pytest

from fairway.campaign.document import campaign_from_json
from fairway.campaign.model import Campaign, Compression, ConditionBased, SignalToCollect, TimeBased
from fairway.errors import BadInput
from fairway.expression.campaign import parse
from fairway.fleetwise.campaigns import Scheme
from fairway.fleetwise.decoders import CustomSignal, DecoderManifest, Primitive
from fairway.fleetwise.names import names_of
from fairway.wire.fleetwise.schemes import compiled, scheme_list_to_bytes
from fairway.wire.fleetwise.schemes_in import decoders_named, scheme_list_from_bytes
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


def foreign_scheme(**more):
    message = peer["CollectionScheme"](
        campaign_sync_id="arn:aws:iotfleetwise:eu-central-1:123456789012:campaign/brake-1/7",
        decoder_manifest_sync_id="manifest-1",
        expiry_time_ms_epoch=253_402_214_400_000,
        campaign_arn="arn:aws:iotfleetwise:eu-central-1:123456789012:campaign/brake-1",
    )
    message.time_based.period_ms = 500
    message.MergeFrom(peer["CollectionScheme"](**more))
    return message


def foreign_list(*schemes):
    return peer["CollectionSchemes"](collection_schemes=schemes).SerializeToString()


def test_a_campaign_of_a_cloud_of_fleetwise_is_called_as_its_arn_says():
    message = foreign_scheme()
    message.signal_information.add(signal_id=10, sample_buffer_size=3)

    read = scheme_list_from_bytes(foreign_list(message), NAMES)

    assert read.schemes[0].sync_id == message.campaign_sync_id
    assert read.schemes[0].campaign == Campaign(
        "brake-1",
        TimeBased(500),
        (SignalToCollect("Vehicle.Speed", 3),),
        compression=Compression.OFF,
    )
    assert decoders_named(foreign_list(message)) == {"manifest-1"}


def test_a_campaign_that_cannot_be_read_costs_itself_alone():
    deep = peer["ConditionNode"](node_boolean_value=True)
    for _ in range(33):
        deeper = peer["ConditionNode"]()
        deeper.node_operator.left_child.CopyFrom(deep)
        deeper.node_operator.operator = 8
        deep = deeper
    too_deep = foreign_scheme()
    too_deep.condition_based.condition_tree.CopyFrom(deep)
    unknown = foreign_scheme()
    unknown.condition_based.condition_tree.node_signal_id = 99
    of_later = foreign_scheme()
    of_later.condition_based.condition_tree.node_operator.operator = 77
    empty = foreign_scheme()
    empty.condition_based.SetInParent()
    idle = foreign_scheme()
    idle.time_based.period_ms = 0

    read = scheme_list_from_bytes(
        foreign_list(foreign_scheme(), too_deep, unknown, of_later, empty, idle), NAMES
    )

    assert len(read.schemes) == 1
    assert [reason[:60] for _, reason in read.unreadable] == [
        "a condition is nested deeper than 32 levels",
        "a condition names signal 99, which the decoder manifest does",
        "a condition has an empty node, or one of a later version",
        "a condition has an empty node, or one of a later version",
        "collectionScheme.timeBasedCollectionScheme.periodMs: must be",
    ]


def test_structured_signals_are_left_out_with_a_sentence():
    message = foreign_scheme()
    message.signal_information.add(signal_id=10).signal_path.signal_path.append(1)
    message.signal_information.add(signal_id=77)

    read = scheme_list_from_bytes(foreign_list(message), NAMES)

    assert read.schemes[0].left_out == (
        "signal 10 lies in a structured signal: it is not collected",
        "signal 77 is in no manifest: it is not collected",
    )


def test_a_campaign_of_two_windows_is_refused():
    message = foreign_scheme()
    message.signal_information.add(signal_id=10, fixed_window_period_ms=500)
    message.signal_information.add(signal_id=11, fixed_window_period_ms=700)

    read = scheme_list_from_bytes(foreign_list(message), NAMES)

    assert "windows of 500, 700 ms" in read.unreadable[0][1]


def test_more_campaigns_than_allowed_are_refused():
    with pytest.raises(BadInput, match="over the limit of 256"):
        scheme_list_from_bytes(foreign_list(*[foreign_scheme()] * 257), NAMES)


REAL = [
    "campaign-brake-event-vision-system-data",
    "campaign-counter",
    "campaign-file-size",
    "campaign-math",
    "campaign-my-someip-heartbeat",
    "campaign-nadc-example-heartbeat",
    "campaign-obd-heartbeat",
    "campaign-python-histogram",
    "campaign-sin",
    "campaign-someip-heartbeat",
    "campaign-store-only-no-upload",
    "campaign-uds-dtc-time-based-fetch",
    "campaign-upload-critical-during-hard-braking",
    "campaign-vision-system-data-heartbeat",
    "conditional-snapshot-campaign",
    "continious-monitoring-campaign",
]


@pytest.mark.parametrize("name", REAL)
def test_every_real_campaign_goes_to_an_agent_and_comes_back_the_same(name):
    document = shared(f"edge/fleetwise/campaigns/{name}.json").read_text()
    campaign = campaign_from_json(document, name="real")
    known = names_of_campaign(campaign)

    body = compiled(Scheme("real@1", "manifest-1", campaign), known)

    assert not body.missing
    read = scheme_list_from_bytes(scheme_list_to_bytes([body], time_ms=1), known)
    assert read.unreadable == ()
    assert compiled(read.schemes[0], known) == body


def test_no_real_campaign_is_forgotten():
    found = [path.stem for path in shared("edge/fleetwise/campaigns").glob("*.json")]

    assert sorted(found) == REAL


def names_of_campaign(campaign):
    """A manifest that has whatever a campaign names."""
    texts = [one.upload for one in campaign.partitions or () if one.upload]
    if isinstance(campaign.scheme, ConditionBased):
        texts.append(campaign.scheme.expression)
    for fetch in campaign.fetches or ():
        texts += fetch.actions
    signals = dict.fromkeys(name for text in texts for name in parse(text).signals)
    signals |= dict.fromkeys(one.name.replace("*", "x") for one in campaign.signals or ())
    signals |= dict.fromkeys(one.name for one in campaign.fetches or ())
    called = dict(enumerate(signals, start=1))
    manifest = DecoderManifest(
        "manifest-1", custom=tuple(CustomSignal(n, "1", name) for n, name in called.items())
    )
    return names_of(manifest, called)
