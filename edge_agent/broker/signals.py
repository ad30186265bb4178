"""The signals that apps see: numbers that are good for a run, and what each number stands for.

    7  Vehicle.Speed      float    sensor, km/h, 0 to 250, every value counts
    8  can0.MOTION.Yaw    double   sensor, deg/s: no catalogue names it, so its bus does

Rule 1: a number is a position: columns of the store are indexed by it, and a restart may give others.
Rule 2: leaves of the catalogue come first, in its order; then what buses bring that no leaf names.
Rule 3: a pattern without a wildcard names a leaf, or all below a branch; `*` is one level, `**` any number.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge_agent.broker.access import PATH_MAX_CHARS
from fairway.catalog.model import FLOAT_RANGES, INTEGER_RANGES, Leaf
from fairway.errors import BadInput
from fairway.signals import Kind, Signal, SignalTable

# Patterns of many wildcards take long to try: a standard path has nine levels at most.
PATTERN_MAX_LEVELS = 32
PATTERN_MAX_REPEATS = 3

_DATATYPES = {Kind.NUMBER: "double", Kind.BOOL: "boolean", Kind.TEXT: "string"}
_LEVEL = re.compile(r"\*\*?|[^*\s]+")


class Signals:
    """All signals of a run."""

    def __init__(self, leaves: Iterable[Leaf]) -> None:
        self.leaves: tuple[Leaf, ...] = tuple(leaves)
        self._index = {leaf.path: number for number, leaf in enumerate(self.leaves)}
        datatypes = [leaf.datatype for leaf in self.leaves]
        # What a plain number is kept as: texts and arrays are objects beside the columns.
        self.is_number = np.array([is_number(datatype) for datatype in datatypes], np.bool_)
        self.is_on_change = np.array(
            [leaf.change_type != "continuous" for leaf in self.leaves], np.bool_
        )

    def __len__(self) -> int:
        return len(self.leaves)

    def __iter__(self) -> Iterator[Leaf]:
        return iter(self.leaves)

    def __getitem__(self, number: int) -> Leaf:
        return self.leaves[number]

    def find(self, path: str) -> int | None:
        """Return the number of the signal at `path`, or None."""
        return self._index.get(path)

    def matching(self, pattern: str) -> list[int]:
        """Return the numbers of the signals `pattern` is for, in order.  Raises BadInput for no pattern."""
        exact = self._index.get(pattern)
        if exact is not None:
            return [exact]
        matches = _matcher(pattern).fullmatch
        return [number for number, leaf in enumerate(self.leaves) if matches(leaf.path)]

    def numbers_of(self, table: SignalTable) -> NDArray[np.int32]:
        """Return for each row of a table the number its signal has here.  Raises BadInput."""
        found = [self.find(signal.name) for signal in table]
        if None in found:
            raise BadInput(f"no signal is called {table[found.index(None)].name}")
        return np.array(found, np.int32)


def signals_of(leaves: Iterable[Leaf], table: SignalTable) -> Signals:
    """Return the signals of a catalogue, and after them those of `table` that it does not name."""
    known = [leaf for leaf in leaves if leaf.datatype.removesuffix("[]") in _KNOWN]
    named = {leaf.path for leaf in known}
    return Signals(known + [_unnamed(signal) for signal in table if signal.name not in named])


def is_number(datatype: str) -> bool:
    """Return whether values of `datatype` are plain numbers or truths that a float64 holds."""
    # Beyond 2**53 a float64 has gaps: what an app says of 64 bits is kept as it is.
    return datatype == "boolean" or datatype in FLOAT_RANGES or datatype in _EXACT


# A struct, or a type that is a mistake, is a problem of the catalogue: nobody could set or read it.
_KNOWN = frozenset((*INTEGER_RANGES, *FLOAT_RANGES, "boolean", "string"))
_EXACT = frozenset(name for name in INTEGER_RANGES if not name.endswith("64"))


def _unnamed(signal: Signal) -> Leaf:
    return Leaf(
        signal.name,
        _DATATYPES[signal.kind],
        "sensor",
        unit=signal.unit,
        description="A signal of a bus that no mapping names.",
    )


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> re.Pattern[str]:
    """Return what matches the paths that `pattern` is for.  Raises BadInput."""
    text = "**" if pattern in ("", '""') else pattern
    levels = text.split(".")
    if len(text) > PATH_MAX_CHARS or len(levels) > PATTERN_MAX_LEVELS:
        raise BadInput(f"a pattern of {len(text)} characters is too long: {text[:80]!r}")
    if not all(_LEVEL.fullmatch(level) for level in levels):
        raise BadInput(f"{text[:80]!r} is no pattern: levels are names, * or **, with dots between")
    if levels.count("**") > PATTERN_MAX_REPEATS:
        raise BadInput(f"{text[:80]!r} has more than {PATTERN_MAX_REPEATS} levels that are **")
    if "*" not in text:
        return re.compile(re.escape(text) + r"(?:\..+)?")
    return re.compile(_expression(levels))


def _expression(levels: Sequence[str]) -> str:
    """Return a regular expression; its steps end at dots, so that it cannot run away."""
    parts: list[str] = []
    for number, level in enumerate(levels):
        is_last = number == len(levels) - 1
        if level == "**" and is_last:
            parts.append(r".+")
        elif level == "**":
            parts.append(r"(?:[^.]+\.)*")
        else:
            name = r"[^.]+" if level == "*" else re.escape(level)
            parts.append(name if is_last else name + r"\.")
    return "".join(parts)
