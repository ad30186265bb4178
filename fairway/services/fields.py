"""Tables of a manifest, taken key by key and checked: what nobody took is an error that says what to do.

    Table({"cpu_max": 0.5}, "resources", file="tyres.yaml").number("cpu_max", 1.0, least=0.01, most=64)  -> 0.5

Rule 1: every error begins with the file and the place: tyres.yaml: health.readiness.interval_s: ...
Rule 2: a key that is not there is the default given; a null is an error.
Rule 3: a text is a text: what YAML took for a number or a date has to be quoted.
"""

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from fairway.errors import BadInput

Choice = TypeVar("Choice", bound=StrEnum)
Item = TypeVar("Item")

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE = re.compile(r"([0-9]{1,15})(B|KiB|MiB|GiB)")
TEXT_MAX_CHARS = 4096


@dataclass(slots=True)
class Table:
    """One table of a manifest."""

    values: dict[str, Any]
    at: str  # its place, "" at the top
    file: str
    _asked: set[str] = field(default_factory=set)

    def __contains__(self, key: str) -> bool:
        self._asked.add(key)
        return key in self.values

    def taken(self, key: str) -> Any:
        """Return what stands under `key`, None when nothing does."""
        self._asked.add(key)
        return self.values.get(key)

    def nothing_else(self) -> None:
        """Raise BadInput when there is a key that was not asked for."""
        for key in self.values:
            if key not in self._asked:
                known = sorted(self._asked)
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
                cure = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
                raise self.wrong(str(key)[:80], f"there is no such key; {cure}")

    def wrong(self, key: str, what: str) -> BadInput:
        """Return the error that says `what` is wrong at `key`."""
        place = ".".join(part for part in (self.at, key) if part) or "the manifest"
        return BadInput(f"{self.file}: {place}: {what}")

    def table(self, key: str) -> "Table":
        """Return the table under `key`, an empty one when there is none."""
        return self._table_of(self.taken(key) if key in self else {}, key)

    def tables(self, key: str, one: Callable[["Table"], Item], *, most: int) -> tuple[Item, ...]:
        """Return what `one` makes of every table of a list."""
        made = []
        for number, item in enumerate(self._list(key, most)):
            table = self._table_of(item, f"{key}[{number}]")
            made.append(one(table))
            table.nothing_else()
        return tuple(made)

    def pairs(self, key: str, *, most: int) -> Iterator[tuple[str, "Table"]]:
        """Yield each key of the table under `key`, and the table itself, sorted."""
        table = self.table(key)
        if len(table.values) > most:
            raise self.wrong(key, f"has {len(table.values)} entries; {most} at most")
        for inner in table.values:
            if not isinstance(inner, str):
                raise table.wrong(f"{inner!r:.80}", "must be a text: write it in quotes")
        for inner in sorted(table.values):
            yield inner, table

    def text(
        self, key: str, default: str | None = None, *, most: int = TEXT_MAX_CHARS, least: int = 1
    ) -> str:
        """Return the text under `key`; without a default it must be there."""
        if key not in self:
            return self._default(key, default)
        return self._text(self.taken(key), key, least, most)

    def texts(self, key: str, *, most: int, chars: int = TEXT_MAX_CHARS) -> tuple[str, ...]:
        """Return a list of texts."""
        items = enumerate(self._list(key, most))
        return tuple(self._text(item, f"{key}[{number}]", 1, chars) for number, item in items)

    def choice(self, key: str, default: Choice) -> Choice:
        """Return one word of the kind of `default`."""
        if key not in self:
            return default
        value, kind = self.taken(key), type(default)
        if value not in list(kind):
            raise self.wrong(key, f"is {value!r:.80}; choose from {', '.join(kind)}")
        return kind(value)

    def number(self, key: str, default: float | None, *, least: float, most: float) -> float:
        """Return the number under `key`."""
        if key not in self:
            return self._default(key, default)
        value = self.taken(key)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:
            raise self.wrong(key, f"is {value!r:.80}; give a number from {least:g} to {most:g}")
        return float(value)

    def whole(self, key: str, default: int | None, *, least: int, most: int) -> int:
        """Return the whole number under `key`."""
        if key not in self:
            return self._default(key, default)
        value = self.taken(key)
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or not least <= value <= most:
            raise self.wrong(key, f"is {value!r:.80}; give a whole number from {least} to {most}")
        return int(value)

    def size(self, key: str, default: int, *, least: int, most: int) -> int:
        """Return a size in bytes, written as 64MiB."""
        if key not in self:
            return default
        value = self.taken(key)
        match = _SIZE.fullmatch(value) if isinstance(value, str) else None
        size = int(match[1]) * _UNITS[match[2]] if match else -1
        if not least <= size <= most:
            limits = f"{size_text(least)} to {size_text(most)}"
            raise self.wrong(key, f"is {value!r:.80}; give a size as 64MiB, from {limits}")
        return size

    def yes(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        if key not in self:
            return default
        value = self.taken(key)
        if not isinstance(value, bool):
            raise self.wrong(key, f"is {value!r:.80}; choose true or false")
        return value

    def _text(self, value: object, key: str, least: int, most: int) -> str:
        if not isinstance(value, str):
            shown = f"{value!r:.80}"
            raise self.wrong(key, f"is {shown}, which is no text: write it in quotes")
        if not least <= len(value) <= most:
            raise self.wrong(key, f"has {len(value)} characters; give {least} to {most}")
        if not value.isprintable() and any(ord(one) < 32 and one not in "\n\t" for one in value):
            raise self.wrong(key, "has a control character")
        return value

    def _list(self, key: str, most: int) -> list[Any]:
        value = self.taken(key) if key in self else []
        if not isinstance(value, list):
            raise self.wrong(key, f"is {value!r:.80}; give a list")
        if len(value) > most:
            raise self.wrong(key, f"has {len(value)} entries; {most} at most")
        return value

    def _table_of(self, value: object, key: str) -> "Table":
        if not isinstance(value, dict):
            raise self.wrong(key, f"is {value!r:.80}; give a table")
        return Table(value, ".".join(part for part in (self.at, key) if part), self.file)

    def _default(self, key: str, default: Item | None) -> Item:
        if default is None:
            raise self.wrong(key, "is missing and has no default")
        return default


def size_text(size_bytes: int) -> str:
    """Return a size as people write it, exactly: 64MiB."""
    for unit, factor in reversed(_UNITS.items()):
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return f"{size_bytes}B"
