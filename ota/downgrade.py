"""Signed exceptions from "a release counter never falls": one image, back to one counter, in some vehicles.

    "custom": {"downgrade": [{"vehicles": ["CAR1"], "name": "brake-fw", "to_counter": 4}]}

It stands in the targets metadata of the role that lists the older image: who may release it may let it return.
The Director has to order it as a downgrade besides.  What is signed once may be replayed: so it names vehicles,
never all of them, and is taken out when they have followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairway.errors import BadInput
from fairway.ids import vehicle_id
from ota.custom import NAME_MAX_CHARS, NUMBER_MAX

VEHICLES_MAX = 10_000
STATEMENTS_MAX = 256


@dataclass(frozen=True, slots=True)
class Downgrade:
    """One exception."""

    vehicles: tuple[str, ...]
    name: str  # of the image: "brake-fw"
    to_counter: int


def with_downgrade(custom: Mapping[str, Any], downgrade: Downgrade) -> dict[str, Any]:
    """Return a role's custom data with one more exception.  Raises BadInput."""
    for vehicle in downgrade.vehicles:
        vehicle_id(vehicle)
    if not 0 < len(downgrade.vehicles) <= VEHICLES_MAX:
        raise BadInput(
            f"a downgrade names {len(downgrade.vehicles)} vehicles: name 1 to {VEHICLES_MAX}, each by its id"
        )
    if not 0 < len(downgrade.name) <= NAME_MAX_CHARS or not 0 <= downgrade.to_counter <= NUMBER_MAX:
        raise BadInput(f"{downgrade.name!r:.80} {downgrade.to_counter} is no image and counter")
    said = {
        "vehicles": list(downgrade.vehicles),
        "name": downgrade.name,
        "to_counter": downgrade.to_counter,
    }
    statements = [one for one in _statements(custom) if one != said]
    if len(statements) >= STATEMENTS_MAX:
        raise BadInput(
            f"there are {STATEMENTS_MAX} downgrades in this role: take out those that vehicles have followed"
        )
    return dict(custom) | {"downgrade": [*statements, said]}


def without_downgrades(custom: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a role's custom data without the exceptions for an image."""
    left = [
        one
        for one in _statements(custom)
        if not (isinstance(one, dict) and one.get("name") == name)
    ]
    rest = {key: value for key, value in custom.items() if key != "downgrade"}
    return rest | ({"downgrade": left} if left else {})


def allows(custom: Mapping[str, Any], wanted: Downgrade) -> bool:
    """Whether a role's custom data has an exception that covers all of `wanted`."""
    return any(
        isinstance(one, dict)
        and isinstance(one.get("vehicles"), list)
        and all(vehicle in one["vehicles"] for vehicle in wanted.vehicles)
        and one.get("name") == wanted.name
        and type(one.get("to_counter")) is int  # true is 1, too, for Python
        and one["to_counter"] == wanted.to_counter
        for one in _statements(custom)
    )


def _statements(custom: Mapping[str, Any]) -> list[Any]:
    said = custom.get("downgrade")
    if said is None:
        return []
    return said if isinstance(said, list) else [said]
