"""The Python interpreter of the compiled table, for machines without a compiler.

    block -> python_paths: the runs of each frame -> python_columns: the signals of those runs, as columns
    frame -> by bus, by id: a generated function -> signal name -> physical value

Rule 1: the rows are those of _kernel.c: same signals, raw values, physical values, order and refusals.
Rule 2: a payload shorter than its signals need is read signal by signal.
"""

import struct
from functools import partial

from edge_agent.canbus import generated, plan_table
from edge_agent.canbus.decoded import Decoded
from edge_agent.canbus.frames import EXTENDED, FrameBlock
from edge_agent.canbus.generated import ValuesFunction
from edge_agent.canbus.generated_bytes import bits_in, value_of
from edge_agent.canbus.j1939 import pgn_of
from edge_agent.canbus.python_columns import WINDOW_BYTES, Extraction, Last
from edge_agent.canbus.python_paths import Pathfinder
from edge_agent.canbus.python_walk import Walker

# Ids remembered on a bus with what they lead to.  A bus has some hundred; a stream of random ones must not
# fill memory.
KNOWN_MAX_IDS = 65_536

# Functions are made for every payload size that comes up, to the largest frame there is.
SIZED_MAX_BYTES = 64

_BEHIND = bytes(WINDOW_BYTES)


class PythonTable:
    """A table with its generated functions and, for `changed_only`, what each signal said last."""

    def __init__(self, table: plan_table.Table, names: tuple[str, ...]) -> None:
        self._walker = Walker(table)
        self._names = names
        self._space = generated.Namespace(names)
        self._pathfinder = Pathfinder(self._walker, self._space)
        self._extraction = Extraction(table, self._pathfinder.spans())
        self._last = Last(len(names))
        self._keys: dict[int, tuple[int, int]] = {
            key: (run, length) for key, run, length in table.keys.tolist()
        }
        self._pgn_buses = {key >> 32 & 0xFF for key in self._keys if key & plan_table.PGN_KEY}
        self._values: dict[int, dict[int, ValuesFunction]] = {}
        self._made: dict[tuple[int, int], ValuesFunction] = {}

    def decode(self, frames: FrameBlock, *, changed_only: bool = False) -> Decoded:
        """Return the values of all signals in `frames`; with `changed_only` those that differ from the last.

        Raises BadInput when a frame lies outside of the block's payload.
        """
        whole = frames.payload.tobytes() + _BEHIND
        paths = self._pathfinder.paths(frames, whole)
        columns = self._extraction.columns(paths, whole)
        if changed_only:
            columns = self._last.changed(columns)
        return Decoded(*columns, self._pathfinder.refusals(paths))

    def decode_frame(self, can_id: int, data: bytes, bus: int = 0) -> dict[str, float]:
        """Return the values of one frame by the signals' names; none when nobody knows the id."""
        try:
            return self._values[bus][can_id](data)
        except (KeyError, IndexError, struct.error):  # a new id, or another length than last time
            return self._odd_frame(bus, can_id, data)

    def forget(self) -> None:
        """Forget what each signal said last."""
        self._last = Last(len(self._names))

    def _run_of(self, bus: int, can_id: int) -> tuple[int, int] | None:
        """Return the run of an id, and how long its message is said to be."""
        if not (0 <= bus <= 0xFF and 0 <= can_id <= 0xFFFF_FFFF):
            return None
        found = self._keys.get(bus << 32 | can_id)
        if found is None and can_id & EXTENDED and bus in self._pgn_buses:
            found = self._keys.get(plan_table.pgn_key(bus, pgn_of(can_id)))
        return found

    def _odd_frame(self, bus: int, can_id: int, data: bytes) -> dict[str, float]:
        found = self._run_of(bus, can_id)
        if found is None:
            return {}
        run, length = found
        data = bytes(data)
        if len(data) < self._walker.need(run):
            return self._short_values(run, data)
        size = self._size(run, length, len(data))
        values = self._function(run, size)
        by_id = self._values.setdefault(bus, {})
        if len(by_id) >= KNOWN_MAX_IDS:
            by_id.clear()
        by_id[can_id] = values
        return values(_sized(data, size))

    def _short_values(self, run: int, data: bytes) -> dict[str, float]:
        found, _ = self._walker.walk(run, data)
        ops = self._walker.ops(found)
        return {self._names[op.signal]: value_of(op, bits_in(op, data)) for op in ops}

    def _size(self, run: int, length: int, given: int) -> int:
        """Return the payload size to make a function for: the given one where there are not too many."""
        return given if given <= SIZED_MAX_BYTES else max(length, self._walker.need(run))

    def _function(self, run: int, size: int) -> ValuesFunction:
        """Return a generated function, or a slow one where Python finds the text of it too deep."""
        made = self._made.get((run, size))
        if made is None:
            try:
                made = generated.values_function(self._walker.table, run, size, self._space)
            except (SyntaxError, RecursionError, MemoryError):
                made = partial(self._short_values, run)
            self._made[run, size] = made
        return made


def _sized(data: bytes, size: int) -> bytes:
    return data[:size] if len(data) > size else data.ljust(size, b"\0")
