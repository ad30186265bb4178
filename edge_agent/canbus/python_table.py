"""The Python interpreter of the compiled table, for machines without a compiler.

    frame -> by bus, by id: a function -> rows of raw numbers -> one vectorised raw * scale + offset a block

Rule 1: the rows are those of _kernel.c: same signals, raw values, physical values, order and refusals.
Rule 2: every id leads to a function, also those that nobody knows: theirs counts.
Rule 3: a payload shorter than its signals need is read signal by signal.
"""

import struct
from collections.abc import Callable
from typing import Any, Literal

from edge_agent.canbus import generated, plan_table
from edge_agent.canbus.decoded import Decoded, Refusals
from edge_agent.canbus.frames import ERROR, EXTENDED, REMOTE, FrameBlock
from edge_agent.canbus.generated import RowsFunction, ValuesFunction
from edge_agent.canbus.generated_bytes import Op, bits_in, ops_of, signed, value_of
from edge_agent.canbus.j1939 import pgn_of
from edge_agent.canbus.python_columns import Conversion, Last
from fairway.errors import BadInput

# Ids remembered on a bus with what they lead to.  A bus has some hundred; a stream of random ones must not
# fill memory.
KNOWN_MAX_IDS = 65_536

# Functions are made for every payload size that comes up, to the largest frame there is.
SIZED_MAX_BYTES = 64

# Positions in the counts of refusals: the order of Refusals.
UNKNOWN_ID, SHORT_FRAME, UNKNOWN_MULTIPLEXER, REMOTE_FRAME, ERROR_FRAME = range(5)


class _Descent(Exception):
    """A frame ends before it begins."""


class PythonTable:
    """A table with its generated functions and, for `changed_only`, what each signal said last."""

    def __init__(self, table: plan_table.Table, names: tuple[str, ...]) -> None:
        self._walker = _Walker(table, names)
        self._conversion = Conversion(table, len(names))
        self._last = Last(len(names))
        self._names = names
        self._refused = [0, 0, 0, 0, 0]
        self._space = generated.Namespace(names, self._count(UNKNOWN_MULTIPLEXER))
        self._keys: dict[int, tuple[int, int]] = {
            key: (run, length) for key, run, length in table.keys.tolist()
        }
        self._pgn_buses = {key >> 32 & 0xFF for key in self._keys if key & plan_table.PGN_KEY}
        self._rows: dict[int, dict[int, RowsFunction]] = {}
        self._values: dict[int, dict[int, ValuesFunction]] = {}
        self._made: dict[tuple[str, int, int], Any] = {}

    def decode(self, frames: FrameBlock, *, changed_only: bool = False) -> Decoded:
        """Return the values of all signals in `frames`; with `changed_only` those that differ from the last.

        Raises BadInput when a frame lies outside of the block's payload.
        """
        whole, offset = _bounded(frames)
        ids: list[int] = frames.can_id.tolist()
        buses = frames.bus.tobytes()
        raws: list[int] = []
        try:
            numbers = self._run_or_learn(buses, ids, (whole, offset), raws)
        except (struct.error, IndexError, _Descent):
            raise BadInput(_outside(frames)) from None
        columns = self._conversion.columns(raws, numbers, (whole, offset))
        if changed_only:
            columns = self._last.changed(columns)
        return Decoded(*columns, Refusals(*self._refused))

    def decode_frame(self, can_id: int, data: bytes, bus: int = 0) -> dict[str, float]:
        """Return the values of one frame by the signals' names; none when nobody knows the id."""
        try:
            return self._values[bus][can_id](data)
        except (KeyError, IndexError, struct.error):  # a new id, or another length than last time
            return self._odd_frame(bus, can_id, data)

    def forget(self) -> None:
        """Forget what each signal said last."""
        self._last = Last(len(self._names))

    def _count(self, reason: int) -> Callable[[], None]:
        refused = self._refused

        def count() -> None:
            refused[reason] += 1

        return count

    def _run_of(self, bus: int, can_id: int) -> tuple[int, int] | None:
        """Return the run of an id, and how long its message is said to be."""
        if not (0 <= bus <= 0xFF and 0 <= can_id <= 0xFFFF_FFFF):
            return None
        found = self._keys.get(bus << 32 | can_id)
        if found is None and can_id & EXTENDED and bus in self._pgn_buses:
            found = self._keys.get(plan_table.pgn_key(bus, pgn_of(can_id)))
        return found

    def _run_or_learn(
        self, buses: bytes, ids: list[int], payload: tuple[bytes, list[int]], raws: list[int]
    ) -> list[bytes]:
        """Call the function of every frame; an id that is new is learnt, and all begins again."""
        self._refused[:] = [0, 0, 0, 0, 0]
        try:
            return self._run(buses, ids, payload, raws)
        except KeyError:
            self._learn(buses, ids)
        raws.clear()
        self._refused[:] = [0, 0, 0, 0, 0]
        return self._run(buses, ids, payload, raws)

    def _run(
        self, buses: bytes, ids: list[int], payload: tuple[bytes, list[int]], raws: list[int]
    ) -> list[bytes]:
        """Call the function of every frame; return what they return.  Raises KeyError for a new id."""
        whole, offset = payload
        ends = iter(offset)
        next(ends)
        if buses.count(buses[:1]) == len(ids) > 0:  # one bus alone, as nearly always
            by_id = self._rows[buses[0]]
            return [
                by_id[can_id](whole, start, end - start, raws)
                for can_id, start, end in zip(ids, offset, ends, strict=False)
            ]
        by_bus = self._rows
        return [
            by_bus[bus][can_id](whole, start, end - start, raws)
            for bus, can_id, start, end in zip(buses, ids, offset, ends, strict=False)
        ]

    def _learn(self, buses: bytes, ids: list[int]) -> None:
        """Find the functions of all these ids."""
        for bus in set(buses):
            by_id = self._rows.setdefault(bus, {})
            if len(by_id) >= KNOWN_MAX_IDS:
                by_id.clear()
        for bus, can_id in set(zip(buses, ids, strict=True)):
            by_id = self._rows[bus]
            if can_id not in by_id:
                by_id[can_id] = self._find_rows(bus, can_id)

    def _find_rows(self, bus: int, can_id: int) -> RowsFunction:
        found = self._run_of(bus, can_id)
        if found is None:
            return self._refuse(can_id)
        run, length = found
        size = max(length, self._walker.need(run))
        rows: RowsFunction = self._function("rows", run, size)
        return rows

    def _odd_frame(self, bus: int, can_id: int, data: bytes) -> dict[str, float]:
        found = self._run_of(bus, can_id)
        if found is None:
            return {}
        run, length = found
        data = bytes(data)
        if len(data) < self._walker.need(run):
            return self._short_values(run, data)
        size = self._size(run, length, len(data))
        values: ValuesFunction = self._function("values", run, size)
        by_id = self._values.setdefault(bus, {})
        if len(by_id) >= KNOWN_MAX_IDS:
            by_id.clear()
        by_id[can_id] = values
        return values(_sized(data, size))

    def _short_values(self, run: int, data: bytes) -> dict[str, float]:
        ops, _ = self._walker.walk(run, data)
        return {self._names[op.signal]: value_of(op, bits_in(op, data)) for op in ops}

    def _size(self, run: int, length: int, given: int) -> int:
        """Return the payload size to make a function for: the given one where there are not too many."""
        return given if given <= SIZED_MAX_BYTES else max(length, self._walker.need(run))

    def _function(self, kind: Literal["rows", "values"], run: int, size: int) -> Any:
        """Return a generated function, or a slow one where Python finds the text of it too deep."""
        made: Any = self._made.get((kind, run, size))
        if made is None:
            table, space = self._walker.table, self._space
            try:
                made = (
                    generated.rows_function(table, run, size, space, self._odd_rows(run, size))
                    if kind == "rows"
                    else generated.values_function(table, run, size, space)
                )
            except (SyntaxError, RecursionError, MemoryError):
                made = (
                    self._slow_rows(run)
                    if kind == "rows"
                    else lambda data: self._short_values(run, data)
                )
            self._made[kind, run, size] = made
        return made

    def _refuse(self, can_id: int) -> RowsFunction:
        refused = self._refused
        reason = ERROR_FRAME if can_id & ERROR else REMOTE_FRAME if can_id & REMOTE else UNKNOWN_ID

        def refuse(_whole: bytes, _start: int, length: int, _raws: list[int]) -> bytes:
            if length < 0:
                raise _Descent
            refused[reason] += 1
            return b""

        return refuse

    def _odd_rows(self, run: int, length: int) -> RowsFunction:
        """Return the function for payloads of another size than `length`."""
        slow = self._slow_rows(run)

        def rows(whole: bytes, start: int, given: int, raws: list[int]) -> bytes:
            if given < self._walker.need(run):
                return slow(whole, start, given, raws)
            size = self._size(run, length, given)
            data = _sized(whole[start : start + given], size)
            numbers: bytes = self._function("rows", run, size)(data, 0, size, raws)
            return numbers

        return rows

    def _slow_rows(self, run: int) -> RowsFunction:
        """Return the function that reads a payload signal by signal."""

        def rows(whole: bytes, start: int, given: int, raws: list[int]) -> bytes:
            if given < 0:
                raise _Descent
            data = whole[start : start + given]
            ops, reasons = self._walker.walk(run, data)
            for reason in reasons:
                self._refused[reason] += 1
            for op in ops:
                raw = signed(op, bits_in(op, data)) & (1 << 64) - 1
                raws.append((raw ^ plan_table.TOP_BIT) - plan_table.TOP_BIT)
            return struct.pack(f"={len(ops)}i", *(op.signal for op in ops))

        return rows


def _sized(data: bytes, size: int) -> bytes:
    return data[:size] if len(data) > size else data.ljust(size, b"\0")


def _bounded(frames: FrameBlock) -> tuple[bytes, list[int]]:
    """Return the payload and the offsets of a block; the functions see to it that offsets ascend."""
    offset: list[int] = frames.offset.tolist()
    if len(offset) != len(frames.can_id) + 1 or len(frames.bus) != len(frames.can_id):
        raise BadInput("the columns of the frame block are not of one length")
    if offset[-1] > len(frames.payload):
        raise BadInput(_outside(frames))
    return frames.payload.tobytes(), offset


def _outside(frames: FrameBlock) -> str:
    offset = frames.offset
    bad = (offset[1:] < offset[:-1]) | (offset[1:] > len(frames.payload))
    return f"frame {int(bad.argmax())} lies outside of the frame block's payload"


class _Walker:
    """Reads the table as it stands, one signal at a time: for payloads that are too short."""

    def __init__(self, table: plan_table.Table, names: tuple[str, ...]) -> None:
        self.table = table
        self.names = names
        self._needs: dict[int, int] = {}

    def need(self, run: int) -> int:
        """Return how many bytes a frame must have for none of its signals to be cut off."""
        if run not in self._needs:
            self._needs[run] = self._need_below(run)
        return self._needs[run]

    def _need_below(self, run: int) -> int:
        table = self.table
        first_op, count, first_switch, switches = table.runs[run].tolist()
        need = int(table.ops["need"][first_op : first_op + count].max(initial=0))
        for _, first_arm, arms in table.switches[first_switch : first_switch + switches].tolist():
            for below in set(table.arms["run"][first_arm : first_arm + arms].tolist()):
                need = max(need, self._need_below(below))
        return need

    def walk(self, run: int, data: bytes) -> tuple[list[Op], set[int]]:
        """Return the ops that apply to a payload and lie wholly inside it, and the reasons to complain."""
        table = self.table
        first_op, count, first_switch, switches = table.runs[run].tolist()
        ops = ops_of(table, first_op, count)
        found = [op for op in ops if op.need <= len(data)]
        reasons = {SHORT_FRAME} if len(found) < count else set()
        for at, first_arm, arms in table.switches[first_switch : first_switch + switches].tolist():
            op = ops[at - first_op]
            if op.need > len(data):
                continue
            below = _selected(op, bits_in(op, data), table.arms[first_arm : first_arm + arms])
            if below is None:
                reasons.add(UNKNOWN_MULTIPLEXER)
                continue
            more, why = self.walk(below, data)
            found += more
            reasons |= why
        return found, reasons


def _selected(op: Op, bits: int, arms: plan_table.Column) -> int | None:
    """Return the run that a selector's bits lead to."""
    value = bits - plan_table.TOP_BIT if op.bits == 64 and not op.sign else signed(op, bits)
    for low, high, run, _ in arms.tolist():
        if low <= value <= high:
            return int(run)
    return None
