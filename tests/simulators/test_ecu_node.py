"""A simulated ECU on a bus: ISO-TP both ways, in its time, and wrong on demand."""

import pytest

from edge_agent.canbus.frames import EXTENDED, FD, Frame, block_of
from fairway.clock import NS_PER_MS
from simulators.ecu import SimulatedEcu
from simulators.ecu_node import PENDING_NS, SLOW_NS, EcuNode, Fault
from simulators.ecu_table import Code, EcuTable

CODES = {"FIRST": Code(0xAAA123, is_uds=True), "SECOND": Code(0xBBB456, is_uds=True)}
LIST = bytes.fromhex("03 19 02 ff cc cc cc cc")


def node(
    fault: Fault = Fault.NONE, *, response_id: int = 0x7E8, padding: int | None = 0
) -> EcuNode:
    ecu = SimulatedEcu(EcuTable("engine", response_id, padding, codes=CODES))
    ecu.set_status("FIRST", 0xAF)
    ecu.keep(ecu.memory.snapshots, "FIRST", 1, bytes(20))
    return EcuNode(ecu, fault)


def asked(one: EcuNode, data: bytes | str, *, now_ns: int = 0, **more: int) -> list[str]:
    """Return what is said at once to a frame, as data."""
    frame = Frame(
        more.pop("can_id", 0x7E0), bytes.fromhex(data) if isinstance(data, str) else data, **more
    )
    one.take(block_of([frame]), now_ns=now_ns)
    return due(one, now_ns)


def due(one: EcuNode, now_ns: int) -> list[str]:
    block = one.due(now_ns=now_ns)
    return [] if block is None else [frame.data.hex(" ") for frame in block.frames()]


def test_a_request_to_it_or_to_all_is_answered_at_once():
    engine = node()

    assert asked(engine, "02 3e 00") == ["02 7e 00 00 00 00 00 00"]
    assert asked(engine, "02 3e 00", can_id=0x7DF) == ["02 7e 00 00 00 00 00 00"]
    assert engine.requests == 2
    assert engine.due_ns is None


def test_frames_of_others_are_no_requests():
    engine = node()

    for can_id in (0x7E1, 0x7E8, EXTENDED | 0x7E0, 0x123):
        assert asked(engine, "02 3e 00", can_id=can_id) == []
    assert engine.requests == 0


def test_an_ecu_of_29_bits_answers_with_29_bits():
    engine = node(response_id=0x18DAF158)
    engine.take(block_of([Frame(EXTENDED | 0x18DA58F1, bytes.fromhex("02 3e 00"))]), now_ns=0)
    block = engine.due(now_ns=0)

    assert block is not None
    assert [frame.can_id for frame in block.frames()] == [EXTENDED | 0x18DAF158]


def test_without_padding_frames_are_as_long_as_what_they_say():
    assert asked(node(padding=None), "02 3e 00") == ["02 7e 00"]


def test_a_long_answer_waits_for_the_tester():
    engine = node()

    assert asked(engine, "06 19 04 aa a1 23 01") == ["10 1b 59 04 aa a1 23 af"]
    assert asked(engine, "30 02 00") == ["21 01" + " 00" * 6, "22" + " 00" * 7]
    assert asked(engine, "30 02 00") == ["23" + " 00" * 7]


def test_it_answers_on_the_bus_and_in_the_kind_of_frame_it_was_asked():
    engine = node()
    engine.take(
        block_of([Frame(0x7E0, bytes.fromhex("06 19 04 aa a1 23 01"), bus=2, flags=FD)]), now_ns=0
    )
    block = engine.due(now_ns=0)

    assert block is not None
    (frame,) = block.frames()
    assert (frame.bus, frame.flags, len(frame.data)) == (2, FD, 32)


def test_a_silent_ecu_says_nothing():
    assert asked(node(Fault.SILENT), LIST) == []


def test_a_slow_ecu_answers_late():
    engine = node(Fault.SLOW)

    assert asked(engine, LIST) == []
    assert engine.due_ns == SLOW_NS
    assert due(engine, SLOW_NS - 1) == []
    assert due(engine, SLOW_NS) == ["07 59 02 ff aa a1 23 af"]


def test_an_ecu_may_say_first_that_it_needs_longer():
    engine = node(Fault.PENDING)

    assert asked(engine, LIST) == ["03 7f 19 78 00 00 00 00"]
    assert engine.due_ns == PENDING_NS
    assert due(engine, PENDING_NS) == ["07 59 02 ff aa a1 23 af"]


def test_a_busy_ecu_wants_to_be_asked_twice():
    engine = node(Fault.BUSY)

    assert asked(engine, LIST) == ["03 7f 19 21 00 00 00 00"]
    assert asked(engine, LIST, now_ns=NS_PER_MS) == ["07 59 02 ff aa a1 23 af"]
    assert asked(engine, LIST, now_ns=2 * NS_PER_MS) == ["03 7f 19 21 00 00 00 00"]


def test_an_ecu_that_counts_wrong_does_so_in_its_second_frame():
    engine = node(Fault.SEQUENCE)
    asked(engine, "06 19 04 aa a1 23 01")

    assert [frame[:2] for frame in asked(engine, "30 00 00")] == ["21", "23", "23"]


@pytest.mark.parametrize("data", ["", "ff", "30 00 00", "10 14 00 01 02 03 04 05", "08"])
def test_what_is_no_request_to_all_is_ignored(data):
    assert asked(node(), data, can_id=0x7DF) == []


def test_a_tester_that_mixes_its_frames_up_gets_no_answer_but_the_next_does():
    engine = node()
    asked(engine, "10 14 00 01 02 03 04 05")

    assert asked(engine, "22 00 00 00 00 00 00 00") == []
    assert asked(engine, "02 3e 00") == ["02 7e 00 00 00 00 00 00"]


def test_an_answer_waits_for_the_one_before_it():
    engine = node()
    asked(engine, "06 19 04 aa a1 23 01")

    assert asked(engine, "02 3e 00") == []
    assert engine.due_ns is not None
    assert engine.due_ns > 0  # it waits for the tester, not for time to pass
    assert len(asked(engine, "30 00 00", now_ns=1)) == 3
    assert due(engine, 2) == ["02 7e 00 00 00 00 00 00"]
