"""Who waits for whom: what is started first, what is stopped first, and circles, which are refused.

    dash waits for battery, battery waits for setup:    start setup, battery, dash; stop dash, battery, setup

Rule 1: a circle is refused and named; so is a service that nobody declared.
Rule 2: a service is stopped after all that wait for it, as far as they are to stop, too.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from fairway.errors import BadInput
from fairway.services.model import Condition, Service

_WAITED = {
    Condition.RUNNING: "runs",
    Condition.SUCCEEDED: "has succeeded",
    Condition.FAILED: "has failed",
    Condition.HEALTHY: "is healthy",
}


def start_order(services: Iterable[Service]) -> tuple[str, ...]:
    """Return names so that each comes after those it waits for, else in the order given.

    Raises BadInput for a circle, which it names, and for a dependency or a stand-in that is not declared.
    """
    declared = {service.name: service for service in services}
    for service in declared.values():
        for name in [name for name, _ in service.depends_on]:
            if name not in declared:
                raise BadInput(
                    f"{service.name} waits for {name}, which is not declared: declare it, too"
                )
        if service.fall_back and service.fall_back not in declared:
            raise BadInput(
                f"{service.name} falls back to {service.fall_back}, which is not declared: declare it, too"
            )
    order: list[str] = []
    done: set[str] = set()
    for name in declared:
        _visit(name, declared, done, order)
    return tuple(order)


def _visit(first: str, declared: Mapping[str, Service], done: set[str], order: list[str]) -> None:
    """Put `first` and all it waits for into order, without recursion: chains may be long."""
    path: list[str] = []
    open_: list[tuple[str, bool]] = [(first, False)]
    while open_:
        name, is_leaving = open_.pop()
        if is_leaving:
            path.pop()
            done.add(name)
            order.append(name)
            continue
        if name in done:
            continue
        if name in path:
            circle = [*path[path.index(name) :], name]
            raise BadInput(f"services wait for each other in a circle: {' -> '.join(circle)}")
        path.append(name)
        open_.append((name, True))
        open_ += [(other, False) for other, _ in reversed(declared[name].depends_on)]


def stop_order(services: Iterable[Service]) -> tuple[str, ...]:
    """Return names so that each comes before those it waits for.  Raises BadInput as start_order."""
    return tuple(reversed(start_order(services)))


def waits_for(service: Service, met: Callable[[str], Collection[Condition]]) -> str:
    """Return what a service waits for before it starts, in one sentence; "" when nothing is missing."""
    missing = [
        f"{name} {_WAITED[condition]}"
        for name, condition in service.depends_on
        if condition not in met(name)
    ]
    return f"it waits until {' and '.join(missing)}" if missing else ""


def waited_for_by(name: str, stopping: Iterable[Service], alive: Collection[str]) -> str:
    """Return for whom `name` waits before it stops: who needs it, stops, too, and is there still."""
    needs = (Condition.RUNNING, Condition.HEALTHY)
    users = [
        service.name
        for service in stopping
        if service.name in alive
        and any(other == name and condition in needs for other, condition in service.depends_on)
    ]
    return f"it stops after {', '.join(sorted(users))}" if users else ""
