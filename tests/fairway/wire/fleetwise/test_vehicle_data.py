"""FleetWise's events and check-ins: read as its agents write them, compressed or not."""

from contextlib import suppress

import cramjam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.fleetwise.data import Checkin, VehicleData
from fairway.wire.fleetwise import vehicle_data as codec
from fairway.wire.fleetwise.vehicle_data import (
    body_of,
    checkin_from_bytes,
    checkin_to_bytes,
    payloads,
    vehicle_data_from_bytes,
    vehicle_data_to_bytes,
)
from tests.fleetwise_peer import peer

IDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=40)
SAMPLES = st.lists(
    st.tuples(
        st.integers(1, 2**31 - 1),
        st.integers(-(2**40), 2**40),
        st.floats(allow_nan=False) | st.text(max_size=8),
    ),
    max_size=30,
)


def event(samples, *, campaign="brake@1", dtcs=(), keys=()):
    texts = tuple(dict.fromkeys(value for _, _, value in samples if isinstance(value, str)))
    values = [texts.index(value) if isinstance(value, str) else value for _, _, value in samples]
    return VehicleData(
        campaign,
        "manifest-1",
        77,
        1_700_000_000_000,
        np.array([number for number, _, _ in samples], np.int64),
        np.array([time_ms for _, time_ms, _ in samples], np.int64),
        np.array(values, np.float64),
        np.array([isinstance(value, str) for _, _, value in samples], np.bool_),
        texts,
        dtcs,
        -5 if dtcs else 0,
        keys,
    )


def samples_of(data):
    return [
        (number, time_ms, data.texts[int(value)] if is_text else value)
        for number, time_ms, value, is_text in zip(
            data.signal_id.tolist(),
            data.relative_ms.tolist(),
            data.value.tolist(),
            data.is_text.tolist(),
            strict=True,
        )
    ]


def of_an_agent(**more):
    message = peer["VehicleData"](
        campaign_sync_id="brake@1",
        decoder_sync_id="manifest-1",
        collection_event_id=77,
        collection_event_time_ms_epoch=1_700_000_000_000,
    )
    message.captured_signals.add(signal_id=3, relative_time_ms=-20, double_value=13.25)
    message.captured_signals.add(signal_id=4, relative_time_ms=5, string_value="REVERSE")
    message.dtc_data.active_dtc_codes.extend(["P0300", "U0100"])
    message.dtc_data.relative_time_ms = -7
    message.s3_objects.add(key="camera/1.10n", data_format=1)
    message.MergeFrom(peer["VehicleData"](**more))
    return message.SerializeToString()


@pytest.mark.parametrize("compress", [False, True])
def test_what_an_agent_sends_is_read_whether_it_is_compressed_or_not(*, compress: bool):
    body = of_an_agent()
    payload = bytes(cramjam.snappy.compress_raw(body)) if compress else body

    data = vehicle_data_from_bytes(payload)

    assert (data.campaign_sync_id, data.decoder_sync_id) == ("brake@1", "manifest-1")
    assert (data.event_id, data.event_time_ms) == (77, 1_700_000_000_000)
    assert samples_of(data) == [(3, -20, 13.25), (4, 5, "REVERSE")]
    assert (data.dtcs, data.dtcs_relative_ms) == (("P0300", "U0100"), -7)
    assert data.object_keys == ("camera/1.10n",)
    assert body_of(payload) == body


@pytest.mark.parametrize("compress", [False, True])
def test_what_we_send_is_what_a_cloud_of_fleetwise_reads(*, compress: bool):
    sent = event([(3, -20, 13.25), (4, 5, "REVERSE")], dtcs=("P0300",), keys=("a",))

    payload = vehicle_data_to_bytes(sent, compress=compress)

    body = bytes(cramjam.snappy.decompress_raw(payload)) if compress else payload
    message = peer["VehicleData"].FromString(body)
    assert message.campaign_sync_id == "brake@1"
    assert message.collection_event_time_ms_epoch == 1_700_000_000_000
    assert [
        (one.signal_id, one.relative_time_ms, one.WhichOneof("value"))
        for one in message.captured_signals
    ] == [(3, -20, "double_value"), (4, 5, "string_value")]
    assert list(message.dtc_data.active_dtc_codes) == ["P0300"]


@given(SAMPLES, IDS, st.booleans(), st.lists(st.text(min_size=1, max_size=8), max_size=3))
def test_an_event_comes_out_as_it_went_in(samples, campaign, compress, dtcs):
    sent = event(samples, campaign=campaign, dtcs=tuple(dtcs))

    read = vehicle_data_from_bytes(vehicle_data_to_bytes(sent, compress=compress))

    assert samples_of(read) == samples
    assert (read.campaign_sync_id, read.dtcs) == (campaign, tuple(dtcs))


def test_samples_in_structured_signals_are_counted_and_left_out():
    message = peer["VehicleData"]()
    part = message.captured_signals.add(double_value=1.0).primitive_type_in_signal
    part.signal_id = 9
    part.signal_path.signal_path.append(2)

    data = vehicle_data_from_bytes(of_an_agent() + message.SerializeToString())

    assert (len(data), data.structured) == (2, 1)


def test_a_sample_without_a_value_is_left_out():
    message = peer["VehicleData"]()
    message.captured_signals.add(signal_id=3)

    assert len(vehicle_data_from_bytes(of_an_agent() + message.SerializeToString())) == 2


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"collection_event_time_ms_epoch": 1 << 42}, "no time"),
        ({"campaign_sync_id": "x" * 257}, "no sync id"),
        ({"decoder_sync_id": "two\nlines"}, "no sync id"),
    ],
)
def test_an_event_beyond_the_limits_is_refused(changed, reason):
    with pytest.raises(BadInput, match=reason):
        vehicle_data_from_bytes(of_an_agent(**changed))


def test_an_event_of_nobody_is_refused():
    message = peer["VehicleData"](decoder_sync_id="manifest-1")

    with pytest.raises(BadInput, match="no sync id"):
        vehicle_data_from_bytes(bytes(cramjam.snappy.compress_raw(message.SerializeToString())))


def test_a_block_that_would_become_too_large_is_not_decompressed():
    bomb = bytes(cramjam.snappy.compress_raw(bytes(codec.MESSAGE_MAX_BYTES + 1)))
    assert len(bomb) < codec.PAYLOAD_MAX_BYTES

    with pytest.raises(BadInput, match="no Snappy block of at most"):
        vehicle_data_from_bytes(bomb)


def test_a_payload_over_the_limit_is_refused_unread():
    with pytest.raises(BadInput, match="over the limit"):
        vehicle_data_from_bytes(b"\x0a" * (codec.PAYLOAD_MAX_BYTES + 1))


def test_more_samples_than_allowed_are_counted_not_built(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(codec, "SAMPLES_MAX", 100)
    crowd = peer["VehicleData"]()
    for _ in range(101):
        crowd.captured_signals.add()

    with pytest.raises(BadInput, match="more than 100 samples"):
        vehicle_data_from_bytes(of_an_agent() + crowd.SerializeToString())


def test_bytes_that_only_look_like_many_samples_are_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(codec, "SAMPLES_MAX", 10)
    body = of_an_agent(s3_objects=[peer["S3Object"](key="*" * 50)])

    assert len(vehicle_data_from_bytes(body)) == 2


@settings(max_examples=300)
@given(st.binary(max_size=300), st.booleans(), st.integers(0, 200), st.binary(max_size=20))
def test_garbage_is_an_event_or_bad_input(noise, mutates, at, patch):
    payload = noise
    if mutates:
        payload = bytearray(vehicle_data_to_bytes(event([(3, 1, 2.5)] * 20), compress=bool(at % 2)))
        payload[at : at + len(patch)] = patch
    with suppress(BadInput):
        vehicle_data_from_bytes(bytes(payload))
    with suppress(BadInput):
        checkin_from_bytes(bytes(payload))


@pytest.mark.parametrize("compress", [False, True])
def test_an_event_that_is_too_large_goes_in_parts_of_its_id_and_time(*, compress: bool):
    random = np.random.default_rng(1)
    samples = [(number % 50 + 1, number, float(random.random())) for number in range(5000)]
    sent = event(samples, dtcs=("P0300",), keys=("a",))

    parts = payloads(sent, compress=compress, max_bytes=16_384)

    read = [vehicle_data_from_bytes(part) for part in parts]
    assert len(parts) > 1
    assert max(map(len, parts)) <= 16_384
    assert [one for data in read for one in samples_of(data)] == samples
    assert {(data.event_id, data.event_time_ms) for data in read} == {(77, 1_700_000_000_000)}
    assert [data.dtcs for data in read if data.dtcs] == [("P0300",)]


def test_a_sample_that_is_too_large_is_refused():
    with pytest.raises(BadInput, match="cannot be made small enough"):
        payloads(event([(1, 0, "x" * 200)]), compress=False, max_bytes=100)


@given(st.lists(IDS, max_size=5), st.integers(0, codec.TIME_MAX_MS))
def test_a_check_in_comes_out_as_it_went_in(documents, time_ms):
    checkin = Checkin(tuple(documents), time_ms)

    data = checkin_to_bytes(checkin)

    message = peer["Checkin"].FromString(data)
    assert (list(message.document_sync_ids), message.timestamp_ms_epoch) == (documents, time_ms)
    assert checkin_from_bytes(data) == checkin


def test_a_check_in_of_too_many_documents_is_refused():
    crowd = peer["Checkin"](document_sync_ids=["a"] * (codec.CHECKIN_MAX_DOCUMENTS + 1))

    with pytest.raises(BadInput, match="over the limit"):
        checkin_from_bytes(crowd.SerializeToString())
