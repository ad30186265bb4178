"""Trouble codes are called what the trade calls them, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.diagnostics.dtc import CLEARED, Dtc, Status, text_of
from fairway.errors import BadInput


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("01 23", "P0123"),
        ("45 67", "C0567"),
        ("89 ab", "B09AB"),
        ("cd ef", "U0DEF"),
        ("33 01", "P3301"),
        ("c1 00 87", "U0100-87"),
        ("aa a1 23", "B2AA1-23"),
    ],
)
def test_codes_have_the_names_of_sae_j2012(code, text):
    assert text_of(bytes.fromhex(code)) == text


@given(st.binary(min_size=2, max_size=3))
def test_a_name_says_every_bit_of_a_code(code):
    text = text_of(code)
    head = "PCBU".index(text[0]) << 14 | int(text[1]) << 12 | int(text[2:5], 16)

    assert head.to_bytes(2, "big") + bytes.fromhex(text[6:]) == code


@given(st.binary().filter(lambda code: len(code) not in (2, 3)))
def test_other_lengths_are_no_codes(code):
    with pytest.raises(BadInput):
        text_of(code)


def test_a_code_of_uds_knows_its_name_and_its_status():
    dtc = Dtc(0x012345, Status(0x2F))

    assert dtc.text == "P0123-45"
    assert Status.CONFIRMED in dtc.status
    assert Status.WARNING_INDICATOR_REQUESTED not in dtc.status


def test_the_bits_of_the_status_stand_where_iso_14229_has_them():
    assert [status.value for status in Status] == [1 << bit for bit in range(8)]
    assert CLEARED == 0x50
