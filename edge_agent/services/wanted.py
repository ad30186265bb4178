"""Orders on the wanted state: who may declare what, and what a person switched.

Rule 1: an order is taken whole or not at all.
Rule 2: nobody replaces what a higher source declared: the settings' files < people at the vehicle < the cloud
        < a signed update.
Rule 3: a vehicle that has less to give than before refuses nobody it already took; who does not fit waits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace as with_

from edge_agent.services.dependencies import start_order
from edge_agent.services.records import Declared, Source, Wanted
from fairway.errors import BadInput, Conflict
from fairway.services.model import Service
from fairway.services.needs import Room, refusals

_WHO = {
    Source.FILE: "the vehicle's settings",
    Source.LOCAL: "the vehicle",
    Source.CLOUD: "the cloud",
    Source.UPDATE: "a signed update",
}


def applied(
    before: Wanted,
    services: Sequence[Service],
    source: Source,
    room: Room,
    *,
    replace: bool = False,
    revision: str | None = None,
) -> Wanted:
    """Return the wanted state with `services`; `replace`: and without what else `source` declared.

    Raises BadInput for what cannot run here, Conflict for what a higher source declared.
    """
    names = Counter(one.name for one in services)
    if twice := [name for name, count in names.items() if count > 1]:
        raise BadInput(f"{twice[0]} stands twice: a service has one manifest")
    for one in before.declared:
        if one.service.name in names and one.source > source:
            raise Conflict(
                f"{one.service.name} is declared by {_WHO[one.source]}: {_WHO[source]} cannot replace it"
            )
    given = {one.name: Declared(one, source) for one in services}
    declared = [
        given.pop(one.service.name, one)
        for one in before.declared
        if one.service.name in names or not (replace and one.source is source)
    ]
    declared += given.values()
    changed = (
        {one.name for one in services} if source is Source.LOCAL else _changed(before, services)
    )
    after = Wanted(
        tuple(declared),
        _by_hand(before, {one.service.name for one in declared} - changed),
        before.revision if revision is None else revision,
    )
    _checked(before, after, set(names), room)
    return after


def switched(before: Wanted, name: str, *, is_on: bool) -> Wanted:
    """Return the wanted state after a person started or stopped a service."""
    active = next(one.is_active for one in before.services if one.name == name)
    by_hand = _by_hand(before, {*before.by_hand} - {name})
    # A start of what runs by itself only takes a stop back.
    return with_(before, by_hand=by_hand if is_on and active else {**by_hand, name: is_on})


def _changed(before: Wanted, services: Sequence[Service]) -> set[str]:
    known = {one.name: one for one in before.services}
    return {one.name for one in services if known.get(one.name) != one}


def _by_hand(before: Wanted, names: set[str]) -> dict[str, bool]:
    return {name: is_on for name, is_on in before.by_hand.items() if name in names}


def _checked(before: Wanted, after: Wanted, names: set[str], room: Room) -> None:
    start_order(after.services)
    known = refusals(before.services, room)
    refused = {
        name: why
        for name, why in refusals(after.services, room).items()
        if name in names or name not in known
    }
    if refused:
        raise BadInput("; ".join(f"{name}: {why}" for name, why in refused.items()))
