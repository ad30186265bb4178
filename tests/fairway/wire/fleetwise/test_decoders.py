"""Decoder manifests: every kind of signal comes out as it went in, and start bits are not mixed up."""

from contextlib import suppress
from typing import Any

import cantools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.fleetwise.decoders import (
    CanSignal,
    ComplexArray,
    ComplexPrimitive,
    ComplexSignal,
    ComplexStruct,
    ComplexText,
    ComplexType,
    CustomSignal,
    DecoderManifest,
    ObdSignal,
    Primitive,
    start_in_dbc,
    start_in_fleetwise,
)
from fairway.wire.fleetwise.decoders import manifest_from_bytes, manifest_to_bytes
from tests.fleetwise_peer import peer
from tests.shared_data import shared

NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
BYTE = st.integers(0, 255)
PRIMITIVES = st.sampled_from(Primitive)
UINT32 = st.integers(0, 2**32 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
CAN = st.builds(
    CanSignal,
    st.just(0),
    NAMES,
    st.integers(0, 2**29 - 1),
    st.integers(0, 511),
    st.integers(1, 64),
    *[st.booleans()] * 3,
    FLOATS,
    FLOATS,
    PRIMITIVES,
)
OBD = st.builds(
    ObdSignal, st.just(0), NAMES, *[BYTE] * 7, FLOATS, FLOATS, *[st.booleans()] * 2, PRIMITIVES
)
CUSTOM = st.builds(CustomSignal, st.just(0), NAMES, NAMES, PRIMITIVES)
COMPLEX = st.builds(ComplexSignal, st.just(0), NAMES, NAMES, UINT32)
VARIANTS = st.one_of(
    st.none(),
    st.builds(ComplexPrimitive, PRIMITIVES, FLOATS, FLOATS),
    st.builds(ComplexStruct, st.lists(UINT32, max_size=4).map(tuple)),
    st.builds(ComplexArray, INT64, UINT32),
    st.builds(ComplexText, st.booleans(), INT64),
)


def numbered(*groups):
    """Give each signal a number of its own."""
    number = 0
    for group in groups:
        found = []
        for signal in group:
            number += 1
            fields = {name: getattr(signal, name) for name in type(signal).__slots__}
            found.append(type(signal)(**(fields | {"id": number})))
        yield tuple(found)


@given(
    st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=20),
    *[st.lists(one, max_size=4) for one in (CAN, OBD, CUSTOM, COMPLEX)],
    st.lists(st.builds(ComplexType, UINT32, VARIANTS), max_size=4),
)
def test_a_manifest_comes_out_as_it_went_in(sync_id, can, obd, custom, structured, types):
    can, obd, custom, structured = numbered(can, obd, custom, structured)
    manifest = DecoderManifest(sync_id, can, obd, custom, tuple(types), structured)

    data = manifest_to_bytes(manifest)

    assert manifest_from_bytes(data) == manifest
    foreign = peer["DecoderManifest"].FromString(data)
    assert [one.signal_id for one in foreign.can_signals] == [one.id for one in can]
    assert [one.start_bit for one in foreign.can_signals] == [one.start_bit for one in can]
    assert [one.length for one in foreign.can_signals] == [one.length_bits for one in can]
    assert [one.message_id for one in foreign.can_signals] == [one.frame_id for one in can]
    assert [one.signal_value_type for one in foreign.can_signals] == [one.is_float for one in can]
    assert [one.pid for one in foreign.obd_pid_signals] == [one.pid for one in obd]
    assert [one.scaling for one in foreign.obd_pid_signals] == [one.factor for one in obd]
    assert [one.bit_mask_length for one in foreign.obd_pid_signals] == [
        one.mask_bits for one in obd
    ]
    assert [one.custom_decoding_id for one in foreign.custom_decoding_signals] == [
        one.decoder for one in custom
    ]
    assert [one.root_type_id for one in foreign.complex_signals] == [
        one.root_type for one in structured
    ]


def test_what_a_cloud_of_fleetwise_sends_is_read():
    foreign = peer["DecoderManifest"](sync_id="manifest-1")
    foreign.can_signals.add(
        signal_id=1,
        interface_id="1",
        message_id=0x123,
        is_big_endian=True,
        is_signed=True,
        start_bit=16,
        offset=-40.0,
        factor=0.5,
        length=12,
        primitive_type=8,
    )
    foreign.obd_pid_signals.add(
        signal_id=2,
        interface_id="0",
        pid_response_length=2,
        service_mode=1,
        pid=12,
        scaling=0.25,
        byte_length=2,
        bit_mask_length=8,
        is_signed=True,
    )
    foreign.custom_decoding_signals.add(
        signal_id=3, interface_id="LOCATION", custom_decoding_id="Vehicle.X", primitive_type=11
    )

    manifest = manifest_from_bytes(foreign.SerializeToString())

    assert manifest == DecoderManifest(
        "manifest-1",
        can=(
            CanSignal(
                1, "1", 0x123, 16, 12, is_big_endian=True, is_signed=True, factor=0.5, offset=-40.0,
                primitive=Primitive.INT32,
            ),
        ),
        obd=(ObdSignal(2, "0", 1, 12, 2, 0, 2, factor=0.25, is_signed=True),),
        custom=(CustomSignal(3, "LOCATION", "Vehicle.X", Primitive.FLOAT64),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        ({"signal_id": 0}, "numbers a signal 0"),
        ({"signal_id": 1 << 31}, "numbers a signal 2147483648"),
        ({"start_bit": 512}, "a signal has 1 to 64 bits"),
        ({"length": 65}, "a signal has 1 to 64 bits"),
        ({"length": 0}, "a signal has 1 to 64 bits"),
        ({"message_id": 1 << 29}, "no id of a frame"),
        ({"factor": float("nan")}, "finite"),
        ({"offset": float("inf")}, "finite"),
        ({"interface_id": "x" * 513}, "too long"),
    ],
)
def test_a_signal_that_no_frame_has_is_refused(signal, reason):
    foreign = peer["DecoderManifest"](sync_id="manifest-1")
    foreign.can_signals.add(**({"signal_id": 1, "length": 8} | signal))

    with pytest.raises(BadInput, match=reason):
        manifest_from_bytes(foreign.SerializeToString())


def test_a_number_that_stands_twice_is_refused():
    foreign = peer["DecoderManifest"](sync_id="manifest-1")
    foreign.can_signals.add(signal_id=5, length=8)
    foreign.custom_decoding_signals.add(signal_id=5)

    with pytest.raises(BadInput, match="has signal 5 twice"):
        manifest_from_bytes(foreign.SerializeToString())


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_garbage_is_a_manifest_or_bad_input(noise):
    with suppress(BadInput):
        manifest_from_bytes(noise)


def as_fleetwise_tells(signal):
    """The start of a signal by the steps of FleetWise's own tool, dbc-to-decoders."""
    if signal.byte_order != "big_endian":
        return signal.start
    place = 7 - signal.start % 8 + signal.length - 1
    if place < 8:
        return signal.start - signal.length + 1
    return 7 - place % 8 + place // 8 * 8 + signal.start // 8 * 8


@pytest.mark.parametrize(
    "path",
    [
        "edge/fleetwise/dbc/hscan.dbc",
        "edge/fleetwise/dbc/sample.dbc",
        "edge/fleetwise/dbc/sample_high_bus_load.dbc",
        "edge/fleetwise/dbc/can_fd.dbc",
        "can/dbc/opendbc/toyota_new_mc_pt_generated.dbc",
    ],
)
def test_start_bits_are_those_of_fleetwises_own_tool(path):
    big = 0
    database: Any = cantools.database.load_file(shared(path), strict=False)
    for message in database.messages:
        for signal in message.signals:
            is_big = signal.byte_order == "big_endian"
            big += is_big
            start = start_in_fleetwise(signal.start, signal.length, is_big_endian=is_big)
            assert start == as_fleetwise_tells(signal)
            there = CanSignal(1, "1", 1, start, signal.length, is_big_endian=is_big)
            assert start_in_dbc(there) == signal.start
    assert big or "toyota" not in path


@given(st.integers(0, 511), st.integers(1, 64), st.booleans())
def test_a_start_bit_survives_the_way_there_and_back(start, length, is_big_endian):
    try:
        there = start_in_fleetwise(start, length, is_big_endian=is_big_endian)
    except BadInput:
        assert is_big_endian
        return
    signal = CanSignal(1, "1", 1, there, length, is_big_endian=is_big_endian)

    assert start_in_dbc(signal) == start


def test_a_big_endian_signal_that_would_begin_before_its_frame_is_refused():
    with pytest.raises(BadInput, match="do not end at bit 0"):
        start_in_dbc(CanSignal(1, "1", 1, 0, 16, is_big_endian=True))
