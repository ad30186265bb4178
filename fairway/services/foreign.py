"""What importers of foreign manifests share: what came of it, and reading tables of unknown words.

    foreign_ankaios, foreign_greengrass, foreign_velocitas  >  Imported(services, warnings)

Rule 1: what has no counterpart here is a warning with its place; what would be unsafe here is refused.
Rule 2: an importer only says what a service is; whether it may run decides the vehicle, as for any other.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairway.catalog.yaml_text import yaml_tree
from fairway.errors import BadInput
from fairway.services.model import Service, service_name
from fairway.services.rules import checked

# The largest manifest says some hundred services; more is not read.
MANIFEST_MAX_CHARS = 1_048_576
_NO_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a foreign manifest."""

    services: tuple[Service, ...]
    warnings: tuple[str, ...] = ()  # "place: what was not taken over, and what that means"


@dataclass(frozen=True, slots=True)
class Image:
    """An image that a foreign manifest calls by a name."""

    digest: str  # sha256:... of the OCI manifest
    entry_point: tuple[str, ...] = ()  # arguments of a manifest follow it


# Returns the image of that name.  Raises BadInput for one that is not known.
FindImage = Callable[[str], Image]


class Notes:
    """Warnings as they are found."""

    def __init__(self) -> None:
        self._said: list[str] = []

    def warn(self, place: str, text: str) -> None:
        """Note what was not taken over."""
        self._said.append(f"{place}: {text}")

    @property
    def said(self) -> tuple[str, ...]:
        """All warnings, each once."""
        return tuple(dict.fromkeys(self._said))


def tree_of(text: str, file: str) -> Any:
    """Return what a text in JSON or YAML says.  Raises BadInput."""
    if len(text) > MANIFEST_MAX_CHARS:
        raise BadInput(f"{file} has {len(text)} characters: at most {MANIFEST_MAX_CHARS} are read")
    if not text.lstrip().startswith(("{", "[")):
        return yaml_tree(text, name=file, problems=[])
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return yaml_tree(text, name=file, problems=[])  # YAML may begin so, too


def table(value: Any, place: str) -> dict[str, Any]:
    """Return a table whose keys are texts, {} for nothing.  Raises BadInput."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"{place}: is {_short(value)}, not a table")
    return {str(key): inner for key, inner in value.items()}


def folded(value: Any, place: str) -> dict[str, Any]:
    """Return a table with its keys in small letters; one that then stands twice is refused."""
    said = table(value, place)
    found = {key.lower(): inner for key, inner in said.items()}
    if len(found) != len(said):
        raise BadInput(f"{place}: a key stands twice, once in other letters")
    return found


def texts(value: Any, place: str) -> tuple[str, ...]:
    """Return a list of texts, () for nothing.  Raises BadInput."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadInput(f"{place}: is {_short(value)}, not a list")
    return tuple(text(one, f"{place}[{number}]") for number, one in enumerate(value))


def text(value: Any, place: str) -> str:
    """Return a text, or a number or yes and no as one.  Raises BadInput."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise BadInput(f"{place}: is {_short(value)}, not a text")
    return str(value)


def is_yes(value: Any) -> bool:
    """Whether a value says yes, as a boolean or as a text."""
    return value is True or str(value).strip().lower() == "true"


def kept(service: Service, place: str) -> Service:
    """Return a service that keeps the rules of all manifests.  Raises BadInput."""
    try:
        return checked(service)
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from error


def named(foreign: str, place: str, notes: Notes) -> str:
    """Return the name that a foreign name becomes here.  Raises BadInput when nothing is left of it."""
    name = _NO_NAME.sub("-", foreign.lower()).strip("-")
    try:
        service_name(name)
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from error
    if name != foreign:
        notes.warn(place, f"{foreign} is called {name} here")
    return name


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 80 else f"{said[:77]}..."
