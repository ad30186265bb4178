"""What campaigns collect: the newest samples of rings, for all campaigns of one moment in one pass.

    campaign     0           1     2        collections of one moment: 0 and 2
    partition    "" "log"    ""    ""         newest samples of the rings a b c . d e, then cut:
    ring         a  b  c     c     d e        Event 0 {"": a, "log": b c}, Event 2 {"": d e}

Rule 1: of each signal the newest samples, as many as the campaign says, from before the trigger too; each
        sample once per campaign.
Rule 2: an event without a sample is none, unless the campaign wants trouble codes with it.
Rule 3: the samples of a part stand in the order of their stamps; of one stamp, in the order of the signals.
Rule 4: the blocks of one moment are pieces of the same columns: whoever keeps one for long keeps its own copy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fairway.campaign.events import Event, EventIds
from fairway.campaign.moments import Positions
from fairway.campaign.plan import Plan
from fairway.campaign.rings import Rings
from fairway.campaign.runner import Collection
from fairway.samples import Floats, Ints, Kind, SampleBlock, SignalTable, Times

Counts = NDArray[np.int64]

# Above this, part and time do not fit into one number of 64 bits.
KEY_MAX = 1 << 62


@dataclass(frozen=True, slots=True)
class Hold:
    """What one campaign collects, and where that stands among all."""

    plan: Plan
    first: int  # of its signals, among those of all campaigns
    end: int
    parts: tuple[tuple[str, int], ...]  # partitions, and their numbers among those of all campaigns
    has_texts: bool

    @property
    def names(self) -> list[str]:
        """Its signals, in order."""
        return [one.name for one in self.plan.collected]


@dataclass(frozen=True, slots=True)
class _Cut:
    """Samples of one moment, part after part; part p has those from begin[p] on."""

    begin: list[int]
    signal: Ints
    time_ns: Times
    value: Floats


class Cargoes:
    """What all campaigns collect, and what of it was sent."""

    def __init__(self, table: SignalTable) -> None:
        self._table = table
        self._is_text = np.array([signal.kind is Kind.TEXT for signal in table], np.bool_)
        self._holds: list[Hold] = []
        self._ring = np.empty(0, np.intp)
        self._signal = np.empty(0, np.int32)
        self._part = np.empty(0, np.intp)
        self._parts = 0
        self._most = np.empty(0, np.int64)
        self._since = np.empty(0, np.int64)

    def replace(self, plans: Sequence[Plan], rings: Rings, numbers: Sequence[int]) -> None:
        """Collect for these campaigns, from the rings `numbers`: one for each signal of each, in order.

        Who was there goes on; what the rings hold already is not for a campaign that is new.
        """
        since = {one.plan.sync_id: self._since[one.first : one.end].copy() for one in self._holds}
        collected = [one for plan in plans for one in plan.collected]
        self._ring = np.array(numbers, np.intp)
        self._signal = np.array([one.signal for one in collected], np.int32)
        self._most = rings.most(
            self._ring, np.array([one.max_samples for one in collected], np.int64)
        )
        self._since = rings.counts(self._ring)
        self._holds, part, first = [], [], 0
        self._parts = 0
        for plan in plans:
            names = sorted({one.partition for one in plan.collected})
            mine = {name: self._parts + number for number, name in enumerate(names)}
            part += [mine[one.partition] for one in plan.collected]
            end = first + len(plan.collected)
            has_texts = bool(self._is_text[self._signal[first:end]].any())
            if plan.sync_id in since:
                self._since[first:end] = since[plan.sync_id]
            self._holds.append(Hold(plan, first, end, tuple(mine.items()), has_texts))
            self._parts += len(names)
            first = end
        self._part = np.array(part, np.intp)

    def waiting(self, order: int, rings: Rings) -> dict[str, int]:
        """Return how many samples of each signal a campaign would collect now."""
        hold = self._holds[order]
        at = slice(hold.first, hold.end)
        counts = rings.available(self._ring[at], self._most[at], self._since[at])
        return dict(zip(hold.names, counts.tolist(), strict=True))

    def collect(
        self, rings: Rings, collections: Sequence[Collection], ids: EventIds
    ) -> list[Event]:
        """Return the events of one moment, at most one of each campaign; what is in them counts as sent."""
        cut = self._cut(rings, [self._holds[one.order] for one in collections])
        begin, table, events = cut.begin, self._table, []
        for one in collections:
            hold, id_, parts = self._holds[one.order], ids.next(one.now.wall_ns), {}
            for name, part in hold.parts:
                first, end = begin[part], begin[part + 1]
                if first < end:
                    parts[name] = SampleBlock(
                        table, cut.signal[first:end], cut.time_ns[first:end], cut.value[first:end]
                    )
            if hold.has_texts:
                parts = {name: self._with_texts(rings, block) for name, block in parts.items()}
            if one.texts:
                parts = self._with_said(hold, parts, one.texts)
            wants_dtcs = hold.plan.campaign.sends_dtcs
            if parts or wants_dtcs:
                events.append(Event(hold.plan.sync_id, id_, one.trigger_ns, parts, wants_dtcs))
        return events

    def _cut(self, rings: Rings, holds: Sequence[Hold]) -> _Cut:
        """Return what has not been sent of some campaigns, and count it as sent."""
        at = _positions(holds)
        ring = self._ring[at]
        part = self._part[at]
        taken, wanted = rings.newest(ring, self._most[at], self._since[at])
        self._since[at] = rings.counts(ring)
        samples = np.bincount(part, wanted, self._parts).astype(np.intp)
        begin = [0, *np.cumsum(samples).tolist()]
        order = _order(np.repeat(part, wanted), taken.time_ns)
        signal = np.repeat(self._signal[at], wanted)
        return _Cut(begin, signal[order], taken.time_ns[order], taken.value[order])

    def _with_texts(self, rings: Rings, block: SampleBlock) -> SampleBlock:
        """Return a block that has texts of its own instead of numbers of those of the rings."""
        is_text = self._is_text[block.signal]
        if not is_text.any():
            return block
        value = block.value.copy()
        numbers, own = np.unique(value[is_text].astype(np.intp), return_inverse=True)
        value[is_text] = own
        texts = tuple(rings.text(number) for number in numbers.tolist())
        return SampleBlock(self._table, block.signal, block.time_ns, value, texts)

    def _with_said(
        self,
        hold: Hold,
        parts: Mapping[str, SampleBlock],
        said: Sequence[tuple[str, int, str]],
    ) -> dict[str, SampleBlock]:
        """Return the parts of a campaign with what its custom functions said, where it collects that."""
        extra: dict[str, list[tuple[int, int, str]]] = {}
        collected = {one.name: one for one in hold.plan.collected}
        for name, time_ns, text in said:
            one = collected.get(name)
            if one and (self._is_text[one.signal] or number_of(text) is not None):
                extra.setdefault(one.partition, []).append((one.signal, time_ns, text))
        names = [name for name, _ in hold.parts if name in parts or name in extra]
        return {name: self._joined(parts.get(name), extra.get(name, [])) for name in names}

    def _joined(
        self, block: SampleBlock | None, extra: Sequence[tuple[int, int, str]]
    ) -> SampleBlock:
        if block is not None and not extra:
            return block
        known = {} if block is None else {text: number for number, text in enumerate(block.texts)}
        added = [
            known.setdefault(text, len(known)) if self._is_text[signal] else number_of(text)
            for signal, _, text in extra
        ]
        signal = np.array([one[0] for one in extra], np.int32)
        times = np.array([one[1] for one in extra], np.int64)
        value = np.array(added, np.float64)
        if block is not None:
            signal = np.concatenate([block.signal, signal])
            times = np.concatenate([block.time_ns, times])
            value = np.concatenate([block.value, value])
        order = np.argsort(times, kind="stable")
        return SampleBlock(self._table, signal[order], times[order], value[order], tuple(known))


def number_of(text: str) -> float | None:
    """Return what a custom function said for a signal of numbers, or of truths; None when it is neither."""
    if text in ("true", "false"):
        return float(text == "true")
    try:
        return float(text)
    except ValueError:
        return None


def _positions(holds: Sequence[Hold]) -> Positions | slice:
    """Return where the signals of some campaigns stand: a slice where nothing is between them."""
    if all(before.end == after.first for before, after in pairwise(holds)):
        return slice(holds[0].first, holds[-1].end)
    return np.concatenate([np.arange(one.first, one.end) for one in holds])


def _order(part: Positions, time_ns: Times) -> Positions:
    """Return the order by part, and by time in each."""
    if not len(part):
        return part
    first_ns, last_ns = int(time_ns.min()), int(time_ns.max())
    span_ns = last_ns - first_ns + 1
    if span_ns * (int(part.max()) + 1) > KEY_MAX:
        return np.lexsort((time_ns, part))
    return np.argsort(part * span_ns + (time_ns - first_ns), kind="stable")
