"""What the telemetry store needs of an engine, and the words in which engines complain.

Rule 1: an engine's failure becomes Unavailable with one sentence; its own text is cut to its first.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from fairway.errors import Unavailable
from fleet_cloud.adapters.clickhouse_native import Buffer, Column

# What one question may cost before it is given up: far more than any page needs, far less than the machine has.
QUERY_MAX_S = 30
QUERY_MAX_MEMORY_BYTES = 2 * 1024**3


class Engine(Protocol):
    """One ClickHouse, in the process or behind HTTP; any number of threads may call it."""

    @property
    def name(self) -> str:
        """How errors call it."""
        ...

    @property
    def version(self) -> str:
        """The engine's own version, such as 26.9.2.1."""
        ...

    @property
    def is_own(self) -> bool:
        """Whether nobody but this process can be using it."""
        ...

    def execute(self, statement: str) -> None:
        """Run a statement that answers nothing.  Raises Unavailable."""
        ...

    def query(self, statement: str) -> dict[str, Column]:
        """Return the answer's columns.  Raises Unavailable."""
        ...

    def insert(self, block: Sequence[Buffer]) -> None:
        """Return once the block is stored, whole.  Raises Unavailable when it may not be."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


_CODE = re.compile(r"Code: (\d+)\b")
_NOISE = re.compile(
    r"^Code: \d+[.,]\s*(e\.displayText\(\) = )?(DB::(Exception|ErrnoException|NetException): )*"
)

_NO_SPACE = {"243"}  # NOT_ENOUGH_SPACE: below the free bytes that the table asks for
_TOO_MUCH = {
    "158",
    "159",
    "160",
    "241",
    "307",
    "396",
}  # rows, time, estimated time, memory, bytes, result


def unavailable(engine: str, text: str) -> Unavailable:
    """Return the error to raise for what `engine` answered."""
    start = text.find("Code: ")
    text = text[max(start, 0) :].strip()
    found = _CODE.match(text)
    code = found.group(1) if found else ""
    if code in _NO_SPACE or "No space left on device" in text or "errno: 28" in text:
        return Unavailable(
            f"the disk of the telemetry store {engine} is full: free some space; what it holds is unharmed"
        )
    sentence = _NOISE.sub("", text).split("\n")[0].split(", e.what()")[0][:300]
    if code in _TOO_MUCH:
        return Unavailable(
            f"the telemetry store {engine} gave up a question that is too large: ask for less ({sentence})"
        )
    return Unavailable(f"the telemetry store {engine} failed: {sentence}")
