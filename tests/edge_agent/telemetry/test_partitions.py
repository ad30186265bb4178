"""Which partition may send, which must make room, and what a request is about."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.telemetry.partitions import (
    Holding,
    Key,
    Request,
    Terms,
    asked_for,
    is_open,
    to_shrink,
)
from edge_agent.telemetry.spool import Cursor, SpooledBatch

ONE, TWO, THREE = Key("one"), Key("two"), Key("three")


def batch(sequence: int, created_time_ns: int) -> SpooledBatch:
    return SpooledBatch(sequence, b"12345678", 1, created_time_ns, Cursor(), b"x")


def holding(key: Key, rank: int, size_bytes: int, waiting: int) -> Holding:
    return Holding(key, rank, is_durable=True, size_bytes=size_bytes, waiting=waiting)


def terms(key: Key, *, is_gated: bool = False) -> Terms:
    return Terms(key, 0, is_durable=True, is_gated=is_gated)


def numbers(batches: list[SpooledBatch]) -> list[int]:
    return [one.sequence for one in batches]


def test_what_goes_at_once_is_open_and_a_gate_by_its_condition_or_on_request():
    at_once, gate = terms(ONE), terms(TWO, is_gated=True)

    assert is_open(at_once, frozenset(), None)
    assert not is_open(gate, frozenset(), None)
    assert is_open(gate, frozenset({TWO}), None)
    assert is_open(gate, frozenset(), Request(3))


def test_a_request_is_about_what_waited_when_it_was_made():
    found = [batch(n, 100 * n) for n in range(4, 9)]

    assert numbers(asked_for(found, Request(6))[0]) == [4, 5, 6]
    within, request = asked_for(found, Request(8, until_ns=550))
    assert numbers(within) == [4, 5]
    assert request.last_sequence == 5
    assert numbers(asked_for(found, Request(100))[0]) == [4, 5, 6, 7, 8]


def test_the_highest_rank_makes_room_first_and_of_one_rank_the_largest():
    holdings = [
        holding(ONE, 1, 500, 5),
        holding(TWO, 9, 100, 1),
        holding(THREE, 9, 300, 3),
    ]

    assert to_shrink(holdings, max_bytes=900, is_durable=True) is None
    assert to_shrink(holdings, max_bytes=850, is_durable=True) == (THREE, 50)
    assert to_shrink(holdings, max_bytes=850, is_durable=False) is None


def test_what_has_nothing_waiting_is_asked_for_nothing():
    assert to_shrink([holding(ONE, 1, 500, 0)], max_bytes=1, is_durable=True) is None


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1000)), min_size=1, max_size=12),
    st.integers(0, 5000),
)
def test_making_room_again_and_again_always_ends_within_the_limit(
    sizes: list[tuple[int, int]], max_bytes: int
):
    holdings = [
        holding(Key(str(number)), rank, size, int(size > 0))
        for number, (rank, size) in enumerate(sizes)
    ]
    for _ in range(len(sizes) + 1):
        wanted = to_shrink(holdings, max_bytes=max_bytes, is_durable=True)
        if wanted is None:
            break
        key, need = wanted
        kept = [one for one in holdings if one.key != key]
        (shrunk,) = [one for one in holdings if one.key == key]
        assert all(one.rank <= shrunk.rank for one in kept if one.waiting)
        left = max(0, shrunk.size_bytes - need)
        holdings = [*kept, holding(key, shrunk.rank, left, int(left > 0))]

    assert sum(one.size_bytes for one in holdings) <= max_bytes
