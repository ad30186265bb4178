"""A FleetWise manifest as bus databases: our decoder reads what FleetWise's agent would."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.fleetwise import databases_of
from edge_agent.canbus.frames import EXTENDED, Frame, block_of
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.plan import BusDatabases, compile_plan
from fairway.catalog.load import catalog_of
from fairway.errors import BadInput
from fairway.fleetwise.decoders import (
    CanSignal,
    ComplexSignal,
    CustomSignal,
    DecoderManifest,
    ObdSignal,
)


def as_fleetwise_reads(signal: CanSignal, data: bytes) -> float:
    """What FleetWise's agent makes of a frame, byte by byte from the least significant bit on."""
    byte, bit = divmod(signal.start_bit, 8)
    value, have = data[byte] >> bit, 8 - bit
    step = -1 if signal.is_big_endian else 1
    while have < signal.length_bits:
        byte += step
        value |= data[byte] << have
        have += 8
    value &= (1 << signal.length_bits) - 1
    if signal.is_float:
        form = {32: "<f", 64: "<d"}[signal.length_bits]
        return struct.unpack(form, value.to_bytes(signal.length_bits // 8, "little"))[0]
    if signal.is_signed and value >> (signal.length_bits - 1):
        value -= 1 << signal.length_bits
    return value


@st.composite
def layouts(draw, byte_count=8):
    """A signal that lies in a frame of `byte_count` bytes, in FleetWise's words."""
    is_big = draw(st.booleans())
    is_float = draw(st.booleans())
    length = draw(st.sampled_from([32, 64])) if is_float else draw(st.integers(1, 53))
    # The place of its last bit in the order of the bus, which is the least significant one for big endian.
    last = draw(st.integers(length - 1, 8 * byte_count - 1))
    start = last // 8 * 8 + 7 - last % 8 if is_big else last - length + 1
    return CanSignal(
        1,
        "1",
        draw(st.sampled_from([0x123, 0x18FEF100])),
        start,
        length,
        is_big_endian=is_big,
        is_signed=draw(st.booleans()) and not is_float,
        is_float=is_float,
    )


def decoded(signal: CanSignal, data: bytes) -> list[float]:
    said = databases_of(DecoderManifest("m", can=(signal,)), {"1": "can0"})
    plan = compile_plan([BusDatabases("can0", (said.buses["can0"],))])
    flag = EXTENDED if signal.frame_id > 0x7FF else 0
    frames = block_of([Frame(signal.frame_id | flag, data)])
    mapping = compile_mapping(plan, catalog_of([]), unmapped=True)
    block = mapping.apply(make_decoder(plan).decode(frames), frames)
    return [value for _, _, value in block.rows()]  # type: ignore[misc] # numbers, all of them


@given(layouts(), st.binary(min_size=8, max_size=8))
def test_a_signal_is_read_as_fleetwises_agent_reads_it(signal, data):
    expected = as_fleetwise_reads(signal, data)

    (found,) = decoded(signal, data)

    assert found == expected or (found != found and expected != expected)  # noqa: PLR0124 - NaN


@pytest.mark.parametrize(
    ("signal", "data", "value"),
    [
        # Two bytes, the high one first: FleetWise's start bit is the low bit of the second.
        (CanSignal(1, "1", 1, 8, 16, is_big_endian=True, factor=0.5), "1234", 0x1234 * 0.5),
        (CanSignal(1, "1", 1, 0, 16, offset=-10.0), "3412", 0x1234 - 10.0),
        (CanSignal(1, "1", 1, 4, 12, is_big_endian=True), "01ab", None),
        (CanSignal(1, "1", 1, 12, 4, is_big_endian=True), "00f0", 15.0),
        (CanSignal(1, "1", 1, 504, 8, is_big_endian=True), "00" * 63 + "2a", 42.0),
    ],
)
def test_start_bits_are_those_of_fleetwise(signal, data, value):
    if value is None:
        said = databases_of(DecoderManifest("m", can=(signal,)), {"1": "can0"})
        assert "do not end at bit 4" in said.left_out[0]
    else:
        assert decoded(signal, bytes.fromhex(data)) == [value]


def test_signals_are_called_by_bus_frame_and_number():
    manifest = DecoderManifest(
        "m",
        can=(CanSignal(7, "1", 0x1A2, 0, 8), CanSignal(8, "2", 0x18FEF100, 0, 8)),
        custom=(CustomSignal(9, "X", "word"),),
    )

    said = databases_of(manifest, {"1": "can0", "2": "body-can"})

    names = [said.names.name(number) for number in (7, 8, 9)]
    assert names == ["can0.x1A2.s7", "body-can.x18FEF100.s8", "FleetWise.9"]
    assert [message.is_extended for message in said.buses["body-can"].messages] == [True]


def test_what_comes_from_no_frame_is_told_in_one_sentence_for_each_kind():
    manifest = DecoderManifest(
        "m",
        can=(CanSignal(1, "elsewhere", 1, 0, 8),),
        obd=(ObdSignal(2, "0", 1, 12, 2, 0, 2), ObdSignal(3, "0", 1, 13, 1, 0, 1)),
        custom=(CustomSignal(4, "X", "word"),),
        complex_signals=(ComplexSignal(5, "10", "/camera", 1),),
    )

    said = databases_of(manifest, {"1": "can0"})

    assert [sentence[:40] for sentence in said.left_out] == [
        "2 signals are answers to OBD requests, w",
        "1 signals are read by a word of FleetWis",
        "1 signals are structured, which is not r",
        "signal 1 is on the interface 'elsewhere'",
    ]
    assert not said.buses["can0"].messages


def test_a_bus_that_cannot_begin_a_name_is_refused():
    with pytest.raises(BadInput, match="cannot begin names"):
        databases_of(DecoderManifest("m"), {"1": "can 0"})
