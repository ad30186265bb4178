"""A dialogue waits as long as ISO 14229-2 says, asks a busy ECU again, and names the timer that ran out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.canbus.isotp import N_CR_NS, Terms
from edge_agent.diagnostics.dialogue import (
    ANSWER_MAX_NS,
    BUSY_MAX,
    BUSY_PAUSE_NS,
    NETWORK_NS,
    Dialogue,
    Patience,
)
from fairway.clock import NS_PER_MS
from fairway.errors import BadInput, Unavailable

P2_NS = 50 * NS_PER_MS + NETWORK_NS
P2_STAR_NS = 5000 * NS_PER_MS + NETWORK_NS
REQUEST = bytes.fromhex("19 02 ff")
ANSWER = bytes.fromhex("03 59 02 ff")
PENDING = bytes.fromhex("03 7f 19 78")
BUSY = bytes.fromhex("03 7f 19 21")


def asked(*, is_functional: bool = False) -> Dialogue:
    dialogue = Dialogue(REQUEST, Terms(), Patience(), now_ns=0, is_functional=is_functional)
    sent = [frame.hex(" ") for frame in dialogue.due(now_ns=0)]
    assert sent == ([] if is_functional else ["03 19 02 ff cc cc cc cc"])
    return dialogue


def hexed(frames: list[bytes]) -> list[str]:
    return [frame.hex(" ") for frame in frames]


def test_an_answer_ends_it():
    dialogue = asked()
    dialogue.take(ANSWER, now_ns=1)

    assert dialogue.answer == bytes.fromhex("59 02 ff")
    assert dialogue.due(now_ns=P2_STAR_NS) == []


def test_a_silent_ecu_is_given_up_after_p2_and_what_the_way_adds():
    dialogue = asked()

    assert dialogue.due_ns == P2_NS
    assert dialogue.due(now_ns=P2_NS - 1) == []
    with pytest.raises(Unavailable, match=r"no answer within 50 ms \(P2\)"):
        dialogue.due(now_ns=P2_NS)


def test_an_ecu_that_needs_longer_gets_it_each_time_it_says_so():
    dialogue, now_ns = asked(), 0
    for _ in range(3):
        now_ns += P2_NS - 1
        dialogue.take(PENDING, now_ns=now_ns)
        assert dialogue.answer is None
        assert dialogue.due_ns == now_ns + P2_STAR_NS
    dialogue.take(ANSWER, now_ns=now_ns + P2_STAR_NS - 1)

    assert dialogue.answer == bytes.fromhex("59 02 ff")


def test_an_ecu_that_needed_longer_and_then_said_nothing_is_given_up_after_p2_star():
    dialogue = asked()
    dialogue.take(PENDING, now_ns=1)

    with pytest.raises(Unavailable, match=r"no answer within 5000 ms \(P2\*\)"):
        dialogue.due(now_ns=1 + P2_STAR_NS)


def test_an_ecu_that_is_never_done_is_given_up():
    dialogue, now_ns = asked(), 0
    while now_ns + P2_STAR_NS < ANSWER_MAX_NS:
        now_ns += P2_STAR_NS - 1
        dialogue.take(PENDING, now_ns=now_ns)

    assert dialogue.due_ns == ANSWER_MAX_NS
    with pytest.raises(Unavailable, match="no answer within 60 s"):
        dialogue.due(now_ns=ANSWER_MAX_NS)


def test_a_busy_ecu_is_asked_again_after_a_pause():
    dialogue = asked()
    dialogue.take(BUSY, now_ns=1)

    assert dialogue.due(now_ns=BUSY_PAUSE_NS) == []
    assert hexed(dialogue.due(now_ns=1 + BUSY_PAUSE_NS)) == ["03 19 02 ff cc cc cc cc"]
    assert dialogue.due_ns == 1 + BUSY_PAUSE_NS + P2_NS
    dialogue.take(ANSWER, now_ns=2 + BUSY_PAUSE_NS)
    assert dialogue.answer == bytes.fromhex("59 02 ff")


def test_an_ecu_that_is_always_busy_has_said_so():
    dialogue, now_ns = asked(), 0
    for _ in range(BUSY_MAX):
        dialogue.take(BUSY, now_ns=now_ns)
        now_ns += BUSY_PAUSE_NS
        assert len(dialogue.due(now_ns=now_ns)) == 1
    dialogue.take(BUSY, now_ns=now_ns)

    assert dialogue.answer == bytes.fromhex("7f 19 21")


def test_a_long_answer_that_has_begun_is_isotps_to_wait_for():
    dialogue = asked()
    dialogue.take(bytes.fromhex("10 0b 59 02 ff 01 02 03"), now_ns=P2_NS - 1)

    assert hexed(dialogue.due(now_ns=P2_NS + 1)) == ["30 00 00 cc cc cc cc cc"]
    dialogue.take(bytes.fromhex("21 24 04 05 06 2f"), now_ns=P2_NS + N_CR_NS - 2)
    assert dialogue.answer == bytes.fromhex("59 02 ff 01 02 03 24 04 05 06 2f")


def test_a_long_answer_that_stops_is_given_up_after_n_cr():
    dialogue = asked()
    dialogue.take(bytes.fromhex("10 0b 59 02 ff 01 02 03"), now_ns=1)
    dialogue.due(now_ns=1)

    assert dialogue.due_ns == 1 + N_CR_NS
    with pytest.raises(Unavailable, match="N_Cr"):
        dialogue.due(now_ns=1 + N_CR_NS)


def test_a_frame_out_of_order_ends_it_and_is_the_reason_however_long_it_took():
    dialogue = asked()
    dialogue.take(bytes.fromhex("10 0b 59 02 ff 01 02 03"), now_ns=1)
    dialogue.due(now_ns=1)
    dialogue.take(bytes.fromhex("22 24 04 05 06 2f"), now_ns=2 * P2_NS)

    assert dialogue.due_ns == 0
    with pytest.raises(Unavailable, match="consecutive frame 2 came where 1 was due"):
        dialogue.due(now_ns=2 * P2_NS)


def test_an_answer_beyond_all_limits_is_refused_before_it_is_told_of():
    dialogue = asked()
    dialogue.take(bytes.fromhex("10 00 00 01 00 00 59 02"), now_ns=1)

    assert hexed(dialogue.due(now_ns=1)) == ["32 00 00 cc cc cc cc cc"]
    with pytest.raises(Unavailable, match="longer than the 4095 bytes"):
        dialogue.due(now_ns=2)


def test_a_late_answer_to_the_request_before_is_not_taken_for_this_one():
    dialogue = asked()
    dialogue.take(bytes.fromhex("06 59 03 12 34 56 01"), now_ns=1)
    dialogue.take(bytes.fromhex("03 7f 22 31"), now_ns=2)

    assert dialogue.answer is None


def test_a_negative_answer_is_an_answer():
    dialogue = asked()
    dialogue.take(bytes.fromhex("03 7f 19 31"), now_ns=1)

    assert dialogue.answer == bytes.fromhex("7f 19 31")


def test_a_request_to_all_is_not_sent_here_but_waited_for():
    dialogue = asked(is_functional=True)

    assert dialogue.due_ns == P2_NS
    dialogue.take(BUSY, now_ns=1)
    # The busy one is asked again, alone.
    assert hexed(dialogue.due(now_ns=1 + BUSY_PAUSE_NS)) == ["03 19 02 ff cc cc cc cc"]


def test_a_long_request_waits_for_its_answer_only_once_it_is_out():
    dialogue = Dialogue(bytes(20), Terms(), Patience(), now_ns=0)
    dialogue.due(now_ns=0)
    late_ns = 2 * P2_NS
    dialogue.take(bytes.fromhex("30 00 00"), now_ns=late_ns)
    dialogue.due(now_ns=late_ns)

    assert dialogue.due_ns == late_ns + P2_NS


def test_nothing_is_no_request():
    with pytest.raises(BadInput):
        Dialogue(b"", Terms(), Patience(), now_ns=0)


@given(st.lists(st.tuples(st.binary(max_size=64), st.integers(0, P2_NS))))
def test_garbage_is_no_answer_to_anything(arriving):
    dialogue, now_ns = asked(), 0
    for data, later_ns in arriving:
        now_ns += later_ns
        dialogue.take(data, now_ns=now_ns)
        try:
            while dialogue.due(now_ns=now_ns):
                pass
        except Unavailable:
            return
        if dialogue.answer is not None:
            assert dialogue.answer[:2] in (b"\x59\x02", b"\x7f\x19")
            return
        assert dialogue.due_ns > now_ns
