"""Puts the events of campaigns into batches, and batches into partitions; counts them, and how late they come.

    events --take--> counts > [trouble codes?] > batches --> partitions (partitions.py)
                                                  '- closed when full, or old enough

Rule 1: hundreds of events come at one moment: what an event needs of its campaign is looked up once for all.
Rule 2: an event is late when it is in its batch more than 10 ms after its trigger, the events before it
        included.  What its campaign lets it wait for (a post-trigger time, trouble codes) makes none late.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.adapters.campaign_fetches import Fetches
from edge_agent.adapters.partitions import Partitions
from edge_agent.telemetry.active import Orders, Plan
from edge_agent.telemetry.campaign_counts import CampaignCounts, Counts
from edge_agent.telemetry.lateness import Lateness
from edge_agent.telemetry.partitions import Key, Terms
from fairway.campaign.events import Event
from fairway.campaign.model import Campaign
from fairway.campaign.parts import CampaignEvent
from fairway.clock import Clock
from fairway.packing import Packing
from fairway.samples import SampleBlock


@dataclass(frozen=True, slots=True)
class _Course:
    """Where the events of one campaign go."""

    owner: str
    counts: Counts
    waits: bool  # for a post-trigger time
    lanes: dict[str, tuple[Terms, Packing]]  # by partition


class CampaignBatches:
    """The open batches of all campaigns."""

    def __init__(
        self,
        partitions: Partitions,
        fetches: Fetches,
        counts: CampaignCounts,
        clock: Clock,
        *,
        is_live: bool,
        wake: Callable[[], None],
    ) -> None:
        """`wake` is called when a batch waits for its age; `is_live`: stamps are of this clock."""
        self._partitions, self._fetches, self._clock = partitions, fetches, clock
        self._counts, self._is_live, self._wake = counts, is_live, wake
        self.events = self.samples = 0  # since the agent started
        self.lateness = Lateness()
        self._owners: Mapping[str, str] = {}  # the engine's sync id -> the one we were given
        self._empty: SampleBlock
        self._courses: dict[str, _Course] = {}
        self._open: dict[Key, tuple[Terms, Packing]] = {}  # what waits for more

    def use(self, plan: Plan, orders: Orders, empty: SampleBlock) -> None:
        """Take events of these campaigns from now on; `empty` is the block of an event without samples.

        Call close() before: what is open is forgotten.
        """
        self._owners, self._empty, self._open = plan.owners, empty, {}
        campaigns = {one.sync_id: one.campaign for one in orders.all}
        lanes: dict[str, dict[str, tuple[Terms, Packing]]] = {}
        for key, terms in plan.terms.items():
            if key.campaign in campaigns:
                packing = Packing(key.campaign, key.partition, campaigns[key.campaign])
                lanes.setdefault(key.campaign, {})[key.partition] = terms, packing
        self._courses = {
            owner: _Course(owner, self._counts.of(owner), _waits(campaign), lanes.get(owner, {}))
            for owner, campaign in campaigns.items()
        }

    def take(self, events: Sequence[Event]) -> None:
        """Take what campaigns have collected."""
        for event in events:
            owner = self._owners[event.campaign]
            course = self._courses[owner]
            samples = 0
            for block in event.parts.values():
                samples += len(block)
            course.counts.triggers += 1
            course.counts.samples += samples
            self.events += 1
            self.samples += samples
            if event.wants_dtcs:
                self._fetches.ask_dtcs(owner, event)
            else:
                self._put(course, event, (), "")
            if self._is_live and not course.waits:
                self.lateness.add(self._clock.now_ns() - event.time_ns)

    def put(self, owner: str, event: Event, dtcs: tuple[str, ...], missing: str) -> None:
        """Take an event whose trouble codes have come, or have not; they go with its first part."""
        course = self._courses.get(owner)
        if course is not None:  # else the list that it was of has been replaced
            self._put(course, event, dtcs, missing)

    def _put(self, course: _Course, event: Event, dtcs: tuple[str, ...], missing: str) -> None:
        now_ns = self._clock.monotonic_ns()
        for partition, block in (event.parts or {"": self._empty}).items():
            lane = course.lanes.get(partition)
            if lane is None:
                continue
            terms, packing = lane
            told = CampaignEvent(event.id, event.time_ns, len(block), dtcs, missing)
            dtcs, missing = (), ""
            for packed in packing.add(block, told, now_ns=now_ns):
                self._partitions.put(terms, packed)
            if packing.is_open:
                self._open[terms.key] = lane
                self._wake()

    def next_due_ns(self) -> int | None:
        """Return when a batch is old enough, by the monotonic clock."""
        due = (packing.due_ns() for _, packing in self._open.values())
        return min((one for one in due if one is not None), default=None)

    def close(self, *, only_old: bool) -> None:
        """Close what is open, or what of it is old enough."""
        now_ns = self._clock.monotonic_ns()
        for key, (terms, packing) in list(self._open.items()):
            due_ns = packing.due_ns()
            if only_old and packing.is_open and (due_ns is None or due_ns > now_ns):
                continue
            del self._open[key]
            for packed in packing.closed():
                self._partitions.put(terms, packed)


def _waits(campaign: Campaign) -> bool:
    return bool(campaign.post_trigger_ms)
