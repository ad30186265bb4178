"""Batches of campaigns through ingest: counted once, whatever fails on the way."""

import pytest

from fairway.ids import BatchName
from fairway.telemetry import Batch, CampaignEvent, CampaignPart, Outcome
from fairway.wire.telemetry import batch_to_bytes
from fleet_cloud.campaigns.ports import Progress
from tests.fleet_cloud.ingest.desk import (
    DICTIONARY,
    DICTIONARY_BYTES,
    NOW,
    STREAM,
    Desk,
    batch_bytes,
    block,
)

CAMPAIGN = "speeding@0123456789ab"


def of_campaign(sequence: int) -> bytes:
    part = CampaignPart(CAMPAIGN, "crash", (CampaignEvent(sequence, NOW, 3),))
    name = BatchName("VIN1", STREAM, sequence)
    return batch_to_bytes(Batch(name, DICTIONARY.id, block(), NOW, part))


def total(desk: Desk) -> Progress:
    return desk.registry.progress.total("default", CAMPAIGN)


def test_a_stored_batch_counts_with_its_bytes_as_received_and_a_duplicate_does_not():
    desk = Desk()
    first, second = of_campaign(1), of_campaign(2)
    desk.take(DICTIONARY_BYTES, first, batch_bytes(3))
    desk.take(first)
    desk.take(first, second, second)

    assert total(desk) == Progress("", 2, 6, len(first) + len(second), NOW)
    assert desk.registry.progress.streams("default", CAMPAIGN, "VIN1") == [(STREAM, "crash")]


def test_a_batch_that_was_not_stored_does_not_count():
    desk = Desk()
    desk.take(DICTIONARY_BYTES)
    desk.store.fails = "before"
    assert desk.take(of_campaign(1)) == [Outcome.BUSY]
    assert total(desk) == Progress("", 0, 0, 0, 0)

    desk.store.fails = ""
    desk.now_ns += 60 * 10**9
    assert desk.take(of_campaign(1)) == [Outcome.STORED]
    assert total(desk).events == 1


def test_a_batch_whose_process_died_after_storing_counts_when_it_comes_again():
    dead = Desk(owner="dead")
    dead.take(DICTIONARY_BYTES)
    group = dead.prepare(of_campaign(1))
    dead.store.append(group.batches)
    alive = Desk(owner="alive", beside=dead)
    assert alive.take(of_campaign(1)) == [Outcome.BUSY]

    alive.now_ns += 60 * 10**9
    assert alive.take(of_campaign(1)) == [Outcome.DUPLICATE]
    assert alive.take(of_campaign(1)) == [Outcome.DUPLICATE]
    assert total(alive).events == 1


@pytest.mark.parametrize("count", [1, 5])
def test_batches_without_a_campaign_count_nowhere(count: int):
    desk = Desk()
    desk.take(DICTIONARY_BYTES, *(batch_bytes(number) for number in range(1, count + 1)))

    assert total(desk) == Progress("", 0, 0, 0, 0)
    assert desk.counts.batches == count
