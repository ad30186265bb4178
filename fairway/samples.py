"""The sample block: the unit in which signal values move, from the bus to storage (law 4).

A block is a handful of equally long NumPy columns over a table of signals:

    row   signal (int32)   time_ns (int64)   value (float64)
     0    17               1700...000        13.25            table[17] is NUMBER Vehicle.Speed, km/h
     1    40               1700...000        2.0              table[40] is TEXT; texts[2] is "REVERSE"
     2    41               1700...000        1.0              table[41] is BOOL

Rule 1: rows stand in the order the frames arrived in; time is not made monotone.
Rule 2: every value is a float64: integers are exact to 2**53, BOOL is 0 or 1, TEXT is an index into `texts`.
Rule 3: the table (fairway/signals.py) is shared by the blocks of one source.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairway.errors import BadInput
from fairway.signals import Kind, Signal, SignalTable

__all__ = [
    "Floats",
    "Ints",
    "Kind",
    "SampleBlock",
    "Signal",
    "SignalTable",
    "Times",
    "empty_block",
    "joined",
]

Ints = NDArray[np.int32]
Times = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SampleBlock:
    """Samples as columns: `signal` int32[n], `time_ns` int64[n], `value` float64[n]."""

    table: SignalTable
    signal: Ints
    time_ns: Times
    value: Floats
    texts: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.signal)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "SampleBlock":
        """Return the block of the rows chosen by a mask or by positions, in that order."""
        return SampleBlock(
            self.table, self.signal[rows], self.time_ns[rows], self.value[rows], self.texts
        )

    def copy(self) -> "SampleBlock":
        """Return the same block with columns of its own, where these may be pieces of larger ones."""
        return SampleBlock(
            self.table, self.signal.copy(), self.time_ns.copy(), self.value.copy(), self.texts
        )

    def rows(self) -> Iterator[tuple[str, int, float | bool | str]]:
        """Yield (name, time_ns, value) for people and tests; never for the hot path."""
        for signal, time_ns, value in zip(
            self.signal.tolist(), self.time_ns.tolist(), self.value.tolist(), strict=True
        ):
            entry = self.table[signal]
            if entry.kind is Kind.TEXT:
                yield entry.name, time_ns, self.texts[int(value)]
            elif entry.kind is Kind.BOOL:
                yield entry.name, time_ns, value != 0.0
            else:
                yield entry.name, time_ns, value


def empty_block(table: SignalTable) -> SampleBlock:
    """Return a block of no samples over `table`."""
    return SampleBlock(table, np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float64))


def joined(blocks: list[SampleBlock]) -> SampleBlock:
    """Return the blocks one after the other; they must share one table.  Raises BadInput for no block."""
    if not blocks:
        raise BadInput("nothing to join: give at least one block")
    if len(blocks) == 1:
        return blocks[0]
    table = blocks[0].table
    texts: dict[str, int] = {}
    values = []
    for block in blocks:
        if block.table is not table:
            raise BadInput("blocks of different signal tables cannot be joined")
        values.append(_retexted(block, texts) if block.texts else block.value)
    return SampleBlock(
        table,
        np.concatenate([block.signal for block in blocks]),
        np.concatenate([block.time_ns for block in blocks]),
        np.concatenate(values),
        tuple(texts),
    )


def _retexted(block: SampleBlock, texts: dict[str, int]) -> Floats:
    number = np.array([texts.setdefault(text, len(texts)) for text in block.texts], np.float64)
    text_signals = np.array([signal.kind is Kind.TEXT for signal in block.table], np.bool_)
    is_text = text_signals[block.signal]
    value = block.value.copy()
    value[is_text] = number[value[is_text].astype(np.intp)]
    return value
