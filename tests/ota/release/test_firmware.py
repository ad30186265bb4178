"""Intel HEX becomes a binary: what one writes the other reads, and nonsense is one sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from ota.release.firmware import FIRMWARE_MAX_BYTES, Firmware, from_hex


def record(kind: int, address: int, data: bytes) -> bytes:
    body = bytes([len(data)]) + address.to_bytes(2, "big") + bytes([kind]) + data
    return b":" + (body + bytes([-sum(body) & 0xFF])).hex().upper().encode()


END = record(1, 0, b"")


def written(data: bytes, address: int, step: int) -> bytes:
    lines = []
    for at in range(0, len(data), step):
        where = address + at
        piece = data[at : at + min(step, 0x10000 - (where & 0xFFFF))]
        lines.append(record(4, 0, (where >> 16).to_bytes(2, "big")))
        lines.append(record(0, where & 0xFFFF, piece))
        rest = data[at + len(piece) : at + step]
        if rest:
            lines.append(record(4, 0, ((where >> 16) + 1).to_bytes(2, "big")))
            lines.append(record(0, 0, rest))
    return b"\r\n".join([*lines, record(5, 0, bytes(4)), END, b""])


@given(st.binary(min_size=1, max_size=400), st.integers(0, 0xFFFF_0000), st.integers(1, 255))
def test_what_is_written_is_read(data: bytes, address: int, step: int):
    assert from_hex(written(data, address, step), "x.hex") == Firmware(data, address)


@given(st.binary(max_size=200))
def test_nonsense_is_one_sentence(text: bytes):
    with pytest.raises(BadInput) as refused:
        from_hex(text, "x.hex")
    assert "\n" not in str(refused.value)


@given(st.binary(min_size=20, max_size=60), st.data())
def test_a_flipped_digit_is_found(data: bytes, draws: st.DataObject):
    text = bytearray(written(data, 0x8000, 16))
    digits = [at for at, one in enumerate(text) if chr(one) in "0123456789ABCDEF"]
    at = draws.draw(st.sampled_from(digits))
    text[at] = ord("F") if text[at] != ord("F") else ord("0")

    with pytest.raises(BadInput):
        from_hex(bytes(text), "x.hex")


def test_segments_are_addresses_times_sixteen():
    text = b"\n".join([record(2, 0, b"\x10\x00"), record(0, 4, b"ab"), END])

    assert from_hex(text, "x.hex") == Firmware(b"ab", 0x10004)


def test_lines_may_come_in_any_order_and_gaps_read_as_erased():
    text = b"\n".join([record(0, 8, b"later"), record(0, 2, b"first"), END])

    assert from_hex(text, "x.hex") == Firmware(b"first\xfflater", 2)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([record(0, 0, b"abc"), record(0, 2, b"x"), END], "says twice what lies at 0x2"),
        ([record(0, 0, b"a"), END, record(0, 1, b"b")], "line 3: there is more after the end"),
        ([record(0, 0, b"a"), record(4, 0, b"\xff\xff"), record(0, 0, b"b"), END], "spans"),
        ([record(9, 0, b"a"), END], "no record of type 09"),
        ([record(4, 0, b"a"), END], "an address has 2 bytes, not 1"),
        ([END], "has no data"),
        ([record(0, 0, b"a")], "it was cut"),
        ([b":00"], "line 1: this is no record"),
        ([record(0, 0, b"a")[:-2] + b"00"], "the checksum does not hold"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(lines: list[bytes], why: str):
    with pytest.raises(BadInput, match=why):
        from_hex(b"\n".join(lines), "x.hex")


def test_the_limit_is_larger_than_any_flash():
    assert FIRMWARE_MAX_BYTES >= 128 << 20
