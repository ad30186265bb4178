"""Events of a campaign become batches: one each, or several together where the campaign says so.

    event, event, event ... -> pieces (samples, and whose they are) -> sealed(...) -> SpooledBatches

Rule 1: samples stay in order, and an event's stay together: it goes on in the next batch when one is too small.
Rule 2: a batch is closed when it is full, when its first event has waited long enough, or when the agent stops.
Rule 3: a piece that is too many bytes once encoded is cut in halves until it fits; every part of an event has
        its id, and the first one its trouble codes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from edge_agent.telemetry.spool import Cursor, SpooledBatch
from fairway.ids import BatchName
from fairway.samples import SampleBlock, joined
from fairway.telemetry import Batch, CampaignEvent, CampaignPart
from fairway.wire.telemetry import batch_to_bytes

# An event without samples costs a few bytes only: a batch of them is closed by their count.
EVENTS_MAX = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Samples, and the events they are of: `events` count them, one after the other."""

    block: SampleBlock
    events: tuple[CampaignEvent, ...]


class EventBatching:
    """Collects events of one partition until they are a batch."""

    def __init__(self, *, max_samples: int, max_age_ns: int) -> None:
        """Without an age every event is a batch."""
        self._max_samples, self._max_age_ns = max_samples, max_age_ns
        self._open: list[Piece] = []
        self._samples = 0
        self._due_ns: int | None = None

    def add(self, piece: Piece, *, now_ns: int) -> list[Piece]:
        """Take an event and return the batches that are closed by it; `now_ns` is monotonic."""
        if not self._max_age_ns:
            return list(_cut(piece, self._max_samples))
        if self._due_ns is None:
            self._due_ns = now_ns + self._max_age_ns
        self._open.append(piece)
        self._samples += len(piece.block)
        if self._samples < self._max_samples and len(self._open) < EVENTS_MAX:
            return []
        closed = self.closed()
        return [] if closed is None else list(_cut(closed, self._max_samples))

    def due_ns(self) -> int | None:
        """Return when the open batch is to be closed by its age, None when there is none."""
        return self._due_ns

    def closed(self) -> Piece | None:
        """Close the open batch, if there is one, and return it."""
        if not self._open:
            return None
        whole = Piece(
            joined([piece.block for piece in self._open]),
            tuple(event for piece in self._open for event in piece.events),
        )
        self._open, self._samples, self._due_ns = [], 0, None
        return whole


def halves(piece: Piece, first_samples: int) -> tuple[Piece, Piece]:
    """Cut a piece; the event that is cut goes on in the second half under its id."""
    first: list[CampaignEvent] = []
    second: list[CampaignEvent] = []
    left = first_samples
    for event in piece.events:
        if event.samples <= left and not second:
            first.append(event)
            left -= event.samples
        elif left and not second:
            first.append(replace(event, samples=left))
            rest = replace(event, samples=event.samples - left, dtcs=(), dtcs_missing="")
            second.append(rest)
            left = 0
        else:
            second.append(event)
    block = piece.block
    return (
        Piece(_rows(block, 0, first_samples), tuple(first)),
        Piece(_rows(block, first_samples, len(block)), tuple(second)),
    )


def _cut(piece: Piece, size: int) -> Iterator[Piece]:
    while len(piece.block) > size:
        first, piece = halves(piece, size)
        yield first
    yield piece


def _rows(block: SampleBlock, start: int, end: int) -> SampleBlock:
    return SampleBlock(
        block.table,
        block.signal[start:end],
        block.time_ns[start:end],
        block.value[start:end],
        block.texts,
    )


@dataclass(frozen=True, slots=True)
class EventSealing:
    """What all batches of a partition have in common."""

    vehicle: str
    stream: str
    dictionary_id: bytes
    max_bytes: int
    campaign: str
    partition: str

    def sealed(self, piece: Piece, *, sequence: int, now_ns: int) -> list[SpooledBatch]:
        """Return `piece` as one batch, or as several when it is too large; `now_ns` is the wall clock."""
        name = BatchName(self.vehicle, self.stream, sequence)
        part = CampaignPart(self.campaign, self.partition, piece.events)
        request = batch_to_bytes(Batch(name, self.dictionary_id, piece.block, now_ns, part))
        if len(request) > self.max_bytes and len(piece.block) > 1:
            batches: list[SpooledBatch] = []
            for half in halves(piece, len(piece.block) // 2):
                batches += self.sealed(half, sequence=sequence + len(batches), now_ns=now_ns)
            return batches
        samples = len(piece.block)
        return [SpooledBatch(sequence, self.dictionary_id, samples, now_ns, Cursor(), request)]
