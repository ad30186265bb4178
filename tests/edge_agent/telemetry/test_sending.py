"""The window between spool and cloud, as a transcript of batches and receipts."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.telemetry.sending import (
    RESEND_FIRST_NS,
    Action,
    SendBatch,
    Sending,
    Unpaid,
)
from edge_agent.telemetry.spool import Cursor, SpooledBatch
from fairway.clock import NS_PER_MS, NS_PER_S
from fairway.telemetry import Outcome, Receipt

STREAM = "0123456789abcdef"


def batch(sequence: int, dictionary: bytes = b"dict-one", size: int = 100) -> SpooledBatch:
    return SpooledBatch(sequence, dictionary, 10, 1000 + sequence, Cursor(), bytes(size))


def receipt(sequence: int, outcome: Outcome, retry_after_ms: int = 0) -> Receipt:
    return Receipt(STREAM, sequence, outcome, retry_after_ms=retry_after_ms)


def sending(count: int, **limits: int) -> Sending:
    window = Sending(**limits)
    window.keep([STREAM])
    window.take(STREAM, [batch(number) for number in range(1, count + 1)], now_ns=0)
    return window


def sent(window: Sending, now_ns: int = 0) -> list[int | str]:
    return [
        action.batch.sequence if isinstance(action, SendBatch) else action.dictionary_id.decode()
        for action in window.due(now_ns=now_ns)
        if not isinstance(action, Unpaid)
    ]


def test_the_dictionary_goes_before_the_first_batch_that_needs_it():
    window = sending(2)
    window.take(STREAM, [batch(3, b"dict-two")], now_ns=0)

    assert sent(window) == ["dict-one", 1, 2, "dict-two", 3]
    assert sent(window) == []


def test_stored_duplicate_and_refused_settle_a_batch():
    window = sending(4)
    sent(window)
    outcomes = [Outcome.STORED, Outcome.DUPLICATE, Outcome.REFUSED]

    settled = window.received([receipt(n, o) for n, o in enumerate(outcomes, 1)], now_ns=1)

    assert settled == [(STREAM, 1), (STREAM, 2), (STREAM, 3)]
    assert window.oldest_time_ns(STREAM) == 1004
    assert (window.counts.stored, window.counts.duplicate, window.counts.refused) == (1, 1, 1)


def test_an_unknown_dictionary_is_sent_and_the_batch_after_it():
    window = sending(3)
    sent(window)
    unknown = [receipt(1, Outcome.UNKNOWN_DICTIONARY), receipt(2, Outcome.UNKNOWN_DICTIONARY)]

    assert window.received(unknown, now_ns=5) == []
    assert sent(window, 5) == ["dict-one", 1, 2]


def test_a_cloud_that_never_learns_the_dictionary_is_asked_ever_more_rarely():
    window = sending(1)
    now_ns, tries = 0, 0
    while now_ns < 60 * NS_PER_S:
        tries += len(sent(window, now_ns)) // 2
        window.received([receipt(1, Outcome.UNKNOWN_DICTIONARY)], now_ns=now_ns)
        due_ns = window.next_due_ns()
        assert due_ns is not None
        now_ns = max(due_ns, now_ns)

    assert 5 < tries < 20


def test_a_busy_cloud_gets_the_batch_later_and_fewer_at_once():
    window = sending(8, max_batches=8)
    sent(window)

    window.received([receipt(n, Outcome.BUSY, 500) for n in range(1, 9)], now_ns=0)

    assert sent(window, 499 * NS_PER_MS) == []
    assert window.next_due_ns() == 500 * NS_PER_MS
    assert sent(window, 500 * NS_PER_MS) == [1]
    window.received([receipt(1, Outcome.STORED)], now_ns=501 * NS_PER_MS)
    assert sent(window, 501 * NS_PER_MS) == [2, 3]


def test_a_full_window_waits_for_receipts_and_not_for_the_clock():
    window = sending(3, max_batches=2)

    assert sent(window) == ["dict-one", 1, 2]
    assert window.next_due_ns() == RESEND_FIRST_NS


def test_silence_sends_again_each_time_after_twice_as_long():
    window = sending(1)
    sent(window)

    assert sent(window, RESEND_FIRST_NS - 1) == []
    assert sent(window, RESEND_FIRST_NS) == [1]
    assert sent(window, RESEND_FIRST_NS * 3 - 1) == []
    assert sent(window, RESEND_FIRST_NS * 3) == [1]
    assert window.counts.resent == 2


def test_a_new_connection_sends_everything_unanswered_in_order_but_no_dictionary():
    window = sending(4)
    sent(window)
    window.received([receipt(2, Outcome.STORED)], now_ns=1)

    window.connected(now_ns=2)

    assert sent(window, 2) == [1, 3, 4]


def test_receipts_of_another_stream_are_not_ours():
    window = sending(1)
    sent(window)

    assert window.received([Receipt("f" * 16, 1, Outcome.STORED)], now_ns=1) == []
    assert window.oldest_time_ns(STREAM) == 1001


def test_a_receipt_for_a_batch_of_an_earlier_run_settles_it():
    assert sending(0).received([receipt(7, Outcome.STORED)], now_ns=1) == [(STREAM, 7)]


def test_a_batch_that_can_never_be_carried_does_not_hold_up_the_others():
    window = sending(2)
    sent(window)
    window.unsendable(STREAM, 1, now_ns=0)

    window.received([receipt(2, Outcome.STORED)], now_ns=1)

    assert sent(window, 100 * NS_PER_S) == []
    assert sent(window, 300 * NS_PER_S) == [1]


def test_the_window_is_bounded_by_count_and_by_bytes():
    window = sending(3, max_batches=5, max_bytes=1000)

    assert window.room() == (2, 700)
    window.take(STREAM, [batch(4, size=5000)], now_ns=0)
    assert window.room() == (1, 0)


@given(st.lists(st.tuples(st.integers(1, 12), st.sampled_from(Outcome)), max_size=80))
def test_whatever_the_cloud_says_every_batch_is_settled_once_it_stores_all(
    answers: list[tuple[int, Outcome]],
):
    window = sending(10, max_batches=10)
    now_ns, settled = 0, set[tuple[str, int]]()
    for sequence, outcome in answers:
        window.due(now_ns=now_ns)
        settled |= set(window.received([receipt(sequence, outcome)], now_ns=now_ns))
        now_ns += NS_PER_MS
    for _ in range(100):
        now_ns = max(now_ns, window.next_due_ns() or 0)
        actions = window.due(now_ns=now_ns)
        stored = [
            receipt(action.batch.sequence, Outcome.STORED)
            for action in actions
            if isinstance(action, SendBatch)
        ]
        settled |= set(window.received(stored, now_ns=now_ns))

    assert settled >= {(STREAM, sequence) for sequence in range(1, 11)}
    assert window.oldest_time_ns(STREAM) is None


# lanes

URGENT, LATER = "1" * 16, "2" * 16


def two_lanes(**limits: int) -> Sending:
    window = Sending(**limits)
    window.keep([URGENT, LATER])
    return window


def names(actions: list[Action]) -> list[tuple[str, int]]:
    return [(a.stream, a.batch.sequence) for a in actions if isinstance(a, SendBatch)]


def test_the_lower_rank_goes_first_whatever_was_taken_first():
    window = two_lanes()
    window.take(LATER, [batch(1), batch(2)], rank=5, now_ns=0)
    window.take(URGENT, [batch(1)], rank=1, now_ns=0)

    assert names(window.due(now_ns=0)) == [(URGENT, 1), (LATER, 1), (LATER, 2)]


def test_what_is_not_on_the_way_gives_its_place_to_a_lower_rank_and_is_read_again():
    window = two_lanes(max_batches=3)
    window.take(LATER, [batch(1), batch(2), batch(3)], rank=5, now_ns=0)
    window.due(now_ns=0)
    window.connected(now_ns=1)

    window.put_back(beyond_rank=1)

    assert window.room()[0] == 3
    assert window.last_taken(LATER) == 0
    window.take(URGENT, [batch(1)], rank=1, now_ns=1)
    assert names(window.due(now_ns=1)) == [(URGENT, 1)]


def test_what_is_on_the_way_keeps_its_place():
    window = two_lanes(max_batches=2)
    window.take(LATER, [batch(1), batch(2)], rank=5, now_ns=0)
    window.due(now_ns=0)

    window.put_back([LATER], beyond_rank=1)

    assert window.room()[0] == 0
    assert window.last_taken(LATER) == 2


def test_a_batch_that_is_read_again_while_it_is_in_the_window_is_there_once():
    window = two_lanes()
    window.take(LATER, [batch(1)], now_ns=0)
    window.due(now_ns=0)
    window.take(LATER, [batch(1), batch(2)], now_ns=0)

    assert names(window.due(now_ns=1)) == [(LATER, 2)]
    assert window.room()[1] == 8 * 1024 * 1024 - 200


def test_a_lane_that_nobody_pays_for_stops_in_its_order_and_no_other_does():
    window, purse = two_lanes(), {URGENT: 150, LATER: 1000}
    window.take(URGENT, [batch(1), batch(2, size=60), batch(3, size=10)], rank=1, now_ns=0)
    window.take(LATER, [batch(1)], rank=5, now_ns=0)

    def pay(stream: str, size: int) -> bool:
        if purse[stream] < size:
            return False
        purse[stream] -= size
        return True

    actions = window.due(now_ns=0, pay=pay)

    assert names(actions) == [(URGENT, 1), (LATER, 1)]
    assert Unpaid(URGENT, 60) in actions
    assert (window.counts.sent, window.counts.sent_bytes) == (2, 200)
    window.unpaid(URGENT, now_ns=0)
    assert window.last_taken(URGENT) == 1
    assert window.received([Receipt(URGENT, 1, Outcome.STORED)], now_ns=1) == [(URGENT, 1)]


def test_a_resend_is_paid_as_the_first_sending_was():
    window = two_lanes()
    window.take(LATER, [batch(1)], now_ns=0)
    paid: list[int] = []

    def pay(_stream: str, size: int) -> bool:
        paid.append(size)
        return len(paid) < 3

    window.due(now_ns=0, pay=pay)
    window.connected(now_ns=1)
    window.due(now_ns=1, pay=pay)
    window.connected(now_ns=2)

    assert window.due(now_ns=2, pay=pay) == [Unpaid(LATER, 100)]
    assert paid == [100, 100, 100]
    window.unpaid(LATER, now_ns=2)
    assert window.last_taken(LATER) == 0


def test_receipts_of_a_lane_that_is_no_more_are_not_ours():
    window = two_lanes()
    window.take(LATER, [batch(1)], now_ns=0)
    window.due(now_ns=0)

    window.keep([URGENT])

    assert window.received([Receipt(LATER, 1, Outcome.STORED)], now_ns=1) == []
    assert window.room() == (128, 8 * 1024 * 1024)
