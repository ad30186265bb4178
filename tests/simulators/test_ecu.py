"""A simulated ECU answers as the standards have it: values, trouble codes, refusals, and silence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from simulators.ecu import SimulatedEcu, raw
from simulators.ecu_table import Code, EcuTable, Pid

PIDS = {
    "SPEED": Pid(0x0D, 1),
    "RPM": Pid(0x0C, 2, 4.0),
    "COOLANT": Pid(0x05, 1, 1.0, 40.0),
    "AMBIENT": Pid(0x46, 1, 1.0, 40.0),
    "VAPOR": Pid(0xA3, 2, 4.0, 0.0, is_signed=True),
}
CODES = {
    "P0123": Code(0x0123, is_uds=False),
    "U0DEF": Code(0xCDEF, is_uds=False),
    "FIRST": Code(0xAAA123, is_uds=True),
    "SECOND": Code(0xBBB456, is_uds=True),
}


def ecu(**more: bool) -> SimulatedEcu:
    return SimulatedEcu(EcuTable("engine", 0x7E8, pids=PIDS, codes=CODES, **more))


def said(one: SimulatedEcu, request: str, *, is_functional: bool = False) -> str | None:
    answer = one.answer(bytes.fromhex(request), is_functional=is_functional)
    return None if answer is None else answer.hex(" ")


def test_values_of_several_parameters_stand_end_to_end():
    engine = ecu()
    engine.memory.values |= {"SPEED": 88.0, "RPM": 1726.0, "COOLANT": 90.0, "VAPOR": -1.0}

    assert said(engine, "01 0d 0c 05 a3") == "41 0d 58 0c 1a f8 05 82 a3 ff fc"


def test_a_range_says_which_parameters_there_are_and_whether_more_follow():
    engine = ecu()

    assert said(engine, "01 00") == "41 00 08 18 00 01"
    assert said(engine, "01 20") == "41 20 00 00 00 01"
    assert said(engine, "01 40") == "41 40 04 00 00 01"
    assert said(engine, "01 a0") == "41 a0 20 00 00 00"
    assert said(engine, "01 c0") == "41 c0 00 00 00 00"


def test_an_unknown_parameter_is_passed_over_in_silence():
    assert said(ecu(), "01 0d 33") == "41 0d 00"
    assert said(ecu(), "01 33") is None
    assert said(ecu(ignores_unknown=True), "01 c0") is None
    assert said(ecu(ignores_unknown=True), "01 00") == "41 00 08 18 00 01"


def test_stored_and_pending_codes_are_told_apart_by_their_status():
    engine = ecu()
    assert said(engine, "03") == "43 00"
    engine.set_status("P0123", 0x08)
    engine.set_status("U0DEF", 0x04)
    engine.set_status("FIRST", 0xFF)

    assert said(engine, "03") == "43 01 01 23"
    assert said(engine, "07") == "47 01 cd ef"


def test_clearing_forgets_what_the_law_wants_to_be_told():
    engine = ecu()
    engine.set_status("P0123", 0x2F)
    engine.set_status("FIRST", 0x2F)

    assert said(engine, "04") == "44"
    assert said(engine, "03") == "43 00"
    assert said(engine, "19 02 ff") == "59 02 ff aa a1 23 2f"


def test_codes_are_listed_by_status():
    engine = ecu()
    engine.set_status("FIRST", 0xAF)
    engine.set_status("SECOND", 0x40)

    assert said(engine, "19 02 ff") == "59 02 ff aa a1 23 af bb b4 56 40"
    assert said(engine, "19 02 08") == "59 02 ff aa a1 23 af"
    assert said(engine, "19 02 10") == "59 02 ff"


def test_records_are_listed_and_read():
    engine = ecu()
    engine.set_status("FIRST", 0xAF)
    for number in (1, 2):
        engine.keep(engine.memory.snapshots, "FIRST", number, bytes.fromhex("01 f1 90 41"))
    engine.keep(engine.memory.extended, "FIRST", 1, b"\x07")

    assert said(engine, "19 03") == "59 03 aa a1 23 01 aa a1 23 02"
    assert said(engine, "19 04 aa a1 23 02") == "59 04 aa a1 23 af 02 01 f1 90 41"
    assert said(engine, "19 04 aa a1 23 ff") == "59 04 aa a1 23 af 01 01 f1 90 41 02 01 f1 90 41"
    assert said(engine, "19 06 aa a1 23 01") == "59 06 aa a1 23 af 01 07"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("19", "7f 19 13"),
        ("19 02", "7f 19 13"),
        ("19 03 00", "7f 19 13"),
        ("19 04 aa a1 23", "7f 19 13"),
        ("19 04 aa a1 23 01", "7f 19 31"),  # no such record
        ("19 06 12 34 56 01", "7f 19 31"),  # no such code
        ("19 0a", "7f 19 12"),
        ("22 f1 90", "7f 22 11"),
        ("03 00", "7f 03 13"),
        ("3e 00", "7e 00"),
        ("3e 80", None),
        ("3e 01", "7f 3e 12"),
        ("3e", "7f 3e 13"),
        ("19 82 ff", None),
    ],
)
def test_what_is_wrong_is_refused_with_the_code_that_the_standard_has(request_, answer):
    assert said(ecu(), request_) == answer


def test_asked_with_all_others_it_keeps_silent_about_what_it_does_not_know():
    for request in ("22 f1 90", "19 0a", "19 04 aa a1 23 01"):
        assert said(ecu(), request, is_functional=True) is None
    assert said(ecu(), "19 02", is_functional=True) == "7f 19 13"
    assert said(ecu(), "03", is_functional=True) == "43 00"


def test_one_that_obeys_requests_to_all_only_refuses_others():
    assert said(ecu(only_functional=True), "03") == "7f 03 11"
    assert said(ecu(only_functional=True), "03", is_functional=True) == "43 00"


@given(st.binary(max_size=64), st.booleans())
def test_whatever_is_asked_the_answer_is_to_it(request_, is_functional):
    answer = ecu().answer(request_, is_functional=is_functional)

    if answer is not None:
        assert answer[0] == request_[0] + 0x40 or answer[:2] == bytes([0x7F, request_[0]])


@pytest.mark.parametrize(
    ("pid", "value", "wire"),
    [
        (Pid(1, 1), 300.0, "ff"),
        (Pid(1, 1), -1.0, "00"),
        (Pid(1, 2, is_signed=True), -40_000.0, "80 00"),
        (Pid(1, 4, is_float=True), 1.5, "3f c0 00 00"),
        (Pid(1, 8, is_float=True), 1.5, "3f f8 00 00 00 00 00 00"),
    ],
)
def test_a_value_beyond_its_bytes_is_the_last_they_hold(pid, value, wire):
    assert raw(pid, value).hex(" ") == wire


def test_what_an_ecu_does_not_have_cannot_be_set():
    engine = ecu()

    for wrong in (
        lambda: engine.set_status("P9999", 1),
        lambda: engine.set_status("P0123", 256),
        lambda: engine.keep(engine.memory.snapshots, "P0123", 1, b""),
        lambda: engine.keep(engine.memory.snapshots, "FIRST", 0, b""),
        lambda: engine.keep(engine.memory.snapshots, "FIRST", 255, b""),
    ):
        with pytest.raises(BadInput):
            wrong()
