"""The streams of samples that campaigns see: which rows of a block belong to which.

    stream  0 Speed          all its rows               row      0     1     2     3
            1 Speed/100 ms   what is left of them       signal   Speed Gear  Speed Speed
            2 Gear                                      hits     (0,0) (0,1) (1,2) (2,0) (3,0) ...

Rule 1: a thinned-out stream takes a sample when its interval has passed since the last it took, in drive time.
Rule 2: hits stand in the order of the rows.
"""

from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from fairway.campaign.moments import Moments, Positions
from fairway.campaign.plan import Stream


@dataclass(frozen=True, slots=True)
class Hits:
    """Rows and the streams they are part of."""

    row: Positions
    stream: Positions

    def of(self, wanted: NDArray[np.bool_]) -> "Hits":
        """Return the hits of the streams that `wanted` marks."""
        mask = wanted[self.stream]
        return Hits(self.row[mask], self.stream[mask])

    def by_stream(self) -> dict[int, Positions]:
        """Return the rows of each stream, in order."""
        order = np.argsort(self.stream, kind="stable")
        stream, row = self.stream[order], self.row[order]
        begins = np.flatnonzero(np.diff(stream, prepend=-1))
        return dict(zip(stream[begins].tolist(), np.split(row, begins[1:]), strict=False))


class Streams:
    """The streams that are needed now, by number."""

    def __init__(self, signals: int) -> None:
        self._plain = np.full(signals, -1, np.intp)  # signal -> stream of all its samples
        self._thin = np.zeros(signals, np.bool_)
        self._thinned: dict[int, list[int]] = {}  # signal -> streams
        self._interval_ns: dict[int, int] = {}
        self._next_ns: dict[int, int] = {}
        self._numbers: dict[Stream, int] = {}

    def number(self, stream: Stream) -> int:
        """Return the number of a stream."""
        return self._numbers[stream]

    def signals(self) -> dict[int, int]:
        """Return the signal of each stream."""
        return {number: stream.signal for stream, number in self._numbers.items()}

    @property
    def numbers_end(self) -> int:
        """All numbers are less."""
        return max(self._numbers.values(), default=-1) + 1

    def replace(self, streams: Collection[Stream]) -> list[int]:
        """Have these streams; return the numbers of new ones, the others keep theirs and go on."""
        kept = {one: number for one, number in self._numbers.items() if one in streams}
        taken = set(kept.values())
        free = (number for number in count() if number not in taken)
        self._numbers = kept | {one: next(free) for one in streams if one not in kept}
        next_ns, self._next_ns = self._next_ns, {}
        self._plain[:], self._thin[:] = -1, False
        self._thinned, self._interval_ns = {}, {}
        for stream, number in self._numbers.items():
            if not stream.interval_ns:
                self._plain[stream.signal] = number
                continue
            self._thin[stream.signal] = True
            self._thinned.setdefault(stream.signal, []).append(number)
            self._interval_ns[number] = stream.interval_ns
            if stream in kept and number in next_ns:
                self._next_ns[number] = next_ns[number]
        return [number for stream, number in self._numbers.items() if stream not in kept]

    def hits(self, moments: Moments) -> Hits:
        """Return which rows of a block belong to which streams; thinned-out streams go on from there."""
        signal = moments.block.signal
        stream = self._plain[signal]
        row = np.flatnonzero(stream >= 0)
        plain = Hits(row, stream[row])
        if not self._thinned:
            return plain
        taken = self._taken(moments)
        if not taken:
            return plain
        rows = np.concatenate([row, *(np.array(some, np.intp) for _, some in taken)])
        numbers = np.repeat([number for number, _ in taken], [len(some) for _, some in taken])
        streams = np.concatenate([plain.stream, numbers])
        order = np.argsort(rows, kind="stable")
        return Hits(rows[order], streams[order])

    def _taken(self, moments: Moments) -> list[tuple[int, list[int]]]:
        signal = moments.block.signal
        candidates = np.flatnonzero(self._thin[signal])
        if not len(candidates):
            return []
        candidates = candidates[np.argsort(signal[candidates], kind="stable")]
        begins = np.flatnonzero(np.diff(signal[candidates], prepend=-1))
        ends = [*begins[1:].tolist(), len(candidates)]
        taken = []
        for begin, end in zip(begins.tolist(), ends, strict=True):
            rows = candidates[begin:end]
            times = moments.drive_ns[rows].tolist()
            for number in self._thinned[int(signal[rows[0]])]:
                some = self._take(number, times)
                if some:
                    taken.append((number, rows[some].tolist()))
        return taken

    def _take(self, number: int, times: list[int]) -> list[int]:
        interval_ns = self._interval_ns[number]
        at = bisect_left(times, self._next_ns.get(number, times[0]))
        some = []
        while at < len(times):
            some.append(at)
            next_ns = times[at] + interval_ns
            self._next_ns[number] = next_ns
            at = bisect_left(times, next_ns, at)
        return some
