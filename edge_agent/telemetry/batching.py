"""Samples become batches: by count, by age, and never larger than what the way to the cloud takes.

    add, add, add ... -> closed blocks -> sealed(...) -> SpooledBatches

Rule 1: samples stay in order; a batch is closed when it is full, when its first sample has waited long enough,
        or when the agent stops.
Rule 2: a block that is too many bytes once encoded is cut in halves until it fits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.telemetry.spool import Cursor, SpooledBatch
from fairway.ids import BatchName
from fairway.samples import SampleBlock, joined
from fairway.telemetry import Batch
from fairway.wire.telemetry import batch_to_bytes


class Batching:
    """Collects samples until they are a batch."""

    def __init__(self, *, max_samples: int, max_age_ns: int) -> None:
        self._max_samples, self._max_age_ns = max_samples, max_age_ns
        self._open: list[SampleBlock] = []
        self._samples = 0
        self._due_ns: int | None = None

    def add(self, block: SampleBlock, *, now_ns: int) -> list[SampleBlock]:
        """Take samples and return the batches they fill; `now_ns` is monotonic."""
        if not len(block):
            return []
        if self._due_ns is None:
            self._due_ns = now_ns + self._max_age_ns
        self._open.append(block)
        self._samples += len(block)
        if self._samples < self._max_samples:
            return []
        whole = joined(self._open)
        full = self._samples - self._samples % self._max_samples
        pieces = list(_pieces(whole, self._max_samples))
        self._open, self._samples = (
            ([pieces.pop()] if full < self._samples else []),
            self._samples - full,
        )
        self._due_ns = now_ns + self._max_age_ns if self._open else None
        return pieces

    def due_ns(self) -> int | None:
        """Return when the open batch is to be closed by its age, None when there is none."""
        return self._due_ns

    def closed(self) -> SampleBlock | None:
        """Close the open batch, if there is one, and return it."""
        if not self._open:
            return None
        whole = joined(self._open)
        self._open, self._samples, self._due_ns = [], 0, None
        return whole


def _pieces(block: SampleBlock, size: int) -> Iterator[SampleBlock]:
    for start in range(0, len(block), size):
        yield _slice(block, start, min(start + size, len(block)))


def _slice(block: SampleBlock, start: int, end: int) -> SampleBlock:
    return SampleBlock(
        block.table,
        block.signal[start:end],
        block.time_ns[start:end],
        block.value[start:end],
        block.texts,
    )


def rest(block: SampleBlock, start: int) -> SampleBlock:
    """Return the samples of `block` from row `start` on."""
    return _slice(block, start, len(block))


@dataclass(frozen=True, slots=True)
class Sealing:
    """What all batches of a run have in common."""

    vehicle: str
    stream: str
    dictionary_id: bytes
    max_bytes: int
    replay: bytes = bytes(8)

    def sealed(
        self, block: SampleBlock, *, sequence: int, samples_before: int, now_ns: int
    ) -> list[SpooledBatch]:
        """Return `block` as one batch, or as several when it is too large; numbered from `sequence`.

        `samples_before` counts the samples of all batches before; `now_ns` is the wall clock.
        """
        name = BatchName(self.vehicle, self.stream, sequence)
        request = batch_to_bytes(Batch(name, self.dictionary_id, block, now_ns))
        if len(request) > self.max_bytes and len(block) > 1:
            middle = len(block) // 2
            first = self.sealed(
                _slice(block, 0, middle),
                sequence=sequence,
                samples_before=samples_before,
                now_ns=now_ns,
            )
            return first + self.sealed(
                rest(block, middle),
                sequence=sequence + len(first),
                samples_before=samples_before + middle,
                now_ns=now_ns,
            )
        cursor = Cursor(self.replay, samples_before + len(block))
        return [SpooledBatch(sequence, self.dictionary_id, len(block), now_ns, cursor, request)]
