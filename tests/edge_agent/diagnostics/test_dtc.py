"""Trouble codes are called what the trade calls them, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.diagnostics.dtc import CLEARED, Dtc, Status, code_of, text_of
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
    assert code_of(text) == bytes.fromhex(code)


@given(st.binary(min_size=2, max_size=3))
def test_a_code_survives_being_written(code):
    assert code_of(text_of(code)) == code


@given(st.binary().filter(lambda code: len(code) not in (2, 3)))
def test_other_lengths_are_no_codes(code):
    with pytest.raises(BadInput):
        text_of(code)


@pytest.mark.parametrize("text", ["", "P012", "p0123", "X0123", "P4123", "P0123-4", "P0123 45"])
def test_what_is_no_code_is_refused(text):
    with pytest.raises(BadInput, match="no trouble code"):
        code_of(text)


def test_a_code_of_uds_knows_its_name_and_its_status():
    dtc = Dtc(0x012345, Status(0x2F))

    assert dtc.text == "P0123-45"
    assert Status.CONFIRMED in dtc.status
    assert Status.WARNING_INDICATOR_REQUESTED not in dtc.status


def test_the_bits_of_the_status_stand_where_iso_14229_has_them():
    assert [status.value for status in Status] == [1 << bit for bit in range(8)]
    assert CLEARED == 0x50
