"""Fields of a JSON document, taken one by one and checked: what is left over in the end is an error.

    fields = fields_of({"periodMs": 10}, "collectionScheme")     fields.needed_whole("periodMs", 1, 100) -> 10

Rule 1: every error begins with the path of the field, as in signalsToCollect[3].name.
Rule 2: a field that is not there is None, or an error where one is needed; a null is an error.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from fairway.errors import BadInput

Choice = TypeVar("Choice", bound=StrEnum)
Item = TypeVar("Item")

# The year 9999: beyond, a time is a mistake of units.
TIME_MAX_S = 253_402_300_799


class Fields:
    """One table of a document."""

    def __init__(self, table: dict[str, Any], path: str) -> None:
        self.path = path
        self._table = dict(table)

    def __contains__(self, key: str) -> bool:
        return key in self._table

    def taken(self, key: str) -> Any:
        """Return what stands under `key` as it is, None when nothing does."""
        return self._table.pop(key, None)

    def nothing_else(self) -> None:
        """Raise BadInput when a field was not taken."""
        if self._table:
            raise BadInput(f"{self._at(min(self._table))}: there is no such field")

    def table(self, key: str) -> "Fields | None":
        """Return the table under `key`."""
        return fields_of(self.taken(key), self._at(key)) if key in self else None

    def needed_table(self, key: str) -> "Fields":
        """Return the table under `key`, which must be there."""
        table = self.table(key)
        if table is None:
            raise BadInput(f"{self._at(key)}: is missing")
        return table

    def each(
        self, key: str, one: Callable[["Fields"], Item], *, most: int
    ) -> tuple[Item, ...] | None:
        """Return what `one` makes of every table of a list."""
        if key not in self:
            return None
        items, path = self._list(key, most)
        found = []
        for number, item in enumerate(items):
            fields = fields_of(item, f"{path}[{number}]")
            found.append(one(fields))
            fields.nothing_else()
        return tuple(found)

    def needed_texts(self, key: str, *, most: int, characters: int) -> tuple[str, ...]:
        """Return a list of 1 to `most` texts."""
        items, path = self._list(key, most)
        if not items:
            raise BadInput(f"{path}: give at least one")
        for number, item in enumerate(items):
            if not isinstance(item, str) or not 0 < len(item) <= characters:
                raise BadInput(f"{path}[{number}]: must be a text of 1 to {characters} characters")
        return tuple(items)

    def text(
        self, key: str, pattern: re.Pattern[str] | None = None, *, most: int = 4096
    ) -> str | None:
        """Return the text under `key`."""
        if key not in self:
            return None
        value = self.taken(key)
        if not isinstance(value, str) or not 0 < len(value) <= most:
            raise BadInput(
                f"{self._at(key)}: must be a text of 1 to {most} characters, not {value!r:.80}"
            )
        if pattern is not None and not pattern.fullmatch(value):
            raise BadInput(f"{self._at(key)}: {value!r:.120} does not fit {pattern.pattern}")
        return value

    def needed_text(self, key: str, *, most: int, pattern: re.Pattern[str] | None = None) -> str:
        """Return the text under `key`, which must be there."""
        value = self.text(key, pattern, most=most)
        if value is None:
            raise BadInput(f"{self._at(key)}: is missing")
        return value

    def whole(self, key: str, least: int, most: int) -> int | None:
        """Return the whole number under `key`."""
        if key not in self:
            return None
        value = self.taken(key)
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or not least <= value <= most:
            raise BadInput(
                f"{self._at(key)}: must be a whole number of {least} to {most}, not {value!r:.80}"
            )
        return int(value)

    def needed_whole(self, key: str, least: int, most: int) -> int:
        """Return the whole number under `key`, which must be there."""
        value = self.whole(key, least, most)
        if value is None:
            raise BadInput(f"{self._at(key)}: is missing")
        return value

    def number(self, key: str, least: float, most: float) -> float | None:
        """Return the number under `key`."""
        if key not in self:
            return None
        value = self.taken(key)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:
            raise BadInput(
                f"{self._at(key)}: must be a number of {least:g} to {most:g}, not {value!r:.80}"
            )
        return float(value)

    def choice(self, key: str, choices: type[Choice]) -> Choice | None:
        """Return one of `choices`."""
        if key not in self:
            return None
        value = self.taken(key)
        if value not in list(choices):
            raise BadInput(f"{self._at(key)}: {value!r:.80} is none of {', '.join(choices)}")
        return choices(value)

    def needed_choice(self, key: str, choices: type[Choice]) -> Choice:
        """Return one of `choices`, which must be there."""
        value = self.choice(key, choices)
        if value is None:
            raise BadInput(f"{self._at(key)}: is missing; choose from {', '.join(choices)}")
        return value

    def time_ns(self, key: str) -> int | None:
        """Return a time: seconds since the Unix epoch, or ISO 8601 with its zone."""
        if key not in self:
            return None
        value = self.taken(key)
        seconds: float | int = math.nan
        if isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                pass
            else:
                seconds = moment.timestamp() if moment.tzinfo else math.nan
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = value
        if not 0 <= seconds <= TIME_MAX_S:
            example = datetime(2026, 1, 31, 12, tzinfo=UTC).isoformat()
            raise BadInput(
                f"{self._at(key)}: {value!r:.80} is no time; write seconds, or {example}"
            )
        return (
            seconds * 1_000_000_000
            if isinstance(seconds, int)
            else round(seconds * 1000) * 1_000_000
        )

    def _list(self, key: str, most: int) -> tuple[list[Any], str]:
        path, value = self._at(key), self.taken(key)
        if not isinstance(value, list) or len(value) > most:
            raise BadInput(f"{path}: must be a list of at most {most}")
        return value, path

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def fields_of(value: object, path: str) -> Fields:
    """Return the fields of a table.  Raises BadInput when `value` is none."""
    if not isinstance(value, dict):
        raise BadInput(f"{path or 'the campaign document'}: must be an object, not {value!r:.80}")
    return Fields(value, path)
