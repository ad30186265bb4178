"""Raw numbers become columns: the vectorised second half of the Python interpreter.

Rule 1: a block at a time; only signals of more than 64 bits are looked at one by one.
"""

import struct
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus import plan_table
from edge_agent.canbus.generated_bytes import ANY_FLOAT, bits_in, nearest, ops_of, signed

# A 64-bit integer times this is still far from the largest float.
TAME_MAX = 1e100

# struct compiles a format once for each size, and keeps a hundred: sizes are rounded up.
PACKED_ROWS = 64

_QUARTER = bytes(size // 4 for size in range(256))

Columns = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64], NDArray[np.int32]]

# What of an op's kind says how its raw bits are to be read.
_KIND_OF_NUMBER = np.uint8(plan_table.UNSIGNED_64 | ANY_FLOAT | plan_table.WIDE)

_SPECIAL: tuple[tuple[int, type[np.unsignedinteger[Any]], type[np.generic]], ...] = (
    (plan_table.UNSIGNED_64, np.uint64, np.uint64),
    (plan_table.FLOAT_16, np.uint16, np.float16),
    (plan_table.FLOAT_32, np.uint32, np.float32),
    (plan_table.FLOAT_64, np.uint64, np.float64),
)


def _packed(raws: list[int]) -> NDArray[np.int64]:
    """Return a list of numbers as a column: struct is twice as quick at it as NumPy."""
    rows = len(raws)
    raws.extend(repeat(0, -rows % PACKED_ROWS))
    return np.frombuffer(struct.pack(f"{len(raws)}q", *raws), np.int64, rows)


def _widths(numbers: list[bytes]) -> NDArray[np.integer[Any]]:
    """Return how many signal numbers each of the packed texts holds."""
    try:
        return np.frombuffer(bytes(map(len, numbers)).translate(_QUARTER), np.uint8)
    except ValueError:  # some message has more than 63 signals
        return np.fromiter(map(len, numbers), np.uint32, len(numbers)) >> 2


class Conversion:
    """Raw numbers to physical values, a block at a time."""

    def __init__(self, table: plan_table.Table, signals: int) -> None:
        self._scale = np.ones(signals)
        self._offset = np.zeros(signals)
        self._kind = np.zeros(signals, np.uint8)
        self._op = np.zeros(signals, np.intp)
        number = table.ops["signal"]
        self._scale[number] = table.ops["scale"]
        self._offset[number] = table.ops["offset"]
        self._kind[number] = table.ops["kind"] & _KIND_OF_NUMBER
        self._op[number] = np.arange(len(table.ops))
        self._table = table
        self._count = np.arange(0, dtype=np.int32)
        # Only integers, and none that could overflow a float: NumPy then has nothing to warn about.
        factors = np.abs(np.concatenate((self._scale, self._offset)))
        self._is_tame = not self._kind.any() and bool((factors < TAME_MAX).all())

    def columns(
        self, raws: list[int], numbers: list[bytes], payload: tuple[bytes, list[int]]
    ) -> Columns:
        """Return the four columns; `numbers` holds the packed signal numbers of each frame.

        It takes `raws` over: the list may be longer afterwards.
        """
        raw = _packed(raws)
        signal = np.frombuffer(b"".join(numbers), np.int32)
        if len(numbers) > len(self._count):
            self._count = np.arange(2 * len(numbers), dtype=np.int32)
        frame = self._count[: len(numbers)].repeat(_widths(numbers))
        number = raw.astype(np.float64)
        if self._is_tame:
            number *= self._scale.take(signal)
            number += self._offset.take(signal)
            return signal, raw, number, frame
        with np.errstate(all="ignore"):
            self._read_specially(number, raw, (signal, frame, payload))
            number *= self._scale.take(signal)
            number += self._offset.take(signal)
        return signal, raw, number, frame

    def _read_specially(
        self,
        number: NDArray[np.float64],
        raw: NDArray[np.int64],
        context: tuple[NDArray[np.int32], NDArray[np.int32], tuple[bytes, list[int]]],
    ) -> None:
        """Overwrite in `number` what is not a signed integer of at most 64 bits."""
        signal, frame, (whole, offset) = context
        kind = self._kind[signal]
        if not kind.any():
            return
        for bit, unsigned, kind_of in _SPECIAL:
            rows = kind == bit
            number[rows] = raw[rows].astype(unsigned).view(kind_of)
        for row in np.flatnonzero(kind == plan_table.WIDE).tolist():
            at = frame[row]
            op = ops_of(self._table, int(self._op[signal[row]]), 1)[0]
            number[row] = nearest(signed(op, bits_in(op, whole[offset[at] : offset[at + 1]])))


class Last:
    """What each signal said last, for `changed_only`."""

    def __init__(self, signals: int) -> None:
        self._raw = np.zeros(signals, np.int64)
        self._value = np.zeros(signals, np.int64)  # the bits of the float: NaN repeats NaN
        self._seen = np.zeros(signals, np.bool_)

    def changed(self, columns: Columns) -> Columns:
        """Return the rows that do not repeat what their signal said last, and remember them."""
        signal, raw, value, frame = columns
        if not len(signal):
            return columns
        order = np.argsort(signal, kind="stable")
        of, was_raw, was_value = signal[order], raw[order], value.view(np.int64)[order]
        first = np.ones(len(of), np.bool_)
        first[1:] = of[1:] != of[:-1]
        repeats = np.zeros(len(of), np.bool_)
        repeats[1:] = (was_raw[1:] == was_raw[:-1]) & (was_value[1:] == was_value[:-1])
        begun = of[first]
        repeats[first] = (
            self._seen[begun]
            & (self._raw[begun] == was_raw[first])
            & (self._value[begun] == was_value[first])
        )
        last = np.append(first[1:], True)
        self._raw[of[last]] = was_raw[last]
        self._value[of[last]] = was_value[last]
        self._seen[begun] = True
        keep = np.empty(len(of), np.bool_)
        keep[order] = ~repeats
        return signal[keep], raw[keep], value[keep], frame[keep]
