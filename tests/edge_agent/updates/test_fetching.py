"""What answers mean, how long to wait and what is too slow: without a clock, a disk or a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.updates.fetching import (
    Act,
    Answer,
    Asked,
    Attacked,
    Pace,
    Patience,
    Tries,
    act_on,
    chunk_hashes,
    chunk_list,
    paced,
    tried,
    wait_s,
)
from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Tampered, Unavailable
from ota.manifest import Blob

PATIENCE = Patience()
answers = st.builds(
    Answer,
    status=st.integers(100, 599),
    length=st.none() | st.integers(0, 200),
    first=st.none() | st.integers(0, 200),
    total=st.none() | st.integers(0, 200),
    is_packed=st.booleans(),
    location=st.sampled_from(["", "http://a", "https://a", "x"]),
    retry_after_s=st.none() | st.floats(0, 1e6),
)
askeds = st.builds(
    Asked,
    offset=st.integers(0, 100),
    length=st.just(100),
    was_begun_anew=st.booleans(),
    is_elsewhere=st.booleans(),
)


@given(answers, askeds)
def test_nothing_is_read_but_what_was_asked_for(answer, asked):
    try:
        act = act_on(answer, asked)
    except Tampered:
        return
    if act is Act.READ and answer.status == 206:
        assert answer.first == asked.offset
        assert answer.total in (None, asked.length)
    if act is Act.READ and answer.status == 200:
        assert asked.offset == 0
        assert answer.length in (None, asked.length)
    if act in (Act.READ, Act.READ_ANEW):
        assert answer.status in (200, 206)
        assert not answer.is_packed
    if act in (Act.ANEW, Act.READ_ANEW):
        assert not asked.was_begun_anew
        assert asked.offset
    if act is Act.MOVED:
        assert answer.location.startswith("https://")
        assert not asked.is_elsewhere


@given(st.lists(st.sampled_from([Act.AGAIN, Act.MISSING, Act.ANEW]), min_size=20, max_size=20))
def test_whatever_goes_wrong_it_ends(acts):
    def all_of_them() -> Tries:
        tries = Tries()
        for act in acts:
            tries = tried(PATIENCE, tries, got_bytes=10, act=act, why="x")
        return tries

    with pytest.raises((Unavailable, BadInput)):
        all_of_them()


def test_who_gets_us_on_is_tried_on():
    tries = Tries()
    for _ in range(1000):
        tries = tried(PATIENCE, tries, got_bytes=1 << 20, act=Act.AGAIN, why="cut")

    assert tries == Tries(1, 0)


@given(st.integers(1, 10**6), st.none() | st.floats(0, 300), st.floats(0, 1))
def test_waiting_grows_is_spread_and_is_bounded(tries, retry_after_s, chance):
    waits_s = wait_s(PATIENCE, tries, retry_after_s, chance)

    assert (retry_after_s or 0) <= waits_s <= 300 + PATIENCE.wait_max_s
    assert waits_s > 0
    if retry_after_s is None:
        assert waits_s <= PATIENCE.wait_max_s


def test_two_vehicles_that_were_cut_off_together_come_back_apart():
    assert wait_s(PATIENCE, 5, None, 0.0) == 8.0
    assert wait_s(PATIENCE, 5, None, 1.0) == 16.0


def test_slow_is_slow_over_a_window_and_not_for_a_moment():
    pace = Pace()
    for _ in range(59):
        pace = paced(PATIENCE, pace, 0, NS_PER_S)
    assert paced(PATIENCE, pace, 60_000, NS_PER_S) == Pace()
    with pytest.raises(Attacked, match="59999 bytes came in 60 s"):
        paced(PATIENCE, pace, 59_999, NS_PER_S)


def test_bytes_that_come_fast_never_are_slow():
    pace = Pace()
    for _ in range(100_000):
        pace = paced(PATIENCE, pace, 16_384, NS_PER_S // 10)


def test_chunks_have_a_list_of_their_hashes():
    assert chunk_list(Blob("a", 100)) is None
    assert chunk_list(Blob("a", 4096 * 3 + 1, 4096, "b")) == Blob("b", 4 * 32)
    assert chunk_hashes(bytes(32) + b"\1" * 32) == (bytes(32), b"\1" * 32)
    for blob in (Blob("a", 1, 1, "b"), Blob("a", 1, 1 << 30, "b"), Blob("a", 1 << 50, 4096, "b")):
        with pytest.raises(BadInput, match="chunks"):
            chunk_list(blob)
