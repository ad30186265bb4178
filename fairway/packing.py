"""Events become batches: one for each event, or several together where a campaign asks for it.

    event, event ... -> Packing -> Packed -> requests(...) -> bytes     in the vehicle, and in a dry run alike

Rule 1: all samples of a Packed are of one campaign and one partition; its events stand one after the other.
Rule 2: a Packed is closed when it has as many samples as asked for, or when its first event is old enough;
        without either, with every event.
Rule 3: what is too many bytes once encoded is cut in halves until it fits; an event that is cut goes on in the
        next batch under the same id, and its trouble codes go with its first part.
"""

from dataclasses import dataclass, replace

from fairway.campaign.model import Campaign
from fairway.campaign.parts import CampaignEvent, CampaignPart
from fairway.clock import NS_PER_MS
from fairway.ids import BatchName
from fairway.samples import SampleBlock, joined
from fairway.telemetry import Batch
from fairway.wire.telemetry import batch_to_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Samples of some events, ready to become a batch."""

    block: SampleBlock
    part: CampaignPart


class Packing:
    """Collects the events of one campaign's partition until they are a batch."""

    def __init__(self, sync_id: str, partition: str, campaign: Campaign) -> None:
        extensions = campaign.extensions
        self._head = CampaignPart(sync_id, partition)
        self._max_samples = extensions.batch_max_samples if extensions else None
        max_age_ms = extensions.batch_max_age_ms if extensions else None
        self._max_age_ns = None if max_age_ms is None else max_age_ms * NS_PER_MS
        self._open: list[tuple[SampleBlock, CampaignEvent]] = []
        self._samples = 0
        self._due_ns: int | None = None

    def add(self, block: SampleBlock, event: CampaignEvent, *, now_ns: int) -> list[Packed]:
        """Take an event whose samples are `block`, and return what is complete; `now_ns` is monotonic."""
        if event.samples != len(block):
            event = replace(event, samples=len(block))
        if self._max_samples is None and self._max_age_ns is None:
            head = self._head
            return [Packed(block, CampaignPart(head.sync_id, head.partition, (event,)))]
        self._open.append((block, event))
        self._samples += len(block)
        if self._due_ns is None and self._max_age_ns is not None:
            self._due_ns = now_ns + self._max_age_ns
        if self._max_samples is not None and self._samples >= self._max_samples:
            return self.closed()
        # It may wait for hours: it must not keep alive what was collected beside it.
        self._open[-1] = (block.copy(), event)
        return []

    @property
    def is_open(self) -> bool:
        """Whether something waits for more."""
        return bool(self._open)

    def due_ns(self) -> int | None:
        """Return when the open batch is to be closed by its age; None: not by age, or there is none."""
        return self._due_ns

    def closed(self) -> list[Packed]:
        """Close the open batch, if there is one, and return it."""
        if not self._open:
            return []
        block = joined([one for one, _ in self._open])
        packed = Packed(block, replace(self._head, events=tuple(event for _, event in self._open)))
        self._open, self._samples, self._due_ns = [], 0, None
        return [packed]


def requests(
    packed: Packed, name: BatchName, *, dictionary_id: bytes, created_time_ns: int, max_bytes: int
) -> list[tuple[Batch, bytes]]:
    """Return `packed` as batches numbered from `name` on, each with its request of `max_bytes` at most.

    A batch of a single sample is returned however large it is.
    """
    batch = Batch(name, dictionary_id, packed.block, created_time_ns, packed.part)
    request = batch_to_bytes(batch)
    if len(request) <= max_bytes or len(packed.block) < 2:
        return [(batch, request)]
    first, second = _halves(packed)
    found: list[tuple[Batch, bytes]] = []
    for half in (first, second):
        found += requests(
            half,
            replace(name, sequence=name.sequence + len(found)),
            dictionary_id=dictionary_id,
            created_time_ns=created_time_ns,
            max_bytes=max_bytes,
        )
    return found


def _halves(packed: Packed) -> tuple[Packed, Packed]:
    block, middle = packed.block, len(packed.block) // 2
    left: list[CampaignEvent] = []
    right: list[CampaignEvent] = []
    before = 0
    for event in packed.part.events:
        here = max(0, min(event.samples, middle - before))
        if here or (event.samples == 0 and before < middle):
            left.append(replace(event, samples=here))
        if here < event.samples:
            begins_here = here == 0
            right.append(
                replace(
                    event,
                    samples=event.samples - here,
                    dtcs=event.dtcs if begins_here else (),
                    dtcs_missing=event.dtcs_missing if begins_here else "",
                )
            )
        elif event.samples == 0 and before >= middle:
            right.append(event)
        before += event.samples
    return (
        Packed(_slice(block, 0, middle), replace(packed.part, events=tuple(left))),
        Packed(_slice(block, middle, len(block)), replace(packed.part, events=tuple(right))),
    )


def _slice(block: SampleBlock, start: int, end: int) -> SampleBlock:
    return SampleBlock(
        block.table,
        block.signal[start:end],
        block.time_ns[start:end],
        block.value[start:end],
        block.texts,
    )
