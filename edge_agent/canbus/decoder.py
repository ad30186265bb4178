"""Frames in, signal values out: the face of the compiled table, whichever interpreter runs it.

    FrameBlock -> Decoder.decode -> Decoded: signal number, raw number, physical value, frame it came in

Rule 1: both interpreters give the same rows in the same order, bit for bit (but for the bits of a NaN).
Rule 2: rows stand frame by frame; within a frame first what is always there, then what its multiplexers add.
Rule 3: a frame that cannot be read costs itself only, and one signal that cannot be read costs that signal:
        each is counted by its reason, and nothing is raised.
"""

from typing import Literal, Protocol

from edge_agent.canbus.decoded import Decoded, Refusals
from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.plan import Plan, short_names
from edge_agent.canbus.python_table import PythonTable
from fairway.errors import BadInput

__all__ = ["HAS_KERNEL", "Decoded", "Decoder", "Refusals", "make_decoder"]

try:
    from edge_agent.canbus import _kernel
except ImportError:  # no compiler was there when the project was installed
    HAS_KERNEL = False
else:
    HAS_KERNEL = True

Interpreter = Literal["kernel", "python"]


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
    """Runs the table in C.  The methods are the kernel's own, with nothing in between."""

    def __init__(self, plan: Plan) -> None:
        table = plan.table
        kernel = _kernel.Table(
            table.ops, table.runs, table.switches, table.arms, table.keys, short_names(plan)
        )
        self.decode = kernel.decode
        self.decode_frame = kernel.decode_frame
        self.forget = kernel.forget


class PythonDecoder:
    """Runs the table with NumPy, a block at a time, and as generated Python, frame by frame."""

    def __init__(self, plan: Plan) -> None:
        table = PythonTable(plan.table, short_names(plan))
        self.decode = table.decode
        self.decode_frame = table.decode_frame
        self.forget = table.forget
