"""Which batches of a stream are stored, in a few numbers, and how a batch stands that somebody wants to store.

    1 ........ floor ........ watermark ... [7010-7200] ... [7450-7450] ...
    forgotten:  ask the store |  all stored  |    stored ranges above, gaps between

Rule 1: a vehicle sends in order, so nearly every stream is one number, the watermark, and one range at most.
Rule 2: gaps stay as ranges while there are few.  A stream that leaves more than RANGES_MAX of them forgets the
lowest: below the floor nothing is certain any more, and the store is asked instead.
Rule 3: a claim is believed while its owner may still be inserting, and is doubtful after.  For how long it has
stood, each process measures itself (watch.py): no clock that somebody sets takes part.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fleet_cloud.ingest.records import BatchKey, Claimant, Standing

# A gap is left when a spool drops its oldest after a long outage: a handful in the life of a vehicle.
# 256 ranges are at most 10 kB in a row of the registry.
RANGES_MAX = 256


@dataclass(frozen=True, slots=True)
class Stream:
    """The stored sequences of one stream."""

    watermark: int = 0  # every sequence up to here is stored, but for those up to `floor`
    above: tuple[
        tuple[int, int], ...
    ] = ()  # stored ranges above it, ends included, in order, apart
    floor: int = 0  # up to here gaps have been forgotten

    def holds(self, sequence: int) -> bool:
        """Whether `sequence` is certainly stored."""
        if sequence <= self.floor:
            return False
        if sequence <= self.watermark:
            return True
        return any(first <= sequence <= last for first, last in self.above)

    def lacks(self, sequence: int) -> bool:
        """Whether `sequence` is certainly not stored."""
        return sequence > self.floor and not self.holds(sequence)

    def with_stored(self, sequences: Iterable[int]) -> "Stream":
        """Return the stream after `sequences` were stored too."""
        ranges = sorted([*self.above, *((sequence, sequence) for sequence in sequences)])
        watermark, floor = self.watermark, self.floor
        merged: list[tuple[int, int]] = []
        for first, last in ranges:
            if first <= watermark + 1:
                watermark = max(watermark, last)
            elif merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        forgotten = merged[: max(0, len(merged) - RANGES_MAX)]
        if forgotten:
            watermark = floor = forgotten[-1][1]
        return Stream(watermark, tuple(merged[len(forgotten) :]), floor)


def ranges_to_text(ranges: Iterable[tuple[int, int]]) -> str:
    """Return ranges as people write them: `7010-7200,7450-7450`."""
    return ",".join(f"{first}-{last}" for first, last in ranges)


def ranges_from_text(text: str) -> tuple[tuple[int, int], ...]:
    """Return the ranges that `ranges_to_text` wrote."""
    pairs = (part.split("-") for part in text.split(",") if part)
    return tuple((int(first), int(last)) for first, last in pairs)


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody's word that they are storing a batch."""

    owner: str
    time_ns: int


def standing(
    stream: Stream, key: BatchKey, *, earlier: Claim | None, claimant: Claimant
) -> Standing:
    """Say how a batch stands for `claimant`, given the claim found on it (None: there was none).

    DOUBTFUL with an `earlier` claim means: take that claim over, if nobody else was quicker.
    """
    sequence = key.name.sequence
    is_stored = stream.holds(sequence)
    if is_stored or earlier is None:
        claimant.watch.forget(key)
        if is_stored:
            return Standing.STORED
        return Standing.DOUBTFUL if sequence <= stream.floor else Standing.MINE
    believed_ns = claimant.grace_ns if earlier.owner == claimant.owner else claimant.lease_ns
    stood_ns = claimant.watch.stood_ns(key, earlier, claimant.now_ns)
    return Standing.DOUBTFUL if stood_ns >= believed_ns else Standing.HELD
