"""The second half of the Python interpreter: the signals of a block's frames become columns, all at once.

    run -> ops -> the 8-byte window of each -> shift, mask, extend the sign -> raw -> raw * scale + offset

Rule 1: a block at a time; only signals that reach beyond a window of 8 bytes are looked at one by one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus import plan_table
from edge_agent.canbus.generated_bytes import ANY_FLOAT, bits_in, nearest, ops_of, signed
from edge_agent.canbus.plan_table import TOP_BIT
from edge_agent.canbus.python_paths import Numbers, Paths

# A 64-bit integer times this is still far from the largest float.
TAME_MAX = 1e100

# As many bytes must stand behind a payload for the window of its last byte to end in memory.
WINDOW_BYTES = 8

ALL_BITS = (1 << 64) - 1

Columns = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64], NDArray[np.int32]]

_LONG = np.uint8(plan_table.NINE_BYTES | plan_table.WIDE)

# What of an op's kind says how its raw bits are to be read.
_KIND_OF_NUMBER = np.uint8(plan_table.UNSIGNED_64 | ANY_FLOAT) | _LONG

_SPECIAL: tuple[tuple[int, type[np.unsignedinteger[Any]], type[np.generic]], ...] = (
    (plan_table.UNSIGNED_64, np.uint64, np.uint64),
    (plan_table.FLOAT_16, np.uint16, np.float16),
    (plan_table.FLOAT_32, np.uint32, np.float32),
    (plan_table.FLOAT_64, np.uint64, np.float64),
)


class Extraction:
    """Takes signals out of payloads, a block at a time."""

    def __init__(self, table: plan_table.Table, spans: tuple[Numbers, Numbers]) -> None:
        ops = table.ops
        self._width, self._end = spans
        self._byte = ops["byte"].astype(np.intp)
        self._is_big = ops["kind"] & plan_table.BIG != 0
        # What a window holds is pushed up until the signal's top bit is the window's, and then down.
        self._up = (64 - ops["shift"].astype(np.int64) - ops["bits"]).clip(0).astype(np.uint64)
        self._down = (64 - ops["bits"].astype(np.int64)).clip(0)
        self._mask = np.where(ops["sign"] != 0, np.uint64(ALL_BITS), ops["mask"]).view(np.int64)
        self._signal = ops["signal"].copy()
        self._scale = ops["scale"].copy()
        self._offset = ops["offset"].copy()
        self._kind = ops["kind"] & _KIND_OF_NUMBER
        self._table = table
        # Only integers, and none that could overflow a float: NumPy then has nothing to warn about.
        factors = np.abs(np.concatenate((self._scale, self._offset)))
        self._is_tame = not self._kind.any() and bool((factors < TAME_MAX).all())

    def columns(self, paths: Paths, whole: bytes) -> Columns:
        """Return the four columns; `whole` is the payload of the block and WINDOW_BYTES more."""
        width = self._width.take(paths.run)
        total = width.cumsum()
        op = (self._end.take(paths.run) - total).repeat(width)
        op += np.arange(len(op))
        at = paths.start.repeat(width)
        at += self._byte.take(op)
        raw = self._raw(op, at, whole)
        signal, frame = self._signal.take(op), paths.frame.repeat(width)
        if self._is_tame:
            number = raw.astype(np.float64)
            number *= self._scale.take(op)
            number += self._offset.take(op)
            return signal, raw, number, frame
        with np.errstate(all="ignore"):
            number = self._number(op, at, raw, whole)
            number *= self._scale.take(op)
            number += self._offset.take(op)
        return signal, raw, number, frame

    def _raw(self, op: Numbers, at: Numbers, whole: bytes) -> NDArray[np.int64]:
        """Return the raw values of signals that lie in one window."""
        windows = np.ndarray((len(whole) - WINDOW_BYTES + 1,), "<u8", whole, 0, (1,))
        little = windows.take(at).astype(np.uint64, copy=False)
        bits = np.where(self._is_big.take(op), little.byteswap(), little)
        bits <<= self._up.take(op)
        raw = bits.view(np.int64)
        raw >>= self._down.take(op)
        raw &= self._mask.take(op)
        return raw

    def _number(
        self, op: Numbers, at: Numbers, raw: NDArray[np.int64], whole: bytes
    ) -> NDArray[np.float64]:
        """Return raw values as numbers; what one window cannot hold is written into `raw` first."""
        kind = self._kind.take(op)
        if not np.count_nonzero(kind):
            return raw.astype(np.float64)
        wide = {}
        for row in np.flatnonzero(kind & _LONG).tolist():
            one = ops_of(self._table, int(op[row]), 1)[0]
            start = int(at[row]) - one.byte
            value = signed(one, bits_in(one, whole[start : start + one.need]))
            raw[row] = (value + TOP_BIT & ALL_BITS) - TOP_BIT
            if one.kind & plan_table.WIDE:
                wide[row] = nearest(value)
        number = raw.astype(np.float64)
        for bit, unsigned, kind_of in _SPECIAL:
            rows = kind & bit != 0
            number[rows] = raw[rows].astype(unsigned).view(kind_of)
        number[list(wide)] = list(wide.values())
        return number


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
