"""What outlives a power cut: which services are wanted, and of each where its change stands.

    wanted          the services that are declared, who declared them, and what a person stopped
    service.NAME    the version in force, the good one before it, the change under way, versions that failed

Rule 1: manifests are kept whole: what has to come back after a power cut needs nobody to send it again.
Rule 2: what cannot be read is BadInput; whoever reads forgets it and says so.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Any

from fairway.errors import BadInput
from fairway.services.manifest import service_digest, service_document, service_of
from fairway.services.model import Service

FORMAT = 1
# The newest are kept; older versions may be tried again.
BAD_MAX = 8
WHY_MAX_CHARS = 300
WANTED = "wanted"


class Source(IntEnum):
    """Who declared a service; nobody replaces what a higher one declared."""

    FILE = 0  # named in the settings
    LOCAL = 1  # a person at the vehicle
    CLOUD = 2
    UPDATE = 3  # a signed update


class Phase(StrEnum):
    """Where the change of a service stands; the table is in change.py."""

    FETCH = "fetch"  # the new version's image and what it depends on; the old one runs
    BESIDE = "beside"  # both run, the old one is in force, the new one proves itself
    STOP_OLD = "stop_old"
    PROVE = "prove"  # the new one runs alone and proves itself
    RETIRE = "retire"  # the new one is in force, the old one ends
    ROLL_BACK = "roll_back"  # the new one ends, the old one is in force


@dataclass(frozen=True, slots=True)
class Moving:
    """A change under way."""

    target: Service
    phase: Phase
    tries: int = 0  # so often it was found under way by an agent that had just started


@dataclass(frozen=True, slots=True)
class Bad:
    """A version that failed here."""

    id: str
    version: str
    why: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of one service."""

    good: Service | None = None  # in force, and proven
    previous: Service | None = None  # the good one before it
    change: Moving | None = None
    bad: tuple[Bad, ...] = ()
    is_seasoned: bool = False  # the version in force was well for a while

    def is_bad(self, id_: str) -> bool:
        """Whether a version failed here."""
        return any(one.id == id_ for one in self.bad)


@dataclass(frozen=True, slots=True)
class Declared:
    """A service that is wanted."""

    service: Service
    source: Source


@dataclass(frozen=True, slots=True)
class Wanted:
    """All of them."""

    declared: tuple[Declared, ...] = ()
    by_hand: Mapping[str, bool] = field(
        default_factory=dict
    )  # started (True) or stopped by a person
    revision: str = ""  # of the cloud's list

    @property
    def services(self) -> tuple[Service, ...]:
        """What is declared."""
        return tuple(one.service for one in self.declared)


@lru_cache(maxsize=1024)
def instance_id(service: Service) -> str:
    """Return the name of a version: its service and 12 hex digits of all that its manifest says."""
    return f"{service.name}.{service_digest(service)[:12]}"


def record_name(service: str) -> str:
    """Return the name under which the record of a service is kept."""
    return f"service.{service}"


def record_to_bytes(record: Record) -> bytes:
    """Return the record of a service as it is kept."""
    change = record.change
    return _to_bytes(
        {
            "good": _document(record.good),
            "previous": _document(record.previous),
            "change": None
            if change is None
            else {
                "target": _document(change.target),
                "phase": str(change.phase),
                "tries": change.tries,
            },
            "bad": [[one.id, one.version, one.why] for one in record.bad],
            "seasoned": record.is_seasoned,
        }
    )


def record_from_bytes(content: bytes) -> Record:
    """Return the record of a service.  Raises BadInput."""
    tree = _tree(content)
    try:
        change = tree["change"]
        return Record(
            good=_service(tree["good"]),
            previous=_service(tree["previous"]),
            change=None
            if change is None
            else Moving(
                service_of(change["target"]),
                Phase(change["phase"]),
                _whole(change["tries"]),
            ),
            bad=tuple(
                Bad(_text(id_), _text(version), _text(why)) for id_, version, why in tree["bad"]
            ),
            is_seasoned=_yes(tree["seasoned"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"no record of a service: {error!r:.200}") from error


def wanted_to_bytes(wanted: Wanted) -> bytes:
    """Return the wanted state as it is kept."""
    return _to_bytes(
        {
            "declared": [
                [one.source.name, service_document(one.service)] for one in wanted.declared
            ],
            "by_hand": dict(wanted.by_hand),
            "revision": wanted.revision,
        }
    )


def wanted_from_bytes(content: bytes) -> Wanted:
    """Return the wanted state.  Raises BadInput."""
    tree = _tree(content)
    try:
        declared = tuple(
            Declared(service_of(document), Source[source]) for source, document in tree["declared"]
        )
        by_hand = {_text(name): _yes(is_on) for name, is_on in dict(tree["by_hand"]).items()}
        wanted = Wanted(declared, by_hand, _text(tree["revision"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"no list of wanted services: {error!r:.200}") from error
    if len({one.service.name for one in wanted.declared}) != len(wanted.declared):
        raise BadInput("no list of wanted services: a name stands twice")
    return wanted


def _to_bytes(tree: dict[str, Any]) -> bytes:
    return json.dumps({"format": FORMAT} | tree, separators=(",", ":")).encode()


def _tree(content: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"a record is no JSON: {error}") from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise BadInput(f"a record is not of format {FORMAT}")
    return tree


def _document(service: Service | None) -> dict[str, Any] | None:
    return None if service is None else service_document(service)


def _service(document: object) -> Service | None:
    return None if document is None else service_of(document, file="a record")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is no text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r:.80} is no whole number")
    return value


def _yes(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r:.80} is neither true nor false")
    return value
