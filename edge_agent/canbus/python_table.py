"""The Python interpreter of the compiled table, for machines without a compiler.

    frame -> its key -> (size, function) -> rows of raw numbers -> one vectorised raw * scale + offset a block

Rule 1: the rows are those of _kernel.c: same signals, raw values, physical values, order and refusals.
Rule 2: a frame of another length than its message's goes a slower way, signal by signal where it is too short.
"""

import array
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus import generated, plan_table
from edge_agent.canbus.decoded import Decoded, Refusals
from edge_agent.canbus.frames import ERROR, EXTENDED, REMOTE, FrameBlock
from edge_agent.canbus.generated import SHORT_FRAME, UNKNOWN_MULTIPLEXER, Op
from edge_agent.canbus.j1939 import pgn_of
from fairway.errors import BadInput

# Positions in the counts of refusals; _kernel.c numbers them alike.
UNKNOWN_ID_AT, SHORT_FRAME_AT, UNKNOWN_MULTIPLEXER_AT, REMOTE_AT, ERROR_AT = range(5)

# Ids remembered with what they lead to.  A bus has some hundred; a stream of random ones must not fill memory.
KNOWN_MAX_KEYS = 65_536

# The size that no frame has: what stands beside it is a reason to refuse.
REFUSED = -1

Columns = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64], NDArray[np.int32]]


class PythonTable:
    """A table with its generated functions and, for `changed_only`, what each signal said last."""

    def __init__(self, table: plan_table.Table, names: tuple[str, ...]) -> None:
        self._table = table
        self._space = generated.Namespace(names)
        self._runs: dict[int, tuple[int, int]] = {
            key: (run, length) for key, run, length in table.keys.tolist()
        }
        self._pgn_buses = {key >> 32 for key in self._runs if key & plan_table.PGN_KEY}
        self._known: dict[int, tuple[int, Any]] = {}
        self._known_values: dict[tuple[int, int], tuple[int, Any]] = {}
        self._functions: dict[tuple[int, int], Any] = {}
        self._value_functions: dict[tuple[int, int], Any] = {}
        self._needs: dict[int, int] = {}
        self._conversion = _Conversion(table, len(names))
        self._last = _Last(len(names))

    def decode(self, frames: FrameBlock, *, changed_only: bool = False) -> Decoded:
        """Return the values of all signals in `frames`; with `changed_only` those that differ from the last.

        Raises BadInput when a frame lies outside of the block's payload.
        """
        raws: list[int] = []
        numbers: list[bytes] = []
        ends: list[int] = []
        refused = [0, 0, 0, 0, 0]
        whole, offset = _bounded(frames)
        keys = (frames.bus.astype(np.uint64) << np.uint64(32) | frames.can_id).tolist()
        known = self._known
        for key, start, end in zip(keys, offset, offset[1:], strict=False):
            size, rows = known.get(key) or self._find(key)
            if end - start == size:
                faults = rows(whole[start:end], raws, numbers)
            elif size == REFUSED:
                faults = 0
                refused[rows] += 1
            else:
                faults = self._odd_rows(key, whole[start:end], raws, numbers)
            if faults:
                refused[SHORT_FRAME_AT] += faults & SHORT_FRAME != 0
                refused[UNKNOWN_MULTIPLEXER_AT] += faults & UNKNOWN_MULTIPLEXER != 0
            ends.append(len(raws))
        columns = self._conversion.columns(raws, numbers, ends, (whole, offset))
        if changed_only:
            columns = self._last.changed(columns)
        signal, raw, value, frame = columns
        return Decoded(signal, raw, value, frame, Refusals._make(refused))

    def decode_frame(self, can_id: int, data: bytes, bus: int = 0) -> dict[str, float]:
        """Return the values of one frame by the signals' names; none when nobody knows the id."""
        size, values = self._known_values.get((bus, can_id)) or self._find_values(bus, can_id)
        if len(data) == size:
            found: dict[str, float] = values(data)
            return found
        if size == REFUSED:
            return {}
        return self._odd_values(bus, can_id, bytes(data))

    def forget(self) -> None:
        """Forget what each signal said last."""
        self._last = _Last(len(self._space.names))

    def _run_of(self, key: int) -> tuple[int, int] | None:
        found = self._runs.get(key)
        if found is None and key & EXTENDED and key >> 32 in self._pgn_buses:
            found = self._runs.get(plan_table.pgn_key(key >> 32, pgn_of(key)))
        return found

    def _find(self, key: int) -> tuple[int, Any]:
        found = self._run_of(key)
        if found is None:
            reason = ERROR_AT if key & ERROR else REMOTE_AT if key & REMOTE else UNKNOWN_ID_AT
            entry: tuple[int, Any] = (REFUSED, reason)
        else:
            size = self._size(found)
            entry = (size, self._rows_function(found[0], size))
        if len(self._known) < KNOWN_MAX_KEYS:
            self._known[key] = entry
        return entry

    def _find_values(self, bus: int, can_id: int) -> tuple[int, Any]:
        if not (0 <= bus <= 0xFF and 0 <= can_id <= 0xFFFF_FFFF):
            return REFUSED, None
        found = self._run_of(bus << 32 | can_id)
        entry: tuple[int, Any] = (REFUSED, None)
        if found is not None:
            size = self._size(found)
            entry = (size, self._values_function(found[0], size))
        if len(self._known_values) < KNOWN_MAX_KEYS:
            self._known_values[bus, can_id] = entry
        return entry

    def _size(self, found: tuple[int, int]) -> int:
        run, length = found
        return max(length, self._need(run))

    def _need(self, run: int) -> int:
        """Return how many bytes a frame must have for none of its signals to be cut off."""
        if run not in self._needs:
            self._needs[run] = self._need_below(run)
        return self._needs[run]

    def _need_below(self, run: int) -> int:
        table = self._table
        first_op, count, first_switch, switches = table.runs[run].tolist()
        need = int(table.ops["need"][first_op : first_op + count].max(initial=0))
        for _, first_arm, arms in table.switches[first_switch : first_switch + switches].tolist():
            for below in set(table.arms["run"][first_arm : first_arm + arms].tolist()):
                need = max(need, self._need_below(below))
        return need

    def _rows_function(self, run: int, size: int) -> Any:
        if (run, size) not in self._functions:
            self._functions[run, size] = _made(
                lambda: generated.rows_function(self._table, run, size, self._space),
                lambda data, raws, numbers: self._rows(run, data, raws, numbers),
            )
        return self._functions[run, size]

    def _values_function(self, run: int, size: int) -> Any:
        if (run, size) not in self._value_functions:
            self._value_functions[run, size] = _made(
                lambda: generated.values_function(self._table, run, size, self._space),
                lambda data: self._values(run, data),
            )
        return self._value_functions[run, size]

    def _odd_rows(self, key: int, data: bytes, raws: list[int], numbers: list[bytes]) -> int:
        found = self._run_of(key)
        assert found is not None
        run, size = found[0], self._size(found)
        if len(data) < self._need(run):
            return self._rows(run, data, raws, numbers)
        faults: int = self._rows_function(run, size)(_sized(data, size), raws, numbers)
        return faults

    def _odd_values(self, bus: int, can_id: int, data: bytes) -> dict[str, float]:
        found = self._run_of(bus << 32 | can_id)
        assert found is not None
        run, size = found[0], self._size(found)
        if len(data) < self._need(run):
            return self._values(run, data)
        values: dict[str, float] = self._values_function(run, size)(_sized(data, size))
        return values

    def _rows(self, run: int, data: bytes, raws: list[int], numbers: list[bytes]) -> int:
        """Append the rows of a frame signal by signal; return its faults."""
        found: list[Op] = []
        faults = self._walk(run, data, found)
        for op in found:
            raw = generated.bits_in(op, data) - (0 if op.bits > 64 else _wrap(op, data))
            raws.append((raw & (1 << 64) - 1 ^ plan_table.TOP_BIT) - plan_table.TOP_BIT)
        numbers.append(struct.pack(f"={len(found)}i", *(op.signal for op in found)))
        return faults

    def _values(self, run: int, data: bytes) -> dict[str, float]:
        found: list[Op] = []
        self._walk(run, data, found)
        names = self._space.names
        return {
            names[op.signal]: generated.value_of(op, generated.bits_in(op, data)) for op in found
        }

    def _walk(self, run: int, data: bytes, found: list[Op]) -> int:
        """Collect the ops that apply to a payload and lie wholly inside it; return the faults."""
        table = self._table
        first_op, count, first_switch, switches = table.runs[run].tolist()
        ops = generated.ops_of(table, first_op, count)
        fitting = [op for op in ops if op.need <= len(data)]
        faults = SHORT_FRAME if len(fitting) < count else 0
        found += fitting
        for at, first_arm, arms in table.switches[first_switch : first_switch + switches].tolist():
            op = ops[at - first_op]
            if op.need > len(data):
                continue
            bits = generated.bits_in(op, data)
            value = bits - plan_table.TOP_BIT if op.bits == 64 and not op.sign else bits
            value -= _wrap(op, data)
            for low, high, below, _ in table.arms[first_arm : first_arm + arms].tolist():
                if low <= value <= high:
                    faults |= self._walk(below, data, found)
                    break
            else:
                faults |= UNKNOWN_MULTIPLEXER
        return faults


def _wrap(op: Op, data: bytes) -> int:
    """Return what to take from the unsigned bits of a signed op to get its value."""
    return 1 << op.bits if op.sign and generated.bits_in(op, data) & op.sign_bit else 0


def _made(make: Callable[[], Any], otherwise: Callable[..., Any]) -> Any:
    """Return a generated function, or what does without where Python finds the text too deep."""
    try:
        return make()
    except (SyntaxError, RecursionError, MemoryError):
        return otherwise


def _sized(data: bytes, size: int) -> bytes:
    return data[:size] if len(data) > size else data.ljust(size, b"\0")


def _bounded(frames: FrameBlock) -> tuple[bytes, list[int]]:
    """Return the payload and the offsets of a block, once it is sure that they fit each other."""
    offset = frames.offset
    if len(offset) != len(frames.can_id) + 1 or len(frames.bus) != len(frames.can_id):
        raise BadInput("the columns of the frame block are not of one length")
    bad = (offset[1:] < offset[:-1]) | (offset[1:] > len(frames.payload))
    if bad.any():
        raise BadInput(f"frame {int(bad.argmax())} lies outside of the frame block's payload")
    return frames.payload.tobytes(), offset.tolist()


# What of an op's kind says how its raw bits are to be read.
_KIND_OF_NUMBER = np.uint8(plan_table.UNSIGNED_64 | generated.ANY_FLOAT | plan_table.WIDE)


class _Conversion:
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
        self._is_plain = not self._kind.any()

    def columns(
        self,
        raws: list[int],
        numbers: list[bytes],
        ends: list[int],
        payload: tuple[bytes, list[int]],
    ) -> Columns:
        """Return the four columns; `ends` says where the rows of each frame end."""
        raw = np.frombuffer(array.array("q", raws), np.int64)
        signal = np.frombuffer(b"".join(numbers), np.int32)
        frame = np.repeat(np.arange(len(ends), dtype=np.int32), np.diff(ends, prepend=0))
        number = raw.astype(np.float64)
        if not self._is_plain:
            kind = self._kind[signal]
            if kind.any():
                self._read_specially(number, raw, kind, (signal, frame, payload))
        with np.errstate(all="ignore"):
            value = number * self._scale[signal] + self._offset[signal]
        return signal, raw, value, frame

    def _read_specially(
        self,
        number: NDArray[np.float64],
        raw: NDArray[np.int64],
        kind: NDArray[np.uint8],
        context: tuple[NDArray[np.int32], NDArray[np.int32], tuple[bytes, list[int]]],
    ) -> None:
        """Overwrite in `number` what is not a signed integer of at most 64 bits."""
        signal, frame, (whole, offset) = context
        with np.errstate(all="ignore"):
            for bit, unsigned, kind_of in _SPECIAL:
                rows = kind == bit
                number[rows] = raw[rows].astype(unsigned).view(kind_of)
        for row in np.flatnonzero(kind == plan_table.WIDE).tolist():
            at = frame[row]
            op = generated.ops_of(self._table, int(self._op[signal[row]]), 1)[0]
            data = whole[offset[at] : offset[at + 1]]
            bits = generated.bits_in(op, data)
            number[row] = generated.nearest(bits - _wrap(op, data))


_SPECIAL: tuple[tuple[int, type[np.unsignedinteger[Any]], type[np.generic]], ...] = (
    (plan_table.UNSIGNED_64, np.uint64, np.uint64),
    (plan_table.FLOAT_16, np.uint16, np.float16),
    (plan_table.FLOAT_32, np.uint32, np.float32),
    (plan_table.FLOAT_64, np.uint64, np.float64),
)


class _Last:
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
