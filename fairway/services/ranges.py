"""Which versions of an offer a user takes: ranges as npm and Greengrass write them.

    1.4.2      ^1.2   1.2.0 up to 2.0.0       ~1.2   1.2.0 up to 1.3.0       >=1.2 <2      1.2 || 2.x      *

Rule 1: a part that is left out is any: 1.2 is every 1.2.x, and >1.2 begins at 1.3.0.
Rule 2: ^ holds the first part that is not 0, as semver wants it: ^0.2 is every 0.2.x.
"""

import re
from dataclasses import dataclass

from fairway.errors import BadInput

Version = tuple[int, int, int]
# What a person writes; nobody needs more than two ends and an alternative.
RANGE_MAX_CHARS = 100

_PARTS = re.compile(r"(\d{1,9})(?:\.(\d{1,9}|x|\*)(?:\.(\d{1,9}|x|\*))?)?")
_COMPARATOR = re.compile(r"(>=|<=|>|<|=|\^|~)?\s*(\*|x|\d[\d.x*]*)(?:[\s,]+|$)")
_LOWEST: Version = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Range:
    """Versions from one (with it) up to another (without it), as often as alternatives were named."""

    spans: tuple[tuple[Version, Version | None], ...]
    text: str

    def has(self, version: Version) -> bool:
        """Return whether `version` lies in it."""
        return any(low <= version and (high is None or version < high) for low, high in self.spans)

    def __str__(self) -> str:
        return self.text


def version_of(text: str) -> Version:
    """Read major.minor.patch, of which the last two may be left out.  Raises BadInput."""
    found = _PARTS.fullmatch(text)
    if found is None or not all(part is None or part.isdecimal() for part in found.groups()):
        raise BadInput(f"{text[:80]!r} is no version: write major.minor.patch, as in 1.4.2")
    major, minor, patch = (int(part or 0) for part in found.groups())
    return major, minor, patch


def range_of(text: str) -> Range:
    """Read a range of versions.  Raises BadInput."""
    if len(text) > RANGE_MAX_CHARS:
        raise BadInput(f"a range of versions has {len(text)} characters: write a shorter one")
    return Range(tuple(_span(part.strip(), text) for part in text.split("||")), text.strip())


def _span(part: str, text: str) -> tuple[Version, Version | None]:
    """Return where all comparators of `part` hold."""
    low, high, at = _LOWEST, None, 0
    while at < len(part):
        found = _COMPARATOR.match(part, at)
        if found is None:
            break
        at = found.end()
        least, most = _ends(found[1] or "=", found[2], text)
        low = max(low, least)
        high = most if high is None else high if most is None else min(high, most)
    if at < len(part) or not part:
        raise BadInput(f"{text[:80]!r} is no range of versions: write one as in >=1.2 <2 or ^1.2")
    return low, high


def _ends(sign: str, word: str, text: str) -> tuple[Version, Version | None]:
    """Return the first version that fits, and the first beyond."""
    if word in ("*", "x"):
        return _LOWEST, None
    found = _PARTS.fullmatch(word)
    if found is None:
        raise BadInput(f"{word!r} in {text[:80]!r} is no version: write one as in 1.2 or 1.2.3")
    said = [int(part) for part in found.groups() if part is not None and part.isdecimal()]
    version: Version = (said[0], said[1] if len(said) > 1 else 0, said[2] if len(said) > 2 else 0)
    beyond = _next(said, len(said))
    if sign in (">=", "<"):
        return (version, None) if sign == ">=" else (_LOWEST, version)
    if sign in (">", "<="):
        return (beyond, None) if sign == ">" else (_LOWEST, beyond)
    if sign == "~":
        return version, _next(said, min(2, len(said)))
    if sign == "^":
        held = next((at for at, part in enumerate(said) if part), len(said) - 1)
        return version, _next(said, held + 1)
    return version, beyond


def _next(said: list[int], held: int) -> Version:
    """Return the first version that differs in the first `held` parts."""
    parts = [*said[: held - 1], said[held - 1] + 1, 0, 0]
    return parts[0], parts[1], parts[2]
