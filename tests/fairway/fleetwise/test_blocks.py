"""FleetWise's samples as ours, topics that nobody misspells, and names under which payloads are stored once."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.fleetwise.blocks import batch_name, block_of, campaign_part, data_of
from fairway.fleetwise.data import VehicleData
from fairway.fleetwise.decoders import CustomSignal, DecoderManifest, Primitive
from fairway.fleetwise.names import names_of
from fairway.fleetwise.topics import Prefixes
from fairway.ids import BatchName
from fairway.telemetry import Batch, CampaignEvent, CampaignPart

MANIFEST = DecoderManifest(
    "manifest-1",
    custom=(
        CustomSignal(30, "1", "speed", Primitive.FLOAT64),
        CustomSignal(10, "1", "gear", Primitive.STRING),
        CustomSignal(20, "1", "brake", Primitive.BOOL),
    ),
)
NAMES = names_of(MANIFEST, {30: "Speed", 10: "Gear", 20: "Brake"})


def data(samples, *, event_id=1, event_time_ms=1_000_000, campaign="c@1"):
    texts = tuple(dict.fromkeys(value for _, _, value in samples if isinstance(value, str)))
    return VehicleData(
        campaign,
        "manifest-1",
        event_id,
        event_time_ms,
        np.array([number for number, _, _ in samples], np.int64),
        np.array([time_ms for _, time_ms, _ in samples], np.int64),
        np.array([texts.index(v) if isinstance(v, str) else v for _, _, v in samples], np.float64),
        np.array([isinstance(value, str) for _, _, value in samples], np.bool_),
        texts,
    )


def test_samples_have_names_kinds_and_nanoseconds_in_the_order_of_time():
    found = block_of(data([(30, 5, 1.5), (20, 0, 1.0), (10, -7, "D")]), NAMES)

    assert list(found.block.rows()) == [
        ("Gear", 999_993_000_000, "D"),
        ("Brake", 1_000_000_000_000, True),
        ("Speed", 1_000_005_000_000, 1.5),
    ]
    assert found.left_out == ()


def test_what_the_manifest_does_not_have_is_left_out_with_a_sentence_for_each_kind():
    found = block_of(data([(30, 0, 1.5), (31, 0, 1.0), (30, 0, "D"), (10, 0, 2.0)]), NAMES)

    assert list(found.block.rows()) == [("Speed", 1_000_000_000_000, 1.5)]
    assert found.left_out == (
        "1 samples are of signals that the decoder manifest does not have, such as 31",
        "2 samples are no values of their signals, such as one of 30",
    )


def test_an_event_without_samples_is_an_empty_block():
    empty = data([])

    assert len(block_of(empty, NAMES).block) == 0
    assert campaign_part(empty, 0).events == (CampaignEvent(1, 1_000_000_000_000, 0),)


SAMPLES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([20, 30]), st.integers(-1000, 1000), st.floats(allow_nan=False)),
        st.tuples(st.just(10), st.integers(-1000, 1000), st.text(max_size=4)),
    ),
    max_size=20,
)


@given(SAMPLES)
def test_our_samples_go_back_to_fleetwises_as_they_were(samples):
    sent = data(samples)
    block = block_of(sent, NAMES).block
    part = campaign_part(sent, len(block))
    batch = Batch(BatchName("V", "0" * 16, 1), bytes(8), block, 0, part)

    (back,) = data_of(batch, NAMES, "manifest-1")

    assert sorted(zip(back.signal_id, back.relative_ms, strict=True)) == sorted(
        (number, time_ms) for number, time_ms, _ in samples
    )
    assert list(block_of(back, NAMES).block.rows()) == list(block.rows())
    assert (back.event_id, back.event_time_ms) == (1, 1_000_000)


def test_every_event_of_a_batch_has_its_own_samples():
    block = block_of(data([(30, 0, 1.0), (30, 1, 2.0), (30, 2, 3.0)]), NAMES).block
    events = (CampaignEvent(7, 0, 1), CampaignEvent(8, 0, 2, ("P0300",)))
    batch = Batch(BatchName("V", "0" * 16, 1), bytes(8), block, 0, CampaignPart("c@1", "", events))

    first, second = data_of(batch, NAMES, "manifest-1")

    assert (first.event_id, first.value.tolist()) == (7, [1.0])
    assert (second.event_id, second.value.tolist(), second.dtcs) == (8, [2.0, 3.0], ("P0300",))


def test_samples_of_no_campaign_are_refused():
    block = block_of(data([(30, 0, 1.0)]), NAMES).block

    with pytest.raises(BadInput, match='collect = "none"'):
        data_of(Batch(BatchName("V", "0" * 16, 1), bytes(8), block, 0), NAMES, "manifest-1")


def test_the_same_payload_has_the_same_name_and_another_another():
    one, body = data([(30, 0, 1.0)]), b"what it says"

    names = {
        batch_name("V", one, body),
        batch_name("V", one, body),
        batch_name("V", one, b"something else"),
        batch_name("W", one, body),
        batch_name("V", data([], campaign="d@1"), body),
    }

    assert len(names) == 4
    assert len({name.stream for name in names}) == 2


@given(st.integers(0, (1 << 42) - 1), st.binary(max_size=8))
def test_names_are_those_of_batches_and_grow_with_time(time_ms, body):
    early = batch_name("V", data([], event_time_ms=time_ms), body)
    late = batch_name("V", data([], event_time_ms=min(time_ms + 20_000, (1 << 42) - 1)), body)

    assert 0 < early.sequence < 1 << 63
    assert early.sequence >> 35 <= late.sequence >> 35
    assert early.stream == hashlib.sha256(b"fleetwise\0c@1").hexdigest()[:16]


def test_names_of_a_vehicle_that_was_told_none_are_numbers():
    names = names_of(MANIFEST)

    assert [signal.name for signal in names.table] == [
        "FleetWise.10",
        "FleetWise.20",
        "FleetWise.30",
    ]
    assert names.id("FleetWise.20") == 20
    assert (names.name(30), names.name(31), names.kind("no")) == ("FleetWise.30", None, None)


TOPICS = Prefixes()


def test_topics_are_those_of_the_agent():
    assert TOPICS.up("V") == (
        "$aws/iotfleetwise/vehicles/V/checkins",
        "$aws/iotfleetwise/vehicles/V/signals",
        "$aws/iotfleetwise/vehicles/V/last_known_states/data",
        "$aws/commands/things/V/executions/+/response/protobuf",
    )
    assert TOPICS.down("V") == (
        "$aws/iotfleetwise/vehicles/V/collection_schemes",
        "$aws/iotfleetwise/vehicles/V/decoder_manifests",
        "$aws/iotfleetwise/vehicles/V/last_known_states/config",
        "$aws/commands/things/V/executions/+/request/protobuf",
    )


@pytest.mark.parametrize(
    ("topic", "sender"),
    [
        (TOPICS.checkins("V.1"), ("V.1", "checkins")),
        (TOPICS.signals("V"), ("V", "signals")),
        (TOPICS.state_data("V"), ("V", "last_known_states/data")),
        (TOPICS.response("V", "c-1"), ("V", "answer")),
    ],
)
def test_a_topic_says_who_sent_what(topic, sender):
    assert TOPICS.sender(topic) == sender


@pytest.mark.parametrize(
    "topic",
    [
        TOPICS.schemes("V"),
        TOPICS.request("V", "c"),
        TOPICS.response("V", "c/d"),
        "$aws/iotfleetwise/vehicles//signals",
        "$aws/iotfleetwise/vehicles/a b/signals",
        "fairway/v1/V/up/telemetry",
        "",
    ],
)
def test_no_other_topic_is_an_agents(topic):
    with pytest.raises(BadInput):
        TOPICS.sender(topic)


@pytest.mark.parametrize("prefix", ["", "fleetwise", "a//", "#/", "a b/", "$SYS/", "fairway/v1/x/"])
def test_a_prefix_that_begins_no_topics_is_refused(prefix):
    with pytest.raises(BadInput):
        Prefixes(fleetwise=prefix)
