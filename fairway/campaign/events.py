"""Events: what a campaign collected when it triggered, in one block for each partition.

    rings + who collects what  >  newest samples not sent yet  >  Event(parts={"": block, "critical": block})

Rule 1: of each signal the newest samples, as many as the campaign says, from before the trigger too; each
        sample once per campaign.
Rule 2: an event without a sample is none, unless the campaign wants trouble codes with it.
Rule 3: the samples of a part stand in the order of their stamps; of one stamp, in the order of the signals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairway.campaign.plan import MS, Plan
from fairway.campaign.rings import Rings, Taken
from fairway.campaign.runner import Collection
from fairway.samples import Kind, SampleBlock, SignalTable

EVENT_ID_MAX = 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class Event:
    """One trigger of one campaign, and what was collected for it."""

    campaign: str  # sync id
    id: int
    time_ns: int  # of the trigger, wall clock
    parts: Mapping[str, SampleBlock]  # by partition; "" is what belongs to none
    wants_dtcs: bool


class EventIds:
    """Numbers events as FleetWise's agent does: an 8-bit counter, and the time in ms above it, in 31 bits."""

    def __init__(self) -> None:
        self._count = 0

    def next(self, wall_ns: int) -> int:
        """Return the id of an event that is collected now."""
        self._count = (self._count + 1) & 0xFF
        return (self._count | (wall_ns // MS) << 8) & EVENT_ID_MAX


class Cargo:
    """What one campaign collects, and what of it was sent."""

    def __init__(self, plan: Plan, table: SignalTable) -> None:
        self.plan = plan
        self._table = table
        self._names = [one.name for one in plan.collected]
        self._signal = np.array([one.signal for one in plan.collected], np.int32)
        self._most = np.array([one.max_samples for one in plan.collected], np.int64)
        self._partitions = sorted({one.partition for one in plan.collected})
        partition = [self._partitions.index(one.partition) for one in plan.collected]
        self._partition = np.array(partition, np.intp)
        kinds = [table[one.signal].kind for one in plan.collected]
        self._is_text = np.array([kind is Kind.TEXT for kind in kinds], np.bool_)
        self._has_texts = bool(self._is_text.any())
        self._rings = np.empty(0, np.intp)
        self._since: NDArray[np.int64] | None = None

    def attach(self, rings: Rings, numbers: Sequence[int]) -> None:
        """Collect from these rings from now on; what they hold already is not for a campaign that is new."""
        self._rings = np.array(numbers, np.intp)
        if self._since is None:
            self._since = rings.counts(self._rings)

    def waiting(self, rings: Rings) -> dict[str, int]:
        """Return how many samples of each signal would be collected now."""
        assert self._since is not None
        return dict(
            zip(self._names, rings.available(self._rings, self._most, self._since), strict=True)
        )

    def collect(self, rings: Rings, collection: Collection) -> dict[str, SampleBlock]:
        """Return what has not been sent, by partition; it counts as sent then."""
        assert self._since is not None
        taken = rings.newest(self._rings, self._most, self._since)
        self._since = rings.counts(self._rings)
        said = [
            (which, time_ns, text)
            for name, time_ns, text in collection.texts
            if name in self._names
            and (self._is_text[which := self._names.index(name)] or number_of(text) is not None)
        ]
        if not said and len(self._partitions) == 1:  # nearly always: it is asked for at every event
            whole = self._block(rings, taken, [])
            return {self._partitions[0]: whole} if len(whole) else {}
        parts = {}
        for number, partition in enumerate(self._partitions):
            mine = self._partition[taken.which] == number
            extra = [one for one in said if self._partition[one[0]] == number]
            if extra or mine.any():
                some = Taken(taken.which[mine], taken.time_ns[mine], taken.value[mine])
                parts[partition] = self._block(rings, some, extra)
        return parts

    def _block(self, rings: Rings, taken: Taken, extra: list[tuple[int, int, str]]) -> SampleBlock:
        which, times, value = taken.which, taken.time_ns, taken.value
        texts: list[str] = []
        if self._has_texts:
            value, texts = self._values(rings, self._is_text[which], value)
        known = {text: number for number, text in enumerate(texts)}
        if extra:
            added = [
                known.setdefault(text, len(known)) if self._is_text[one] else number_of(text)
                for one, _, text in extra
            ]
            which = np.concatenate([which, np.array([one[0] for one in extra], np.intp)])
            times = np.concatenate([times, np.array([one[1] for one in extra], np.int64)])
            value = np.concatenate([value, np.array(added, np.float64)])
        order = np.argsort(times, kind="stable")
        signal = self._signal[which[order]]
        return SampleBlock(self._table, signal, times[order], value[order], tuple(known))

    def _values(
        self, rings: Rings, is_text: NDArray[np.bool_], value: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], list[str]]:
        if not is_text.any():
            return value, []
        numbers, own = np.unique(value[is_text].astype(np.intp), return_inverse=True)
        value[is_text] = own
        return value, [rings.text(number) for number in numbers.tolist()]


def number_of(text: str) -> float | None:
    """Return what a custom function said for a signal of numbers, or of truths; None when it is neither."""
    if text in ("true", "false"):
        return float(text == "true")
    try:
        return float(text)
    except ValueError:
        return None


def event_of(cargo: Cargo, rings: Rings, collection: Collection, ids: EventIds) -> Event | None:
    """Return what a campaign collects now; None when that is nothing."""
    id_ = ids.next(collection.now.wall_ns)
    parts = cargo.collect(rings, collection)
    wants_dtcs = cargo.plan.campaign.sends_dtcs
    if not parts and not wants_dtcs:
        return None
    return Event(cargo.plan.sync_id, id_, collection.trigger_ns, parts, wants_dtcs)
