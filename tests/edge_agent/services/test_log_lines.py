"""What services print becomes lines."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.services.log_lines import (
    CUT_MARK,
    LINE_MAX_BYTES,
    Budget,
    Cutter,
    LogLimits,
    printable,
    stamped,
)
from fairway.clock import NS_PER_S


def test_lines_are_cut_where_they_end():
    cutter = Cutter()

    assert cutter.feed(b"one\r\ntwo\nthr") == [b"one", b"two"]
    assert cutter.feed(b"ee\n\n") == [b"three", b""]
    assert cutter.rest() == []


def test_a_line_that_never_ends_is_told_at_the_end():
    cutter = Cutter()
    cutter.feed(b"last words")

    assert cutter.rest() == [b"last words"]
    assert cutter.rest() == []


def test_a_line_that_is_too_long_is_cut_and_says_so():
    cutter = Cutter()

    assert cutter.feed(b"x" * LINE_MAX_BYTES + b"\n") == [b"x" * LINE_MAX_BYTES]
    assert cutter.feed(b"x" * (LINE_MAX_BYTES + 1) + b"\nnext\n") == [
        b"x" * LINE_MAX_BYTES + CUT_MARK,
        b"next",
    ]


@given(st.lists(st.binary(max_size=3 * LINE_MAX_BYTES), max_size=12), st.data())
def test_how_the_bytes_arrive_makes_no_difference(parts: list[bytes], data: st.DataObject):
    whole = b"".join(parts)
    at_once, by_parts = Cutter(), Cutter()

    lines = [line for part in parts for line in by_parts.feed(part)] + by_parts.rest()

    assert lines == at_once.feed(whole) + at_once.rest()
    assert all(len(line) <= LINE_MAX_BYTES + len(CUT_MARK) for line in lines)


@given(st.binary(max_size=200))
def test_what_is_printed_is_one_printable_line(line: bytes):
    text = printable(line)

    assert text.replace("\t", " ").isprintable()
    assert len(text.splitlines()) <= 1


def test_what_would_move_the_cursor_is_spelled_out():
    assert printable(b"\x1b[2J\xff \xe2\x80\xae ok\t\xc3\xa4") == "\\x1b[2J\\xff \\u202e ok\t\xe4"


def test_a_budget_is_used_up_and_fills_with_time():
    budget = Budget(LogLimits(lines_per_s=10, burst_s=2), 0)

    assert budget.take(15, 0) == 15
    assert budget.take(15, 0) == 5
    assert budget.take(1, NS_PER_S // 10 - 1) == 0
    assert budget.take(15, NS_PER_S) == 10
    assert budget.take(100, 1000 * NS_PER_S) == 20  # never more than a burst


def test_a_stamp_is_in_utc_and_milliseconds():
    assert stamped("stdout", "x", 1_769_860_800_999_999_999) == "2026-01-31T12:00:00.999Z stdout x"
