"""The functions of FleetWise's examples that are not Python: `counter` and `file_size`.

    custom_function('counter')                  0, 1, 2 ... : how often this call was made before
    custom_function('file_size', '/a/path')     bytes; and Vehicle.FileSize = the same

Rule 1: a path of a campaign is a question of the cloud about the vehicle's disk: it is answered for what the
        operator has allowed, and for nothing else.
"""

from collections.abc import Sequence
from typing import Protocol

from edge_agent.functions.messages import Results, Value

COUNTER = "counter"
FILE_SIZE = "file_size"
FILE_SIZE_SIGNAL = "Vehicle.FileSize"


class FileSizes(Protocol):
    """Sizes of files that campaigns may ask for.  Contract: tests/contracts/test_file_sizes.py."""

    def size_bytes(self, path: str) -> int:
        """Return the size of a regular file.

        Raises Denied when campaigns may not ask for it (whether it exists or not), Unavailable when there is
        no such file.
        """
        ...


class Counters:
    """How often each call was made."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}

    def next(self, sync_id: str, place: int) -> float:
        """Return how often the call at `place` was made before, and count it."""
        count = self._counts.get((sync_id, place), 0)
        self._counts[sync_id, place] = count + 1
        return float(count)

    def forget(self, sync_id: str) -> None:
        """Drop the counts of a campaign."""
        self._counts = {key: count for key, count in self._counts.items() if key[0] != sync_id}


def file_size(arguments: Sequence[Value | None], sizes: FileSizes) -> Results:
    """Return the size of the file that is the only argument.  Raises as `sizes` does."""
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        return Results((None,), errors=1, error="file_size takes one argument: the path, a text")
    size_bytes = sizes.size_bytes(arguments[0])
    return Results((float(size_bytes),), texts={0: {FILE_SIZE_SIGNAL: str(size_bytes)}})
