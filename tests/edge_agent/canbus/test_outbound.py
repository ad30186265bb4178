"""The allow-list: what is on it goes out whole and no more often than allowed; nothing else does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.canbus import database
from edge_agent.canbus.checksums import Protection
from edge_agent.canbus.frames import EXTENDED, Frame
from edge_agent.canbus.outbound import Allowed, Outbound
from fairway.errors import BadInput, Denied

DBC = Path(__file__).parents[3] / "dbc"
MESSAGES = {m.name: m for m in database.load(DBC / "fairway_body.dbc").messages}
DOOR, CLIMATE = MESSAGES["AGT_DoorCommand"], MESSAGES["AGT_ClimateCommand"]
PROTECTION = Protection(DOOR, "crc8-sae-j1850", "Checksum", "Counter", (DOOR.frame_id,))
MS = 1_000_000


def listed(**more: Any) -> tuple[Outbound, Allowed]:
    known: dict[str, Any] = {"min_period_ns": 20 * MS, "protection": PROTECTION}
    allowed = Allowed(0, "body", DOOR, **(known | more))
    return Outbound([allowed]), allowed


def test_a_frame_has_every_signal_a_counter_and_a_checksum():
    outbound, _ = listed()
    payloads = []
    for turn in range(17):
        frame = outbound.frame(0, DOOR, {"DriverDoor": "OPEN"}, "")
        outbound.was_sent(frame, now_ns=turn)
        assert PROTECTION.verify(frame.data)
        assert (frame.can_id, frame.data[2], frame.data[3]) == (DOOR.frame_id, 1, 255)
        payloads.append(PROTECTION.counter(frame.data))
    assert payloads == [*range(16), 0]


def test_a_frame_that_was_not_sent_uses_up_neither_counter_nor_pace():
    outbound, allowed = listed()
    first = outbound.frame(0, DOOR, {"DriverDoor": 1}, "")
    assert outbound.frame(0, DOOR, {"DriverDoor": 1}, "") == first
    assert outbound.wait_ns(allowed, now_ns=0) == 0
    outbound.was_sent(first, now_ns=5 * MS)
    assert outbound.wait_ns(allowed, now_ns=6 * MS) == 19 * MS
    assert outbound.wait_ns(allowed, now_ns=25 * MS) == 0


@pytest.mark.parametrize(
    ("bus", "message"),
    [(0, CLIMATE), (1, DOOR), (0, MESSAGES["BDY_DoorState"]), (0, replace(DOOR, name="Other"))],
)
def test_what_is_not_listed_is_denied_and_counted(bus, message):
    outbound, _ = listed()
    assert outbound.find(bus, message) is None
    with pytest.raises(Denied):
        outbound.frame(bus, message, {}, "")
    assert outbound.denied == 1


def test_a_condition_that_does_not_hold_makes_no_frame():
    outbound, _ = listed()
    with pytest.raises(Denied, match="may not be sent now: it moves"):
        outbound.frame(0, DOOR, {"DriverDoor": 1}, "it moves")


def test_a_signal_that_nobody_declared_is_refused_before_anything_is_sent():
    bare = replace(DOOR, signals=tuple(replace(signal, initial=None) for signal in DOOR.signals))
    protection = replace(PROTECTION, message=bare)
    allowed = Allowed(0, "body", bare, protection=protection, defaults={"DriverLock": 0})
    outbound = Outbound([allowed])
    with pytest.raises(BadInput, match="no value for DriverWindow, PassengerDoor, PassengerLock"):
        outbound.check(allowed, {"DriverDoor": 1})
    with pytest.raises(BadInput):
        outbound.frame(0, bare, {"DriverDoor": 1}, "")


@pytest.mark.parametrize(
    "values", [{"DriverWindow": 101}, {"DriverDoor": "AJAR"}, {"Nothing": 1}, {"DriverDoor": 3}]
)
def test_what_a_frame_cannot_say_makes_no_frame(values):
    outbound, _ = listed()
    with pytest.raises(BadInput):
        outbound.frame(0, DOOR, values, "")


@given(
    st.integers(0, 3),
    st.one_of(st.integers(0, 0x7FF), st.integers(0, 0x1FFFFFFF).map(lambda i: i | EXTENDED)),
    st.binary(max_size=8),
)
def test_no_other_frame_is_allowed_whatever_it_is(bus, can_id, data):
    outbound, _ = listed()
    is_it = (bus, can_id) == (0, DOOR.frame_id)
    assert outbound.is_allowed(Frame(can_id, data, bus=bus)) == is_it


def test_an_entry_stands_once_and_its_defaults_are_of_its_message():
    _, allowed = listed()
    with pytest.raises(BadInput, match="stands twice"):
        Outbound([allowed, allowed])
    with pytest.raises(BadInput, match="defaults name Windows"):
        listed(defaults={"Windows": 0})
