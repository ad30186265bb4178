"""Which vehicles something is for, and what is known of vehicles that says so.

Rule 1: a target is one vehicle, one fleet, or whatever a query over attributes means, and is looked at anew
        whenever attributes change.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fairway.errors import BadInput
from fairway.identity import tenant_name
from fairway.ids import vehicle_id
from fleet_cloud.control.query import Value, parse

# What is worth knowing of a vehicle when something is aimed: model, year, market, trim, parts.
ATTRIBUTES_MAX = 64
ATTRIBUTE_MAX_CHARACTERS = 256
FLEETS_MAX = 64
_ATTRIBUTE = re.compile(r"[A-Za-z_][\w.-]{0,63}", re.ASCII)
_RESERVED = frozenset({"id", "and", "or", "not", "in", "true", "false"})


class TargetKind(StrEnum):
    """How vehicles are named."""

    VEHICLE = "vehicle"
    FLEET = "fleet"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class Target:
    """Which vehicles something is for."""

    kind: TargetKind
    text: str  # a vehicle's id, a fleet's name, or a query

    @property
    def fleet(self) -> str:
        """The fleet that a grant must cover to see what is for it; `*`: the whole tenant."""
        return self.text if self.kind is TargetKind.FLEET else "*"


def target_of(kind: TargetKind, text: str) -> Target:
    """Return the target, checked.  Raises BadInput."""
    match kind:
        case TargetKind.VEHICLE:
            vehicle_id(text)
        case TargetKind.FLEET:
            fleet_name(text)
        case TargetKind.QUERY:
            parse(text)
    return Target(kind, text)


def fleet_name(text: str) -> str:
    """Return `text` when a fleet may be called so.  Raises BadInput."""
    try:
        return tenant_name(text)
    except BadInput as error:
        raise BadInput(
            f"{text[:80]!r} is not a fleet: 1 to 64 of A-Z a-z 0-9 . _ - beginning with a letter or digit"
        ) from error


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a vehicle beside its name."""

    attributes: Mapping[str, Value] = field(default_factory=dict)
    fleets: frozenset[str] = frozenset()


def checked_facts(facts: Facts) -> Facts:
    """Return `facts` when they may be kept.  Raises BadInput."""
    if len(facts.attributes) > ATTRIBUTES_MAX or len(facts.fleets) > FLEETS_MAX:
        raise BadInput(
            f"a vehicle has at most {ATTRIBUTES_MAX} attributes and is in at most {FLEETS_MAX} fleets"
        )
    for name, value in facts.attributes.items():
        if not _ATTRIBUTE.fullmatch(name) or name in _RESERVED:
            raise BadInput(
                f"{name[:80]!r} names no attribute: 1 to 64 of A-Z a-z 0-9 _ . - beginning with a letter"
            )
        if isinstance(value, str) and len(value) > ATTRIBUTE_MAX_CHARACTERS:
            raise BadInput(
                f"the attribute {name} is longer than {ATTRIBUTE_MAX_CHARACTERS} characters"
            )
    for fleet in facts.fleets:
        fleet_name(fleet)
    return facts
