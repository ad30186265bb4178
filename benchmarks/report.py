"""What a benchmark returns, and how a table of them is printed.

Every figure stands beside a named peer measured in the same run, or is a count.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str  # "decode RAV4, batches of 100"
    ours: str  # "0.031 us/frame"
    peer: str  # "cantools 2.26 us/frame", or "-" for a count
    result: float  # the ratio, or the count, that the goal is about
    goal: str  # ">= 60", "<= 120"
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether `result` meets `goal`."""
        relation, bound = self.goal.split()
        return self.result >= float(bound) if relation == ">=" else self.result <= float(bound)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| what | ours | peer, same run | result | goal | met |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.what} | {row.ours} | {row.peer} | {row.result:.3g} {row.unit} | {row.goal} | "
        f"{'yes' if row.met else '**no**'} |"
        for row in rows
    ]
    return "\n".join(lines)
