"""Frames in, signal values out: the face of the compiled table, whichever interpreter runs it.

    FrameBlock -> Decoder.decode -> Decoded: signal number, raw number, physical value, frame it came in

Rule 1: both interpreters give the same rows in the same order, bit for bit (but for the bits of a NaN).
Rule 2: rows stand frame by frame; within a frame first what is always there, then what its multiplexers add.
Rule 3: a frame that cannot be read costs itself only, and one signal that cannot be read costs that signal:
        each is counted by its reason, and nothing is raised.
"""

from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.plan import Plan, short_names
from edge_agent.canbus.python_table import PythonTable
from fairway.errors import BadInput

try:
    from edge_agent.canbus import _kernel
except ImportError:  # no compiler was there when the project was installed
    HAS_KERNEL = False
else:
    HAS_KERNEL = True

Interpreter = Literal["kernel", "python"]


class Refusals(NamedTuple):
    """Frames of one call that gave nothing, or not everything, by reason."""

    unknown_id: int = 0  # no database of that bus knows the id
    short: int = 0  # a signal lies (partly) behind the end of the payload; the others were decoded
    unknown_multiplexer: int = 0  # a multiplexer's value brings no signal; the others were decoded
    remote: int = 0  # remote frames carry no data
    error: int = 0  # error frames are no traffic


class Decoded(NamedTuple):
    """Signal values as columns of equal length."""

    signal: NDArray[np.int32]  # number in the plan
    raw: NDArray[
        np.int64
    ]  # the bits: sign-extended integers, IEEE bits of floats, the low 64 of wider ones
    value: NDArray[np.float64]  # physical
    frame: NDArray[np.int32]  # row in the frame block
    refusals: Refusals


NO_REFUSALS = Refusals()


class Decoder(Protocol):
    """Decodes frames.  One decoder serves one thread: it remembers what signals said last."""

    def decode(self, frames: FrameBlock, *, changed_only: bool = False) -> Decoded:
        """Return the values of all signals in `frames`; with `changed_only` those that differ from the last.

        "Last" means the last value that a call with `changed_only` saw.  The columns may be read-only.
        Raises BadInput when the block contradicts itself.
        """
        ...

    def decode_frame(self, can_id: int, data: bytes, bus: int = 0) -> dict[str, float]:
        """Return the values of one frame by signal name, in no counted way: nothing for an unknown id."""
        ...

    def forget(self) -> None:
        """Forget what signals said last: the next call with `changed_only` gives every signal once."""
        ...


def make_decoder(plan: Plan, *, interpreter: Interpreter | None = None) -> Decoder:
    """Return a decoder of `plan`: the C kernel where it was built, else generated Python.

    Raises BadInput when the kernel is asked for and was not built.
    """
    if interpreter == "kernel" and not HAS_KERNEL:
        raise BadInput("the C kernel was not built: install a C compiler and the project again")
    if interpreter == "python" or not HAS_KERNEL:
        return PythonDecoder(plan)
    return KernelDecoder(plan)


class KernelDecoder:
    """Runs the table in C.  `decode_frame` is the kernel's own method, with nothing in between."""

    def __init__(self, plan: Plan) -> None:
        table = plan.table
        self._kernel = _kernel.Table(
            table.ops, table.runs, table.switches, table.arms, table.keys, short_names(plan)
        )
        self._batch = self._kernel.batch
        self.decode_frame = self._kernel.decode_frame
        self.forget = self._kernel.forget

    def decode(self, frames: FrameBlock, *, changed_only: bool = False) -> Decoded:
        try:
            memory, rows, refused = self._batch(
                frames.bus, frames.can_id, frames.offset, frames.payload, changed_only
            )
        except ValueError as error:
            raise BadInput(f"the frame block contradicts itself: {error}") from error
        refusals = Refusals._make(refused) if any(refused) else NO_REFUSALS
        return Decoded(
            _view(memory, _INT32, rows, 16 * rows),
            _view(memory, _INT64, rows, 0),
            _view(memory, _FLOAT64, rows, 8 * rows),
            _view(memory, _INT32, rows, 20 * rows),
            refusals,
        )


class PythonDecoder:
    """Runs the table as generated Python."""

    def __init__(self, plan: Plan) -> None:
        self._table = PythonTable(plan.table, short_names(plan))
        self.decode_frame = self._table.decode_frame
        self.forget = self._table.forget

    def decode(self, frames: FrameBlock, *, changed_only: bool = False) -> Decoded:
        try:
            columns, refused = self._table.batch(frames, changed_only=changed_only)
        except ValueError as error:
            raise BadInput(f"the frame block contradicts itself: {error}") from error
        signal, raw, value, frame = columns
        return Decoded(signal, raw, value, frame, Refusals._make(refused))


_INT32, _INT64, _FLOAT64 = np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.float64)
_view = np.frombuffer
