"""Events become batches, and nothing of them is lost on the way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.campaign.model import Campaign, Extensions, TimeBased
from fairway.ids import BatchName
from fairway.packing import Packed, Packing, requests
from fairway.samples import SampleBlock, Signal, SignalTable, empty_block
from fairway.telemetry import CampaignEvent, CampaignPart, SealedBatch
from fairway.wire.telemetry import dictionary_of, opened, request_from_bytes

TABLE = SignalTable((Signal("Vehicle.Speed"), Signal("Vehicle.ABS.Pressure")))
NAME = BatchName("V1", "0123456789abcdef", 5)


def block(samples: int, start: int = 0) -> SampleBlock:
    times = np.arange(start, start + samples, dtype=np.int64) * 1_000_003
    values = np.random.default_rng(start).random(samples)
    return SampleBlock(TABLE, np.zeros(samples, np.int32), times, values)


def packing(**extensions: int) -> Packing:
    return Packing("c@1", "p", Campaign("c", TimeBased(1), extensions=Extensions(**extensions)))  # type: ignore[arg-type]


def test_an_event_is_a_batch_of_its_own_by_default():
    (packed,) = Packing("c@1", "", Campaign("c", TimeBased(1))).add(
        block(3), CampaignEvent(7, 9, 0), now_ns=0
    )

    assert packed.part == CampaignPart("c@1", "", (CampaignEvent(7, 9, 3),))
    assert len(packed.block) == 3


def test_events_wait_for_each_other_where_the_campaign_asks_for_it():
    some = packing(batch_max_samples=5)

    assert some.add(block(3), CampaignEvent(1, 1, 0), now_ns=0) == []
    (packed,) = some.add(block(3), CampaignEvent(2, 2, 0), now_ns=0)

    assert packed.part.events == (CampaignEvent(1, 1, 3), CampaignEvent(2, 2, 3))
    assert some.closed() == []


def test_events_wait_only_so_long():
    some = packing(batch_max_age_ms=2)

    assert some.add(block(1), CampaignEvent(1, 1, 0), now_ns=10) == []
    assert some.due_ns() == 2_000_010
    assert [len(packed.block) for packed in some.closed()] == [1]
    assert some.due_ns() is None


EVENTS = st.lists(st.integers(0, 60), min_size=1, max_size=12)


@given(EVENTS, st.integers(200, 4000))
def test_what_is_cut_says_together_what_was_there(sizes: list[int], max_bytes: int):
    events = tuple(
        CampaignEvent(number, number * 7, size, dtcs=(f"P{number:04}",))
        for number, size in enumerate(sizes)
    )
    whole = block(sum(sizes)) if sum(sizes) else empty_block(TABLE)
    packed = Packed(whole, CampaignPart("c@1", "p", events))

    made = requests(
        packed,
        NAME,
        dictionary_id=dictionary_of(TABLE).id,
        created_time_ns=1,
        max_bytes=max_bytes,
    )

    read = [request_from_bytes(data, vehicle="V1") for _, data in made]
    assert all(isinstance(sealed, SealedBatch) for sealed in read)
    sealed = [one for one in read if isinstance(one, SealedBatch)]
    assert [one.name.sequence for one in sealed] == list(range(5, 5 + len(sealed)))
    assert (
        np.concatenate([opened(one, TABLE).value for one in sealed]).tolist()
        == whole.value.tolist()
    )
    parts = [one.campaign for one in sealed]
    assert all(part is not None and part.sync_id == "c@1" for part in parts)
    said: dict[int, int] = {}
    codes: dict[int, tuple[str, ...]] = {}
    for part in parts:
        assert part is not None
        for event in part.events:
            said[event.id] = said.get(event.id, 0) + event.samples
            codes[event.id] = codes.get(event.id, ()) + event.dtcs
    assert said == dict(enumerate(sizes))
    assert codes == {number: (f"P{number:04}",) for number in range(len(sizes))}
    for one, (_, data) in zip(sealed, made, strict=True):
        assert len(data) <= max_bytes or one.samples < 2
        assert one.campaign is not None
        assert sum(event.samples for event in one.campaign.events) == one.samples


@pytest.mark.parametrize("samples", [0, 1])
def test_what_cannot_be_cut_is_one_batch_however_large(samples: int):
    packed = Packed(block(samples), CampaignPart("c@1", "", (CampaignEvent(1, 1, samples),)))

    made = requests(packed, NAME, dictionary_id=bytes(8), created_time_ns=1, max_bytes=1)

    assert len(made) == 1


def test_an_event_that_waits_for_others_keeps_nothing_alive_but_its_own_samples():
    whole, some = block(1000), packing(batch_max_age_ms=60_000)
    piece = SampleBlock(TABLE, whole.signal[5:7], whole.time_ns[5:7], whole.value[5:7])

    some.add(piece, CampaignEvent(1, 1, 0), now_ns=0)
    (packed,) = some.closed()

    assert packed.block.time_ns.tolist() == piece.time_ns.tolist()
    assert all(
        column.base is None
        for column in (packed.block.signal, packed.block.time_ns, packed.block.value)
    )
