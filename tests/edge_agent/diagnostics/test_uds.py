"""ReadDTCInformation as bytes of the wire, and what negative answers say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.diagnostics import uds
from edge_agent.diagnostics.dtc import Dtc, Status
from edge_agent.diagnostics.uds import DtcList, DtcRecord, Nrc, Report
from fairway.errors import BadInput

codes = st.integers(0, 0xFFFFFF)
dtcs = st.builds(Dtc, codes, st.integers(0, 0xFF).map(Status))
records = st.sampled_from([Report.SNAPSHOT_RECORD_BY_DTC, Report.EXT_DATA_RECORD_BY_DTC])


def test_requests_are_what_a_tester_sends():
    assert uds.dtc_list_request(0xFF).hex(" ") == "19 02 ff"
    assert uds.snapshots_request().hex(" ") == "19 03"
    request = uds.record_request(Report.SNAPSHOT_RECORD_BY_DTC, 0xAAA123, 1)
    assert request.hex(" ") == "19 04 aa a1 23 01"
    request = uds.record_request(Report.EXT_DATA_RECORD_BY_DTC, 0x000001, 0xFF)
    assert request.hex(" ") == "19 06 00 00 01 ff"


def test_a_list_of_codes_is_read():
    # ISO 14229-1's own example of reportDTCByStatusMask.
    answer = uds.dtc_list(bytes.fromhex("59 02 7f 0a 9b 17 24 08 05 11 2f"))

    assert answer == DtcList(0x7F, (Dtc(0x0A9B17, Status(0x24)), Dtc(0x080511, Status(0x2F))))


def test_numbers_of_snapshots_are_read():
    answer = uds.snapshots(bytes.fromhex("59 03 12 34 56 01 12 34 56 02 78 9a bc 01"))

    assert answer == ((0x123456, 1), (0x123456, 2), (0x789ABC, 1))


def test_a_snapshot_is_read_and_keeps_its_bytes():
    response = bytes.fromhex("59 04 12 34 56 24 02 01 47 11 a6 66 07 50 20")
    answer = uds.record(response, Report.SNAPSHOT_RECORD_BY_DTC)

    assert answer.dtc == Dtc(0x123456, Status(0x24))
    assert answer.data.hex(" ") == "02 01 47 11 a6 66 07 50 20"
    assert answer.whole == response[2:]


@given(st.integers(0, 0xFF), st.lists(dtcs))
def test_a_list_of_codes_survives_the_wire(mask, found):
    answer = DtcList(mask, tuple(found))

    assert uds.dtc_list(uds.dtc_list_response(answer)) == answer


@given(st.lists(st.tuples(codes, st.integers(0, 0xFF))))
def test_numbers_of_snapshots_survive_the_wire(rows):
    assert uds.snapshots(uds.snapshots_response(rows)) == tuple(rows)


@given(records, dtcs, st.binary(max_size=300))
def test_a_record_survives_the_wire(report, dtc, data):
    answer = DtcRecord(dtc, data)

    assert uds.record(uds.record_response(report, answer), report) == answer


@pytest.mark.parametrize(
    "response", ["", "59", "59 02", "59 02 ff 01", "59 02 ff 01 02 03", "59 03 ff", "7f 19 12"]
)
def test_what_is_no_list_of_codes_is_refused(response):
    with pytest.raises(BadInput):
        uds.dtc_list(bytes.fromhex(response))


@given(st.binary(max_size=64), records)
def test_garbage_is_read_or_refused_in_a_sentence(response, report):
    for read in (uds.dtc_list, uds.snapshots, lambda data: uds.record(data, report)):
        try:
            read(response)
        except BadInput as error:
            assert str(error)  # noqa: PT017 - most of garbage is refused


def test_a_refusal_has_its_name():
    said = uds.refusal(bytes.fromhex("7f 19 31"))

    assert str(said) == "service 0x19 is refused: requestOutOfRange (0x31)"
    assert str(uds.Refusal(0x19, 0xF1)) == "service 0x19 is refused: reserved (0xF1)"


@given(st.integers(0, 0xFF), st.integers(0, 0xFF))
def test_a_refusal_survives_the_wire(service, code):
    assert uds.refusal(uds.refusal_response(service, code)) == uds.Refusal(service, code)


@pytest.mark.parametrize("response", ["", "7f", "7f 19", "7f 19 78 00", "59 02 ff"])
def test_other_answers_are_no_refusals(response):
    assert uds.refusal(bytes.fromhex(response)) is None


def test_every_code_with_a_meaning_has_a_name():
    assert {code.value for code in Nrc} <= set(uds.NRC_NAMES)


@pytest.mark.parametrize(
    ("response", "is_it"),
    [
        ("59 02 ff", True),
        ("7f 19 78", True),
        ("59 03", False),  # of the request before
        ("59", False),
        ("7f 22 31", False),
        ("62 01 01", False),
        ("", False),
    ],
)
def test_an_answer_belongs_to_its_request(response, is_it):
    assert uds.answers(bytes.fromhex(response), bytes.fromhex("19 02 ff")) is is_it


def test_a_service_without_sub_function_is_known_by_its_number_alone():
    assert uds.answers(bytes.fromhex("43 00"), b"\x03")
    assert not uds.answers(bytes.fromhex("47 00"), b"\x03")
