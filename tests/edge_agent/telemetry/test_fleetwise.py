"""Our conversation with a cloud in FleetWise's words: what goes up, what comes down, and what is refused."""

import numpy as np
import pytest

from edge_agent.telemetry.fleetwise import FleetWiseWire
from fairway.control import (
    CampaignList,
    CampaignState,
    CampaignStatus,
    Catalogue,
    CheckIn,
    Command,
    SnapshotState,
    StateReport,
    StateTemplateList,
    StateValue,
)
from fairway.errors import BadInput
from fairway.fleetwise.decoders import CustomSignal, DecoderManifest, Primitive
from fairway.fleetwise.names import names_of
from fairway.ids import BatchName
from fairway.samples import SampleBlock, Signal, SignalTable
from fairway.telemetry import Batch, CampaignEvent, CampaignPart, Outcome
from fairway.wire.control import from_vehicle_to_bytes, to_vehicle_from_bytes
from fairway.wire.fleetwise.vehicle_data import vehicle_data_from_bytes
from fairway.wire.telemetry import batch_to_bytes, dictionary_of, dictionary_to_bytes
from tests.fleetwise_peer import peer

MANIFEST = DecoderManifest(
    "manifest-1",
    custom=(
        CustomSignal(7, "X", "a", Primitive.INT32),
        CustomSignal(8, "X", "b", Primitive.FLOAT64),
    ),
)
TABLE = SignalTable((Signal("FleetWise.7"), Signal("Vehicle.Other"), Signal("FleetWise.8")))
DICTIONARY = dictionary_of(TABLE)
DAY_NS = 24 * 3600 * 10**9


def wire(max_bytes: int = 131_072) -> FleetWiseWire:
    return FleetWiseWire("V", MANIFEST, names_of(MANIFEST), max_bytes=max_bytes)


def batch(count: int = 3, campaign: str = "c@1") -> bytes:
    block = SampleBlock(
        TABLE,
        np.arange(count, dtype=np.int32) % 3,
        np.arange(count, dtype=np.int64) * 1_000_000,
        np.random.default_rng(1).random(count),
    )
    part = CampaignPart(campaign, events=(CampaignEvent(5, 0, count),)) if campaign else None
    name = BatchName("V", "0" * 16, 9)
    return batch_to_bytes(Batch(name, DICTIONARY.id, block, 0, part))


def scheme(sync_id: str = "c@1", *, decoder: str = "manifest-1", compress: bool = False):
    message = peer["CollectionScheme"](
        campaign_sync_id=sync_id,
        decoder_manifest_sync_id=decoder,
        compress_collected_data=compress,
    )
    message.time_based.period_ms = 500
    message.signal_information.add(signal_id=7)
    return message


def listed(*schemes, time_ms: int = 5) -> bytes:
    return peer["CollectionSchemes"](
        collection_schemes=schemes, timestamp_ms_epoch=time_ms
    ).SerializeToString()


def test_a_batch_whose_dictionary_is_not_known_is_asked_for_again():
    speaks = wire()

    before = speaks.up(batch())
    assert speaks.up(dictionary_to_bytes(DICTIONARY)).receipt is None
    after = speaks.up(batch())

    assert before.receipt is not None
    assert (before.payloads, before.receipt.outcome) == ((), Outcome.UNKNOWN_DICTIONARY)
    assert after.receipt is not None
    assert (len(after.payloads), after.receipt.outcome) == (1, Outcome.STORED)
    assert (after.receipt.stream, after.receipt.sequence) == ("0" * 16, 9)


@pytest.mark.parametrize("compress", [False, True])
def test_events_are_compressed_when_their_campaign_says_so(*, compress: bool):
    speaks = wire()
    speaks.up(dictionary_to_bytes(DICTIONARY))
    speaks.schemes(listed(scheme(compress=compress)))

    (payload,) = speaks.up(batch()).payloads

    assert payload.startswith(b"\x0a") is not compress
    assert vehicle_data_from_bytes(payload).signal_id.tolist() == [7, 8]


def test_a_large_batch_goes_in_parts_with_one_receipt():
    speaks = wire(max_bytes=4_096)
    speaks.up(dictionary_to_bytes(DICTIONARY))

    up = speaks.up(batch(2_000))

    assert len(up.payloads) > 2
    assert max(map(len, up.payloads)) <= 4_096


def test_a_batch_of_no_campaign_is_refused():
    speaks = wire()
    speaks.up(dictionary_to_bytes(DICTIONARY))

    up = speaks.up(batch(campaign=""))

    assert up.receipt is not None
    assert up.receipt.outcome is Outcome.REFUSED
    assert not up.payloads


def test_campaigns_of_another_manifest_are_left_out_with_a_sentence():
    down = wire().schemes(listed(scheme("a@1"), scheme("b@1", decoder="manifest-2")))

    assert down.response is not None
    found = to_vehicle_from_bytes(down.response)
    assert isinstance(found, CampaignList)
    assert [one.sync_id for one in found.campaigns] == ["a@1"]
    assert down.sentences == (
        "campaign b@1 is of the decoder manifest manifest-2; this is manifest-1",
    )


def test_revisions_of_lists_grow_whatever_the_clock_of_the_cloud_says():
    speaks = wire()
    revisions = []
    for time_ms in (1_000, 500, 2_000):
        down = speaks.schemes(listed(time_ms=time_ms))
        assert down.response is not None
        found = to_vehicle_from_bytes(down.response)
        assert isinstance(found, CampaignList)
        revisions.append(found.revision)

    assert revisions == [1_000, 1_001, 2_000]


def test_a_check_in_names_what_runs_the_manifest_and_the_templates():
    speaks = wire()
    change = peer["StateTemplates"](version=1)
    change.state_templates_to_add.add(
        state_template_sync_id="drive", signal_ids=[7, 99]
    ).on_change.SetInParent()
    down = speaks.templates(change.SerializeToString())
    states = [
        CampaignStatus("run@1", CampaignState.RUNNING),
        CampaignStatus("ready@1", CampaignState.READY),
        CampaignStatus("no@1", CampaignState.REFUSED),
        CampaignStatus("old@1", CampaignState.EXPIRED),
    ]

    up = speaks.control_up(from_vehicle_to_bytes(CheckIn("1", 7_000_000, 1, tuple(states))))

    assert up.checkin is not None
    told = peer["Checkin"].FromString(up.checkin)
    assert list(told.document_sync_ids) == ["run@1", "ready@1", "manifest-1", "drive"]
    assert told.timestamp_ms_epoch == 7
    assert down.response is not None
    templates = to_vehicle_from_bytes(down.response)
    assert isinstance(templates, StateTemplateList)
    assert templates.templates[0].signals == ("FleetWise.7",)


def test_a_template_that_is_removed_is_no_longer_there():
    speaks = wire()
    change = peer["StateTemplates"](version=1)
    change.state_templates_to_add.add(state_template_sync_id="drive").on_change.SetInParent()
    speaks.templates(change.SerializeToString())

    down = speaks.templates(
        peer["StateTemplates"](
            version=2, state_template_sync_ids_to_remove=["drive", "nobody"]
        ).SerializeToString()
    )

    assert down.response is not None
    assert to_vehicle_from_bytes(down.response) == StateTemplateList(2, ())


def test_last_known_values_go_by_number_and_others_are_left_out():
    report = StateReport(
        "drive",
        (StateValue("FleetWise.7", 3_000_000, 5.0), StateValue("Vehicle.Other", 9_000_000, 1.0)),
    )

    up = wire().control_up(from_vehicle_to_bytes(report))

    assert up.states is not None
    (state,) = peer["LastKnownStateData"].FromString(up.states).captured_state_template_signals
    assert [(one.signal_id, one.int32_value) for one in state.captured_signals] == [(7, 5)]


def test_a_catalogue_stays_here():
    up = wire().control_up(from_vehicle_to_bytes(Catalogue(DICTIONARY)))

    assert (up.checkin, up.states, up.answer) == (None, None, None)


def test_a_command_without_a_timeout_is_good_for_a_day():
    request = peer["CommandRequest"](command_id="c1", issued_timestamp_ms=1)
    request.last_known_state_command.state_template_information.add(
        state_template_sync_id="drive"
    ).fetch_snapshot_operation.SetInParent()

    down = wire().command(request.SerializeToString(), now_ns=10)

    assert down.response is not None
    assert to_vehicle_from_bytes(down.response) == Command(
        "c1", 10 + DAY_NS, SnapshotState("drive")
    )


@pytest.mark.parametrize("noise", [b"\xff", b""])
def test_what_is_no_message_is_bad_input(noise: bytes):
    speaks = wire()
    for read in (speaks.up, speaks.control_up):
        with pytest.raises(BadInput):
            read(noise)
