from typing import Any, Self, TypeAlias

from numpy.typing import NDArray

from edge_agent.canbus.decoded import Decoded
from edge_agent.canbus.frames import FrameBlock

# Anything with contiguous memory; before Python 3.12 arrays do not count as collections.abc.Buffer.
Column: TypeAlias = bytes | bytearray | memoryview | NDArray[Any]

class Table:
    def __new__(
        cls,
        ops: Column,
        runs: Column,
        switches: Column,
        arms: Column,
        keys: Column,
        names: tuple[str, ...],
    ) -> Self: ...
    def decode(self, frames: FrameBlock, *, changed_only: bool = False) -> Decoded: ...
    def decode_frame(self, can_id: int, data: bytes, bus: int = 0) -> dict[str, float]: ...
    def forget(self) -> None: ...

def sift(
    signal: Column,
    time_ns: Column,
    value: Column,
    interval_ns: Column,
    on_change: Column,
    last_time_ns: Column,
    last_value: Column,
    keep: Column,
    /,
) -> int: ...
