"""Events on their way into batches: counted, timed, and put where they belong."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edge_agent.adapters.campaign_batches import CampaignBatches
from edge_agent.adapters.campaign_fetches import Fetches
from edge_agent.adapters.lanes import OneLane
from edge_agent.adapters.memory import MemorySpool
from edge_agent.adapters.partition_folders import PartitionFolders
from edge_agent.adapters.partition_shelf import PartitionShelf, Seal
from edge_agent.adapters.partitions import Partitions
from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.telemetry.active import Orders, plan_of
from edge_agent.telemetry.campaign_counts import CampaignCounts
from edge_agent.telemetry.partitions import Key, Terms
from fairway.campaign.document import campaign_of, sync_id
from fairway.campaign.events import Event
from fairway.clock import NS_PER_MS, ManualClock
from fairway.control import CampaignOrder
from fairway.packing import Packed
from fairway.samples import SampleBlock, Signal, SignalTable, empty_block
from tests.edge_agent.adapters.campaign_rig import when

TABLE = SignalTable((Signal("Vehicle.Speed"),))
CONDITION = "$variable.`Vehicle.Speed` > 1"


class Taken(Partitions):
    """Partitions that only remember what was put."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        shelf = PartitionShelf(
            PartitionFolders(folder, max_bytes=1), Seal("CAR", 1, {}), clock, max_bytes=1
        )
        super().__init__(shelf, OneLane(SpoolWorker(MemorySpool())), clock)
        self.put_pieces: list[tuple[Key, Packed]] = []

    def put(self, terms: Terms, packed: Packed) -> None:
        self.put_pieces.append((terms.key, packed))


@dataclass
class Bench:
    """Batches of some campaigns, and what came of them."""

    clock: ManualClock
    partitions: Taken
    counts: CampaignCounts = field(default_factory=CampaignCounts)
    fetches: Fetches = field(default_factory=Fetches)
    woken: int = 0

    def __post_init__(self) -> None:
        self.batches = CampaignBatches(
            self.partitions,
            self.fetches,
            self.counts,
            self.clock,
            is_live=True,
            wake=self._wake,
        )

    def _wake(self) -> None:
        self.woken += 1

    def use(self, document: dict[str, object]) -> str:
        """Run one campaign; return its sync id."""
        campaign = campaign_of(document)
        orders = Orders(own=(CampaignOrder(sync_id(campaign), campaign),))
        self.batches.use(plan_of(orders, (), self.clock.now_ns()), orders, empty_block(TABLE))
        return sync_id(campaign)

    def event(self, campaign: str, samples: int, *, wants_dtcs: bool = False) -> Event:
        """Return an event of now."""
        now_ns = self.clock.now_ns()
        columns = np.zeros(samples, np.int32), np.full(samples, now_ns), np.ones(samples)
        return Event(campaign, 7, now_ns, {"": SampleBlock(TABLE, *columns)}, wants_dtcs)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    clock = ManualClock()
    return Bench(clock, Taken(tmp_path, clock))


def test_an_event_is_in_its_partition_when_it_was_taken(bench: Bench):
    campaign = bench.use(when(CONDITION))

    bench.batches.take([bench.event(campaign, 3)])

    ((key, packed),) = bench.partitions.put_pieces
    assert key == Key(campaign)
    assert [(one.id, one.samples) for one in packed.part.events] == [(7, 3)]
    assert (bench.batches.events, bench.batches.samples) == (1, 3)
    assert (bench.counts.of(campaign).triggers, bench.counts.of(campaign).samples) == (1, 3)


def test_an_event_that_comes_late_is_counted_so(bench: Bench):
    campaign = bench.use(when(CONDITION))
    early, late = bench.event(campaign, 1), bench.event(campaign, 1)

    bench.batches.take([early])
    bench.clock.advance(11 * NS_PER_MS)
    bench.batches.take([late])

    assert bench.batches.lateness.late_events == 1
    assert sum(bench.batches.lateness.counts) == 2


def test_an_event_that_its_campaign_lets_wait_is_never_late(bench: Bench):
    campaign = bench.use(when(CONDITION, postTriggerCollectionDuration=500))
    event = bench.event(campaign, 1)

    bench.clock.advance(500 * NS_PER_MS)
    bench.batches.take([event])

    assert sum(bench.batches.lateness.counts) == 0
    assert bench.batches.events == 1


def test_an_open_batch_is_closed_when_it_is_old_enough(bench: Bench):
    campaign = bench.use(when(CONDITION, fairway={"batchMaxAgeMs": 50}))
    bench.batches.take([bench.event(campaign, 2)])
    assert bench.woken == 1
    assert bench.batches.next_due_ns() == 50 * NS_PER_MS

    bench.batches.close(only_old=True)
    assert bench.partitions.put_pieces == []
    bench.clock.advance(50 * NS_PER_MS)
    bench.batches.close(only_old=True)

    assert [len(packed.block) for _, packed in bench.partitions.put_pieces] == [2]
    assert bench.batches.next_due_ns() is None


def test_codes_for_a_campaign_that_has_gone_meanwhile_are_of_no_use(bench: Bench):
    campaign = bench.use(when(CONDITION))
    event = bench.event(campaign, 1, wants_dtcs=True)
    bench.batches.take([event])
    bench.use(when(CONDITION, "another"))

    bench.batches.put(campaign, event, ("P0420",), "")

    assert bench.partitions.put_pieces == []
