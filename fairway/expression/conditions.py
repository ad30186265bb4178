"""Conditions on signals of the vehicle, for interlocks and for frames that may go out: text -> tree -> truth.

    Vehicle.Speed == 0 and not Vehicle.Cabin.Door.Row1.DriverSide.IsOpen

The language is that of `transform: math` (arithmetic.py) with VSS paths as names, and with `true` and `false`.

Rule 1: a path becomes a name of the same length, so that an error still tells the right character.
Rule 2: a condition holds, does not hold, or cannot be told: a value that is not there, or a division by zero,
        makes it the last, and whoever asks must take that for a no.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fairway.errors import BadInput
from fairway.expression.arithmetic import CONSTANTS, EXPRESSION_MAX_CHARACTERS, parse
from fairway.expression.columns import Columns, Floats, compiled

_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+(?![A-Za-z0-9_.(])")
_TRUTH = re.compile(r"(?<![A-Za-z0-9_.])(?:true|false)(?![A-Za-z0-9_.(])")


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was understood."""

    text: str
    paths: tuple[str, ...]  # of the signals that it asks for, each once
    _names: tuple[str, ...]
    _evaluate: Callable[[Columns], Floats]

    def holds(self, values: Mapping[str, float]) -> bool | None:
        """Return whether it holds for values by path; None when that cannot be told."""
        columns = {
            name: np.array([values.get(path, math.nan)])
            for name, path in zip(self._names, self.paths, strict=True)
        }
        found = float(self._evaluate(columns or {"": np.zeros(1)})[0])
        # An unknown value makes the whole unknown, even where `or` could do without: no is the safe answer.
        is_told = not math.isnan(found) and not any(
            np.isnan(column[0]) for column in columns.values()
        )
        return found != 0.0 if is_told else None


def condition(text: str) -> Condition:
    """Return the condition that `text` says.  Raises BadInput with the position of what is wrong."""
    if not text.strip():
        raise BadInput("a condition is empty")
    if len(text) > EXPRESSION_MAX_CHARACTERS:
        raise BadInput(f"the condition has more than {EXPRESSION_MAX_CHARACTERS} characters")
    paths: dict[str, str] = {}  # by name

    def named(match: re.Match[str]) -> str:
        path = match.group()
        name = path.replace(".", "_")
        if paths.setdefault(name, path) != path:
            raise BadInput(f"the paths {paths[name]} and {path} cannot stand in one condition")
        return name

    plain = _TRUTH.sub(
        lambda match: ("1" if match.group() == "true" else "0").ljust(len(match.group())), text
    )
    plain = _PATH.sub(named, plain)
    try:
        node = parse(plain, paths)
    except BadInput as error:
        raise BadInput(f"the condition {text!r:.120}: {_as_written(str(error), paths)}") from error
    if any(name in CONSTANTS for name in paths):
        raise BadInput(f"the condition {text!r:.120} names a constant as a signal")
    return Condition(text, tuple(paths.values()), tuple(paths), compiled(node))


def _as_written(sentence: str, paths: Mapping[str, str]) -> str:
    for name, path in paths.items():
        sentence = sentence.replace(name, path)
    return sentence
