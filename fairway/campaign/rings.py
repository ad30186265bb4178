"""The newest samples of every collected signal, in flat arrays that all campaigns share.

    streams  Speed (all), Speed (every 100 ms), Gear (all)
    ring     base, depth, count  ->  time_ns[base + i % depth], value[base + i % depth] for sample i

Rule 1: a ring is written block-wise, for all signals at once.
Rule 2: a sample has a number: how many its ring had seen before it.  Who collects remembers a number, so each
        campaign gets each sample once, and none from before it was there.
Rule 3: texts are kept once for all rings, and forgotten when no ring needs them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairway.campaign.moments import Positions
from fairway.campaign.plan import Stream
from fairway.samples import Floats, Times

# Time and value of a sample.
SAMPLE_BYTES = 16
# Below this the texts kept are not worth looking through.
TEXTS_MIN = 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """Samples out of rings, one ring after the other, the oldest of each first."""

    time_ns: Times
    value: Floats


class Texts:
    """Texts by number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: list[str] = []

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, number: int) -> str:
        return self._texts[number]

    def number(self, text: str) -> int:
        """Return the number of `text`, a new one for a new text."""
        number = self._numbers.setdefault(text, len(self._texts))
        if number == len(self._texts):
            self._texts.append(text)
        return number

    def keep(self, used: Positions) -> Floats:
        """Forget all but the texts numbered `used` (ascending); return the new number of each old one."""
        renumbered = np.zeros(len(self._texts), np.float64)
        renumbered[used] = np.arange(len(used))
        self._texts = [self._texts[number] for number in used.tolist()]
        self._numbers = {text: number for number, text in enumerate(self._texts)}
        return renumbered


class Rings:
    """A ring for each stream that is collected; `numbers` are theirs."""

    def __init__(self) -> None:
        self.numbers: dict[Stream, int] = {}
        self._base = np.empty(0, np.int64)
        self._depth = np.empty(0, np.int64)
        self._count = np.empty(0, np.int64)
        self._holds_texts = np.empty(0, np.bool_)
        self._time_ns = np.empty(0, np.int64)
        self._value = np.empty(0, np.float64)
        self._texts = Texts()
        self._texts_max = TEXTS_MIN

    def reshape(self, depths: Mapping[Stream, int], texts: frozenset[Stream]) -> None:
        """Have rings of these depths; those that were there keep their newest samples and their numbers."""
        held = {
            stream: self._held(number)
            for stream, number in self.numbers.items()
            if stream in depths
        }
        self.numbers = {key: number for number, key in enumerate(depths)}
        self._depth = np.array(list(depths.values()), np.int64)
        self._base = np.concatenate(([0], np.cumsum(self._depth)[:-1])).astype(np.int64)[
            : len(depths)
        ]
        self._count = np.zeros(len(depths), np.int64)
        self._holds_texts = np.array([key in texts for key in depths], np.bool_)
        self._time_ns = np.zeros(int(self._depth.sum()), np.int64)
        self._value = np.zeros(int(self._depth.sum()), np.float64)
        for stream, (seen, time_ns, value) in held.items():
            ring = self.numbers[stream]
            self._count[ring] = seen - min(len(time_ns), int(self._depth[ring]))
            kept = int(seen - self._count[ring])
            self.write(
                np.full(kept, ring), time_ns[len(time_ns) - kept :], value[len(value) - kept :]
            )

    def counts(self, rings: Positions) -> NDArray[np.int64]:
        """Return how many samples each of `rings` has seen."""
        return self._count[rings]

    def text_numbers(self, texts: tuple[str, ...]) -> Floats:
        """Return the number of each text here, to be written instead of its number in a block."""
        return np.array([self._texts.number(text) for text in texts], np.float64)

    def text(self, number: int) -> str:
        """Return a text by its number here."""
        return self._texts[number]

    def write(self, rings: Positions, time_ns: Times, value: Floats) -> None:
        """Add samples to their rings, in order."""
        if not len(rings):
            return
        order = np.argsort(rings, kind="stable")
        ring = rings[order]
        seen = np.bincount(ring, minlength=len(self._count))
        rank = np.arange(len(ring)) - (np.cumsum(seen) - seen)[ring]
        at = self._base[ring] + (self._count[ring] + rank) % self._depth[ring]
        # Where a ring gets more than it holds, the later assignment stands.
        self._time_ns[at] = time_ns[order]
        self._value[at] = value[order]
        self._count += seen

    def most(self, rings: Positions, most: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `most` as far as each of `rings` holds so many at all."""
        held: NDArray[np.int64] = np.minimum(most, self._depth[rings])
        return held

    def available(
        self, rings: Positions, most: NDArray[np.int64], since: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return how many samples each of `rings` has that are numbered `since` or later, `most` at most."""
        found: NDArray[np.int64] = np.minimum(most, self._count[rings] - since)
        return found

    def newest(
        self, rings: Positions, most: NDArray[np.int64], since: NDArray[np.int64]
    ) -> tuple[Taken, NDArray[np.int64]]:
        """Return the newest samples of each ring that are `available`, and how many that are."""
        wanted = self.available(rings, most, since)
        before = np.cumsum(wanted) - wanted
        number = np.arange(int(wanted.sum())) + np.repeat(
            self._count[rings] - wanted - before, wanted
        )
        at = np.repeat(self._base[rings], wanted) + number % np.repeat(self._depth[rings], wanted)
        return Taken(self._time_ns[at], self._value[at]), wanted

    def _held(self, ring: int) -> tuple[int, Times, Floats]:
        seen, depth = int(self._count[ring]), int(self._depth[ring])
        at = self._base[ring] + np.arange(max(seen - depth, 0), seen) % depth
        return seen, self._time_ns[at], self._value[at]

    def forget_texts(self) -> None:
        """Forget texts that no ring holds, once there are many; numbers given for a block end with it."""
        if len(self._texts) <= self._texts_max:
            return
        rings = np.flatnonzero(self._holds_texts)
        held = np.minimum(self._count[rings], self._depth[rings])
        which = np.repeat(np.arange(len(rings)), held)
        rank = np.arange(len(which)) - np.repeat(np.cumsum(held) - held, held)
        at = self._base[rings[which]] + rank
        used = np.unique(self._value[at].astype(np.intp))
        self._value[at] = self._texts.keep(used)[self._value[at].astype(np.intp)]
        # Twice what is needed now: looking through costs as little as it is rare.
        self._texts_max = max(TEXTS_MIN, 2 * len(self._texts))
