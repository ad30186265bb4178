"""The first half of the Python interpreter: which runs of the table each frame of a block goes through.

    key (bus, id) -> run, for all frames at once -> where a multiplexer has a say, the runs it adds

Rule 1: one by one only those frames are looked at that are short or have multiplexers no single byte decides.
Rule 2: a refusal is a run too, one that reads nothing: counting refusals is counting those.
"""

from contextlib import suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus import plan_table
from edge_agent.canbus.decoded import (
    ERROR_FRAME,
    REMOTE_FRAME,
    UNKNOWN_ID,
    UNKNOWN_MULTIPLEXER,
    Refusals,
)
from edge_agent.canbus.frames import ERROR, EXTENDED, REMOTE, FrameBlock
from edge_agent.canbus.generated import ChooseFunction, Namespace, choose_function, packed
from edge_agent.canbus.j1939 import pgns_of
from edge_agent.canbus.python_menus import menus_of
from edge_agent.canbus.python_walk import Walker
from fairway.errors import BadInput

Numbers = NDArray[np.intp]

# More bytes than a frame can have: what a run needs that is always to be looked at.
NEVER_ENOUGH = 1 << 30

_NO_REFUSALS = Refusals()
_NO_KEY = np.uint64((1 << 64) - 1)
_BUS_SHIFT = np.uint64(32)


class Paths(NamedTuple):
    """The runs of all frames of a block, frame by frame: columns of equal length.

    Besides the table's own there are: a run of each op alone, one of no ops, and one of no ops for each reason
    to refuse a frame.
    """

    run: Numbers
    frame: NDArray[np.int32]  # row in the frame block
    start: Numbers  # where the frame begins in the payload


class Pathfinder:
    """Finds the runs of frames."""

    def __init__(self, walker: Walker, space: Namespace) -> None:
        table = walker.table
        self._walker = walker
        self._space = space
        self._op_alone = len(table.runs)
        self._nothing = self._op_alone + len(table.ops)
        self._refused = self._nothing + 1
        keys = np.sort(table.keys, order="key")
        runs = keys["run"].tolist()
        # Behind the keys: where frames without one find their run.
        reasons = range(self._refused, self._refused + len(_NO_REFUSALS))
        self._keys = len(keys)
        self._key = np.append(keys["key"], _NO_KEY)
        self._run = np.array([*runs, *reasons], np.intp)
        self._has_groups = bool((keys["key"] & np.uint64(plan_table.PGN_KEY)).any())
        unknown = self._refused + UNKNOWN_MULTIPLEXER
        self._menus = menus_of(walker, self._run.tolist(), nothing=self._nothing, unknown=unknown)
        self._has_menus = bool(self._menus.first.any())
        needs = [
            walker.need(run) if menu or not table.runs["switches"][run] else NEVER_ENOUGH
            for run, menu in zip(runs, self._menus.first.tolist(), strict=False)
        ]
        self._need = np.array([*needs, *(0 for _ in reasons)], np.intp)
        self._choosers: dict[int, ChooseFunction] = {}
        self._count = np.arange(0, dtype=np.int32)

    def spans(self) -> tuple[Numbers, Numbers]:
        """Return how many ops each run has, and the number of the op behind its last."""
        table = self._walker.table
        alone = np.arange(1, len(table.ops) + 1)
        none = np.zeros(1 + len(_NO_REFUSALS), np.intp)
        ops, ends = table.runs["ops"], table.runs["first_op"] + table.runs["ops"]
        return (
            np.concatenate((ops, np.ones_like(alone), none)).astype(np.intp),
            np.concatenate((ends, alone, none)).astype(np.intp),
        )

    def paths(self, frames: FrameBlock, whole: bytes) -> Paths:
        """Return the runs of all frames; `whole` is their payload.  Raises BadInput for a broken block."""
        count = len(frames.can_id)
        if len(frames.offset) != count + 1 or len(frames.bus) != count:
            raise BadInput("the columns of the frame block are not of one length")
        offset = frames.offset.astype(np.intp)
        start = offset[:-1]
        length = offset[1:] - start
        key = self._find(frames)
        odd = (length < self._need.take(key)).nonzero()[0]
        sizes = length.take(odd)
        if offset[-1] > len(frames.payload) or (len(odd) and sizes.min() < 0):
            raise BadInput(_outside(frames))
        if count > len(self._count):
            self._count = np.arange(2 * count, dtype=np.int32)
        paths = Paths(self._run.take(key), self._count[:count], start)
        if self._has_menus:
            paths = self._with_arms(paths, key, odd, whole)
        if len(odd):
            odd *= len(paths.run) // count
            paths = self._branched(paths, odd, sizes, whole)
        return paths

    def refusals(self, paths: Paths) -> Refusals:
        """Return how many frames were refused, by reason."""
        is_refused = paths.run >= self._refused
        if not np.count_nonzero(is_refused):
            return _NO_REFUSALS
        reasons = paths.run[is_refused] - self._refused
        return Refusals(*np.bincount(reasons, minlength=len(_NO_REFUSALS)).tolist())

    def _find(self, frames: FrameBlock) -> Numbers:
        """Return the row of each frame's key."""
        key = frames.bus.astype(np.uint64)
        key <<= _BUS_SHIFT
        key |= frames.can_id
        at = self._key.searchsorted(key)
        is_missing = self._key.take(at) != key
        if np.count_nonzero(is_missing):
            can_id = frames.can_id[is_missing]
            missing = np.full(len(can_id), self._keys + UNKNOWN_ID, np.intp)
            missing[can_id & REMOTE != 0] = self._keys + REMOTE_FRAME
            missing[can_id & ERROR != 0] = self._keys + ERROR_FRAME
            if self._has_groups:
                self._find_groups(missing, key[is_missing], can_id)
            at[is_missing] = missing
        return at

    def _find_groups(
        self, at: Numbers, key: NDArray[np.uint64], can_id: NDArray[np.uint32]
    ) -> None:
        """Write the rows of the J1939 groups that ids belong to."""
        group = key >> _BUS_SHIFT << _BUS_SHIFT | pgns_of(can_id) | np.uint64(plan_table.PGN_KEY)
        found = self._key.searchsorted(group)
        is_known = (self._key.take(found) == group) & (can_id & EXTENDED != 0)
        at[is_known] = found[is_known]

    def _with_arms(self, paths: Paths, key: Numbers, odd: Numbers, whole: bytes) -> Paths:
        """Return the paths with a second run for each frame: what the byte of its multiplexer says."""
        menus = self._menus
        menu = menus.first.take(key)
        if not np.count_nonzero(menu):
            return paths
        at = paths.start + menus.byte.take(key)
        menu += np.frombuffer(whole, np.uint8).take(at, mode="clip")
        run = np.empty((len(menu), 2), np.intp)
        run[:, 0] = paths.run
        run[:, 1] = menus.added.take(menu)
        run[odd, 1] = self._nothing
        return Paths(run.ravel(), paths.frame.repeat(2), paths.start.repeat(2))

    def _branched(self, paths: Paths, odd: Numbers, sizes: Numbers, whole: bytes) -> Paths:
        """Return the paths with the `odd` runs replaced by those that a function chooses."""
        columns = (paths.run.take(odd), paths.start.take(odd), sizes)
        choosers = self._choosers
        chosen = []
        for run, start, size in zip(*(column.tolist() for column in columns), strict=True):
            choose = choosers.get(run) or self._chooser(run)
            chosen.append(choose(whole, start, size))
        runs = np.frombuffer(b"".join(chosen), np.intp)
        width = np.ones_like(paths.run)
        width[odd] = np.fromiter(map(len, chosen), np.intp, len(chosen)) // runs.itemsize
        is_odd = np.zeros(len(width), np.bool_)
        is_odd[odd] = True
        run = paths.run.repeat(width)
        run[is_odd.repeat(width)] = runs
        return Paths(run, paths.frame.repeat(width), paths.start.repeat(width))

    def _chooser(self, run: int) -> ChooseFunction:
        """Make the function that chooses the runs of a frame that begins with `run`."""

        def walk(whole: bytes, start: int, size: int) -> bytes:
            ops, reasons = self._walker.walk(run, whole[start : start + size])
            alone = [self._op_alone + op for op in ops]
            return packed(alone + [self._refused + reason for reason in reasons])

        choose: ChooseFunction = walk
        table = self._walker.table
        if table.runs["switches"][run]:
            unknown = self._refused + UNKNOWN_MULTIPLEXER
            with suppress(SyntaxError, RecursionError, MemoryError):  # a text too deep for Python
                size = self._walker.need(run)
                choose = choose_function(table, run, self._space, walk, size=size, unknown=unknown)
        self._choosers[run] = choose
        return choose


def _outside(frames: FrameBlock) -> str:
    offset = frames.offset
    bad = (offset[1:] < offset[:-1]) | (offset[1:] > len(frames.payload))
    return f"frame {int(bad.argmax())} lies outside of the frame block's payload"
