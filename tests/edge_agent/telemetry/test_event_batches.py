"""Events of a campaign on their way into batches: whatever is cut, every sample stays with its event."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.telemetry.event_batches import EventBatching, EventSealing, Piece, halves
from fairway.clock import NS_PER_MS
from fairway.samples import SampleBlock, Signal, SignalTable
from fairway.telemetry import CampaignEvent, SealedBatch
from fairway.wire import telemetry as wire

TABLE = SignalTable((Signal("Vehicle.Speed"), Signal("Vehicle.IsMoving")))
DICTIONARY = wire.dictionary_of(TABLE)


def event(number: int, samples: int) -> Piece:
    block = SampleBlock(
        TABLE,
        np.zeros(samples, np.int32),
        np.arange(samples, dtype=np.int64) + 1000 * number,
        np.random.default_rng(number).random(samples),
    )
    return Piece(block, (CampaignEvent(number, 7 * number, samples, (f"P{number:04d}",)),))


def sealing(max_bytes: int) -> EventSealing:
    return EventSealing("CAR", "0" * 15 + "1", DICTIONARY.id, max_bytes, "braking-1", "critical")


def counts(piece: Piece) -> list[tuple[int, int]]:
    return [(one.id, one.samples) for one in piece.events]


def test_without_an_age_every_event_is_a_batch():
    batching = EventBatching(max_samples=1000, max_age_ns=0)

    assert [counts(one) for one in batching.add(event(1, 3), now_ns=0)] == [[(1, 3)]]
    assert [counts(one) for one in batching.add(event(2, 0), now_ns=0)] == [[(2, 0)]]
    assert batching.due_ns() is None


def test_events_wait_for_each_other_until_the_first_is_old_enough():
    batching = EventBatching(max_samples=1000, max_age_ns=500 * NS_PER_MS)

    assert batching.add(event(1, 3), now_ns=10) == []
    assert batching.add(event(2, 4), now_ns=20) == []
    assert batching.due_ns() == 10 + 500 * NS_PER_MS
    closed = batching.closed()
    assert closed is not None
    assert (counts(closed), len(closed.block)) == ([(1, 3), (2, 4)], 7)
    assert (batching.due_ns(), batching.closed()) == (None, None)


def test_a_full_batch_goes_at_once_and_a_long_event_goes_on_in_the_next():
    batching = EventBatching(max_samples=5, max_age_ns=500 * NS_PER_MS)
    batching.add(event(1, 3), now_ns=0)

    closed = batching.add(event(2, 9), now_ns=1)

    assert [counts(one) for one in closed] == [[(1, 3), (2, 2)], [(2, 5)], [(2, 2)]]


def test_only_the_first_part_of_an_event_has_its_trouble_codes():
    first, second = halves(event(1, 4), 1)

    assert [one.dtcs for one in first.events] == [("P0001",)]
    assert [one.dtcs for one in second.events] == [()]


def test_a_batch_says_which_campaign_partition_and_event_it_is_of():
    (batch,) = sealing(100_000).sealed(event(3, 5), sequence=8, now_ns=99)

    sealed = wire.request_from_bytes(batch.request, vehicle="CAR")
    assert isinstance(sealed, SealedBatch)
    assert sealed.campaign is not None
    assert (sealed.campaign.sync_id, sealed.campaign.partition) == ("braking-1", "critical")
    assert sealed.campaign.events == (CampaignEvent(3, 21, 5, ("P0003",)),)
    assert (batch.sequence, batch.samples, batch.created_time_ns) == (8, 5, 99)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=8), st.integers(300, 4000))
def test_whatever_is_cut_every_sample_stays_with_its_event(sizes: list[int], max_bytes: int):
    pieces = [event(number, size) for number, size in enumerate(sizes, 1)]
    batching = EventBatching(max_samples=1_000_000, max_age_ns=1)
    for piece in pieces:
        batching.add(piece, now_ns=0)
    whole = batching.closed()
    assert whole is not None

    batches = sealing(max_bytes).sealed(whole, sequence=1, now_ns=0)

    assert [batch.sequence for batch in batches] == list(range(1, len(batches) + 1))
    found: dict[int, list[int]] = {number: [] for number in range(1, len(sizes) + 1)}
    for batch in batches:
        sealed = wire.request_from_bytes(batch.request, vehicle="CAR")
        assert isinstance(sealed, SealedBatch)
        assert sealed.campaign is not None
        rows = wire.opened(sealed, TABLE).time_ns.tolist()
        assert sum(one.samples for one in sealed.campaign.events) == len(rows)
        for one in sealed.campaign.events:
            found[one.id] += rows[: one.samples]
            rows = rows[one.samples :]
    assert found == {number: piece.block.time_ns.tolist() for number, piece in enumerate(pieces, 1)}
