"""The tree that VISS shows: which signals a request means, metadata of nodes, and what the server can do.

    Vehicle.Cabin + ["Door.*.*.IsOpen", "Seat"]  ->  the doors' leaves, and all leaves below the branch Seat

Rule 1: only what may be read is seen: a name that may not be is forbidden, a wildcard passes over it.
Rule 2: a branch has no metadata of its own here: the catalogue says something of leaves only.
"""

from collections.abc import Sequence
from typing import Any

from edge_agent.broker.access import Action, Rights
from edge_agent.broker.signals import Signals
from edge_agent.broker.viss_dialects import Problem, Refused
from edge_agent.broker.viss_filters import Filters, Metadata
from edge_agent.broker.viss_requests import text_of_value
from fairway.catalog.model import Leaf
from fairway.errors import BadInput

# Version 3: what clients may ask for without a token.
CAPABILITIES: dict[str, tuple[str, ...]] = {
    "Server.Support.Protocol": ("ws", "http"),
    "Server.Support.Security": ("tls", "jwt"),
    "Server.Support.Filter": (
        *("paths", "timebased", "range", "change", "curvelog", "history", "metadata"),
    ),
    "Server.Support.Encoding": ("primary",),
}


def meant(signals: Signals, rights: Rights, path: str, filters: Filters) -> list[int]:
    """Return the signals that a request means, each once, in its order.  Raises Refused."""
    if not filters.paths:
        return [leaf_at(signals, rights, path)]
    found: dict[int, None] = {}
    for relative in filters.paths:
        found |= dict.fromkeys(_named(signals, rights, f"{path}.{relative}"))
    return list(found)


def leaf_at(signals: Signals, rights: Rights, path: str, action: Action = Action.READ) -> int:
    """Return the signal at `path`.  Raises Refused: rights come first."""
    number = signals.find(path)
    if not rights.may(action, path):
        # Who may read below a branch may know that it is one.
        if number is None and _below(signals, rights, path):
            raise Refused(Problem.BRANCH)
        raise Refused(Problem.FORBIDDEN)
    if number is None:
        raise Refused(Problem.BRANCH if _below(signals, rights, path) else Problem.UNKNOWN_PATH)
    return number


def below(signals: Signals, rights: Rights, path: str) -> list[int]:
    """Return the readable signals at or below `path`.  Raises Refused when there is none."""
    found = _below(signals, rights, path)
    if not found:
        problem = Problem.UNKNOWN_PATH if rights.may(Action.READ, path) else Problem.FORBIDDEN
        raise Refused(problem)
    return found


def metadata(
    signals: Signals, rights: Rights, path: str, filters: Filters, asked: Metadata
) -> dict[str, Any]:
    """Return what is known of the nodes of a request, nested as they are.  Raises Refused."""
    roots = [path] if not filters.paths else []
    for relative in filters.paths:
        roots += _nodes(signals, rights, f"{path}.{relative}")
    told: dict[str, Any] = {}
    for root in dict.fromkeys(roots):
        name = root if filters.paths else root.rpartition(".")[2]
        told[name] = _node(signals, below(signals, rights, root), root, asked.generations)
    return told


def capabilities(path: str) -> dict[str, tuple[str, ...]]:
    """Return what the server can do at or below `path` of its own tree; nothing when it has no such node."""
    return {
        leaf: names
        for leaf, names in CAPABILITIES.items()
        if leaf == path or leaf.startswith(path + ".")
    }


def is_servers(path: str) -> bool:
    """Whether `path` is one of the server's own tree."""
    return path == "Server" or path.startswith("Server.")


def _named(signals: Signals, rights: Rights, pattern: str) -> list[int]:
    """Return the leaves of a path or a pattern; where it ends at a branch, all below."""
    if "*" not in pattern:
        if signals.find(pattern) is not None:
            return [leaf_at(signals, rights, pattern)]
        return below(signals, rights, pattern)
    found = dict.fromkeys((*_matching(signals, pattern), *_matching(signals, f"{pattern}.**")))
    readable = [number for number in found if rights.may(Action.READ, signals[number].path)]
    if not readable:
        raise Refused(Problem.UNKNOWN_PATH)
    return sorted(readable)


def _nodes(signals: Signals, rights: Rights, pattern: str) -> list[str]:
    """Return the paths of the nodes that a pattern addresses."""
    count = pattern.count(".") + 1
    paths = (signals[number].path.split(".") for number in _named(signals, rights, pattern))
    return list(dict.fromkeys(".".join(levels[:count]) for levels in paths))


def _below(signals: Signals, rights: Rights, path: str) -> list[int]:
    return [
        number
        for number in _matching(signals, path)
        if rights.may(Action.READ, signals[number].path)
    ]


def _matching(signals: Signals, pattern: str) -> list[int]:
    try:
        return signals.matching(pattern)
    except BadInput as error:
        raise Refused(Problem.BAD_REQUEST, str(error)) from error


def _node(signals: Signals, numbers: Sequence[int], path: str, generations: int) -> dict[str, Any]:
    """Return a node with so many generations; 0 for all of them."""
    if len(numbers) == 1 and signals[numbers[0]].path == path:
        return _leaf(signals[numbers[0]])
    children: dict[str, list[int]] = {}
    for number in numbers:
        name = signals[number].path[len(path) + 1 :].partition(".")[0]
        children.setdefault(name, []).append(number)
    if generations == 1:
        return {"type": "branch", "children": list(children)}
    rest = generations - 1 if generations else 0
    return {
        "type": "branch",
        "children": {
            name: _node(signals, its, f"{path}.{name}", rest) for name, its in children.items()
        },
    }


def _leaf(leaf: Leaf) -> dict[str, Any]:
    told: dict[str, Any] = {"type": leaf.type, "datatype": leaf.datatype}
    for name in ("description", "unit", "comment", "deprecation"):
        if text := getattr(leaf, name):
            told[name] = text
    for name in ("min", "max"):
        bound = getattr(leaf, name)
        if bound is not None:
            told[name] = f"{bound:g}" if abs(bound) < 1e6 else str(bound)
    if leaf.allowed:
        told["allowed"] = [str(value) for value in leaf.allowed]
    if leaf.default is not None:
        told["default"] = text_of_value(leaf.default, "string")
    return told
