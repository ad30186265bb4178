"""OBD lists of trouble codes, as bytes of the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.diagnostics import obd
from edge_agent.diagnostics.dtc import text_of
from fairway.errors import BadInput

services = st.sampled_from([obd.Service.STORED_DTCS, obd.Service.PENDING_DTCS])


def test_stored_codes_are_asked_for_by_one_byte():
    assert obd.dtcs_request() == b"\x03"
    assert obd.dtcs_request(obd.Service.PENDING_DTCS) == b"\x07"


def test_two_stored_codes_are_read():
    assert obd.dtcs(bytes.fromhex("43 02 01 23 cd ef")) == ("P0123", "U0DEF")


def test_no_codes_are_none():
    assert obd.dtcs(bytes.fromhex("43 00")) == ()


@given(st.lists(st.binary(min_size=2, max_size=2), max_size=255), services)
def test_a_list_survives_the_wire(codes, service):
    assert obd.dtcs(obd.dtcs_response(codes, service), service) == tuple(map(text_of, codes))


@pytest.mark.parametrize(
    "response",
    ["", "43", "47 00", "43 01", "43 02 01 23", "43 01 01 23 00", "59 02 ff", "7f 03 11"],
)
def test_what_is_no_list_is_refused(response):
    with pytest.raises(BadInput):
        obd.dtcs(bytes.fromhex(response))


@given(st.binary(max_size=64), services)
def test_garbage_is_read_or_refused_in_a_sentence(response, service):
    try:
        codes = obd.dtcs(response, service)
    except BadInput:
        return
    assert len(codes) == response[1]


@pytest.mark.parametrize(
    ("can_id", "is_extended", "is_it"),
    [
        (0x7E7, False, False),
        (0x7E8, False, True),
        (0x7EF, False, True),
        (0x7F0, False, False),
        (0x18DAF158, True, True),
        (0x18DAF258, True, False),
        (0x7E8, True, False),
    ],
)
def test_ecus_of_obd_are_known_by_the_id_they_answer_with(can_id, is_extended, is_it):
    assert obd.is_response_id(can_id, is_extended=is_extended) is is_it
