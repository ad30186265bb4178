"""Streams in a few numbers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.ids import BatchName
from fleet_cloud.ingest.ledger import (
    RANGES_MAX,
    Claim,
    Stream,
    ranges_from_text,
    ranges_to_text,
    standing,
)
from fleet_cloud.ingest.records import BatchKey, Claimant, Standing

NOW = 10**18
LEASE = 30 * 10**9
US = Claimant("us", NOW, LEASE, grace_ns=5 * 10**9)


def name(sequence: int) -> BatchKey:
    return BatchKey("default", BatchName("VIN1", "00000000000000aa", sequence))


def after(duration_ns: int) -> Claimant:
    """Return us, so much later."""
    return replace(US, now_ns=NOW + duration_ns)


def test_a_stream_in_order_is_one_number():
    stream = Stream().with_stored([1, 2, 3]).with_stored([4])

    assert stream == Stream(watermark=4)


def test_a_gap_stays_a_gap_until_it_is_filled():
    stream = Stream().with_stored([1, 2, 7, 8])

    assert stream == Stream(2, ((7, 8),))
    assert not stream.holds(3)
    assert stream.with_stored([3, 4, 5, 6]) == Stream(8)


@given(st.lists(st.lists(st.integers(1, 60), max_size=10), max_size=10))
def test_a_stream_holds_exactly_what_was_stored(groups: list[list[int]]):
    stream = Stream()
    for group in groups:
        stream = stream.with_stored(group)

    stored = {sequence for group in groups for sequence in group}
    assert {sequence for sequence in range(1, 61) if stream.holds(sequence)} == stored
    assert ranges_from_text(ranges_to_text(stream.above)) == stream.above


def test_too_many_gaps_are_forgotten_but_never_taken_for_stored():
    stream = Stream().with_stored(range(10, 10 * (RANGES_MAX + 3), 10))

    assert len(stream.above) == RANGES_MAX
    assert stream.floor == 20
    stands = [standing(stream, name(n), earlier=None, claimant=US) for n in (5, 10, 15, 25, 30)]
    assert stands == [
        Standing.DOUBTFUL,
        Standing.DOUBTFUL,
        Standing.DOUBTFUL,
        Standing.MINE,
        Standing.STORED,
    ]


def test_what_is_stored_is_stored_whoever_claims_it():
    stream = Stream(watermark=5)

    assert standing(stream, name(5), earlier=Claim("them", NOW), claimant=US) is Standing.STORED


def test_a_claim_of_another_is_believed_until_it_has_been_seen_for_its_lease():
    stands = [
        standing(Stream(), name(1), earlier=Claim("them", 7), claimant=after(passed_ns))
        for passed_ns in (0, LEASE - 1, LEASE)
    ]

    assert stands == [Standing.HELD, Standing.HELD, Standing.DOUBTFUL]


def test_ones_own_claim_of_an_earlier_life_is_doubtful_after_the_grace():
    stands = [
        standing(Stream(), name(2), earlier=Claim("us", 7), claimant=after(passed_ns))
        for passed_ns in (0, US.grace_ns - 1, US.grace_ns)
    ]

    assert stands == [Standing.HELD, Standing.HELD, Standing.DOUBTFUL]


def test_a_new_claim_on_the_same_batch_is_watched_from_its_beginning():
    first, second = Claim("them", 7), Claim("them", 8)
    assert standing(Stream(), name(3), earlier=first, claimant=after(0)) is Standing.HELD

    assert standing(Stream(), name(3), earlier=second, claimant=after(LEASE)) is Standing.HELD


@pytest.mark.parametrize("ahead_s", [-(10**8), -31, 31, 10**8])
def test_a_clock_that_is_wrong_by_any_time_takes_no_claim_from_its_owner(ahead_s: int):
    claim = Claim("them", NOW + ahead_s * 10**9)

    assert standing(Stream(), name(4), earlier=claim, claimant=after(0)) is Standing.HELD
