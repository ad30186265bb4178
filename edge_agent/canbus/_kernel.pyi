from typing import Any, Self

from numpy.typing import NDArray

# Anything with contiguous memory; before Python 3.12 arrays do not count as collections.abc.Buffer.
Memory = bytes | bytearray | memoryview | NDArray[Any]

class Table:
    def __new__(
        cls,
        ops: Memory,
        runs: Memory,
        switches: Memory,
        arms: Memory,
        keys: Memory,
        names: tuple[str, ...],
    ) -> Self: ...
    def batch(
        self,
        bus: Memory,
        can_id: Memory,
        offset: Memory,
        payload: Memory,
        changed_only: bool,
        /,
    ) -> tuple[bytes, int, tuple[int, int, int, int, int]]: ...
    def decode_frame(self, can_id: int, data: Memory, bus: int = 0) -> dict[str, float]: ...
    def forget(self) -> None: ...

def sift(
    signal: Memory,
    time_ns: Memory,
    value: Memory,
    interval_ns: Memory,
    on_change: Memory,
    last_time_ns: Memory,
    last_value: Memory,
    keep: Memory,
    /,
) -> int: ...
