"""Tables and words for people at a terminal: aligned, coloured where a person looks, safe to show.

Rule 1: what comes from a vehicle or an app is a stranger's text: nothing of it reaches a terminal as a command.
Rule 2: colours go to terminals only: a file or a pipe gets the plain text.
"""

import datetime as dt
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fairway.clock import NS_PER_MS, NS_PER_S

_COLOURS = {
    "valid": "32",
    "confirmed": "32",
    "stale": "33",
    "sent": "36",
    "accepted": "36",
    "forwarded": "36",
    "not available": "90",
    "invalid": "31",
    "failed": "31",
    "refused": "31",
}
_BOLD = "1"
# The end of the year 9999: datetime ends there.
_LAST_S = 253_402_300_799


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, and what stands in it."""

    title: str
    text: Callable[[Any], str]
    is_painted: bool = False  # its words have colours


def table(
    rows: Sequence[Any],
    columns: Sequence[Column],
    *,
    widths: list[int] | None = None,
    is_headed: bool = True,
) -> tuple[list[str], list[int]]:
    """Return the lines of a table, and how wide its columns are, for the lines that follow."""
    cells = [[column.text(row) for column in columns] for row in rows]
    wide = list(widths) if widths and len(widths) == len(columns) else [0] * len(columns)
    for line in [*cells, [column.title for column in columns] if is_headed else []]:
        for number, cell in enumerate(line):
            wide[number] = max(wide[number], len(cell))
    lines = []
    if is_headed:
        lines.append(coloured(_joined([column.title for column in columns], wide), _BOLD))
    for line in cells:
        padded = [cell.ljust(width) for cell, width in zip(line, wide, strict=True)]
        for number, column in enumerate(columns):
            if column.is_painted:
                padded[number] = painted(padded[number], line[number])
        lines.append("  ".join(padded).rstrip())
    return lines, wide


def painted(text: str, word: str) -> str:
    """Return a text in the colour of a word."""
    return coloured(text, _COLOURS[word]) if word in _COLOURS else text


def coloured(text: str, code: str) -> str:
    """Return a text with a colour, where somebody can see it."""
    return f"\033[{code}m{text}\033[0m" if sys.stdout.isatty() else text


def shown(value: object) -> str:
    """Return a value for a terminal."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value if value.isprintable() else json.dumps(value)[1:-1]
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return json.dumps(value)


def moment(time_ns: int) -> str:
    """Return a time of day, with its date in UTC; a dash for none."""
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    if not 0 < seconds <= _LAST_S:
        return "-"
    when = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return f"{when:%Y-%m-%d %H:%M:%S}.{rest_ns // NS_PER_MS:03d}"


def _joined(cells: Sequence[str], wide: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, wide, strict=True)).rstrip()
