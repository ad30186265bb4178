"""The tree that VISS shows: which signals a request means, metadata of nodes, and what the server can do.

    Vehicle.Cabin + ["Door.*.*.IsOpen", "Seat"]  ->  the doors' leaves, and all leaves below the branch Seat

A tree is walked level by level: 64 patterns that each mean all 1,263 leaves of VSS 6.0 cost 26 ms.

Rule 1: only what may be read is seen: a name that may not be is forbidden, a wildcard passes over it.
Rule 2: a branch has no metadata of its own here: the catalogue says something of leaves only.
"""

from dataclasses import dataclass, field
from typing import Any

from edge_agent.broker.access import Action, Rights
from edge_agent.broker.signals import Signals
from edge_agent.broker.viss_dialects import Problem, Refused
from edge_agent.broker.viss_filters import Filters, Metadata
from edge_agent.broker.viss_requests import text_of_value
from fairway.catalog.model import Leaf

# Version 3: what clients may ask for without a token.
CAPABILITIES: dict[str, tuple[str, ...]] = {
    "Server.Support.Protocol": ("ws", "http"),
    "Server.Support.Security": ("tls", "jwt"),
    "Server.Support.Filter": (
        *("paths", "timebased", "range", "change", "curvelog", "history", "metadata"),
    ),
    "Server.Support.Encoding": ("primary",),
}


@dataclass(slots=True, eq=False)
class Node:
    """A leaf or a branch."""

    path: str
    number: int | None = None  # of the signal, where there is one
    children: "dict[str, Node]" = field(default_factory=dict)
    leaves: list[int] = field(default_factory=list)  # at or below it


class Tree:
    """All signals by the levels of their paths."""

    def __init__(self, signals: Signals) -> None:
        self.signals = signals
        self._root = Node("")
        for number, one in enumerate(signals):
            node, path = self._root, ""
            for level in one.path.split("."):
                path = f"{path}.{level}" if path else level
                node = node.children.setdefault(level, Node(path))
                node.leaves.append(number)
            node.number = number

    def nodes(self, pattern: str) -> list[Node]:
        """Return the nodes that a path means, or a pattern whose * are one level each."""
        nodes = [self._root]
        for level in pattern.split("."):
            if level == "*":
                nodes = [child for node in nodes for child in node.children.values()]
            else:
                nodes = [node.children[level] for node in nodes if level in node.children]
        return nodes

    def leaf(self, rights: Rights, path: str, action: Action = Action.READ) -> int:
        """Return the signal at `path`.  Raises Refused: rights come first."""
        number = self.signals.find(path)
        if number is not None and rights.may(action, path):
            return number
        # Who may read below a branch may know that it is one.
        is_branch = number is None and self._readable(rights, self.nodes(path))
        if is_branch:
            raise Refused(Problem.BRANCH)
        raise Refused(Problem.UNKNOWN_PATH if rights.may(action, path) else Problem.FORBIDDEN)

    def below(self, rights: Rights, path: str) -> list[int]:
        """Return the readable signals at or below `path`.  Raises Refused when there is none."""
        found = self._readable(rights, self.nodes(path))
        if not found:
            may_know = "*" in path or rights.may(Action.READ, path)
            raise Refused(Problem.UNKNOWN_PATH if may_know else Problem.FORBIDDEN)
        return found

    def meant(self, rights: Rights, path: str, filters: Filters) -> list[int]:
        """Return the signals that a request means, each once, in its order.  Raises Refused."""
        if not filters.paths:
            return [self.leaf(rights, path)]
        found: dict[int, None] = {}
        for relative in filters.paths:
            found |= dict.fromkeys(self.below(rights, f"{path}.{relative}"))
        return list(found)

    def metadata(
        self, rights: Rights, path: str, filters: Filters, asked: Metadata
    ) -> dict[str, Any]:
        """Return what is known of the nodes of a request, nested as they are.  Raises Refused."""
        if not filters.paths:
            readable = frozenset(self.below(rights, path))
            name = path.rpartition(".")[2]
            return {name: self._told(self.nodes(path)[0], readable, asked.generations)}
        told: dict[str, Any] = {}
        for relative in dict.fromkeys(filters.paths):
            readable = frozenset(self.below(rights, f"{path}.{relative}"))
            for node in self.nodes(f"{path}.{relative}"):
                if node.path not in told and not readable.isdisjoint(node.leaves):
                    told[node.path] = self._told(node, readable, asked.generations)
        return told

    def _readable(self, rights: Rights, nodes: list[Node]) -> list[int]:
        signals = self.signals
        return [
            number
            for node in nodes
            for number in node.leaves
            if rights.may(Action.READ, signals[number].path)
        ]

    def _told(self, node: Node, readable: frozenset[int], generations: int) -> dict[str, Any]:
        """Return a node with so many generations; 0 for all of them."""
        if node.number is not None:
            return _leaf(self.signals[node.number])
        seen = {
            name: child
            for name, child in node.children.items()
            if not readable.isdisjoint(child.leaves)
        }
        if generations == 1:
            return {"type": "branch", "children": list(seen)}
        rest = generations - 1 if generations else 0
        return {
            "type": "branch",
            "children": {name: self._told(child, readable, rest) for name, child in seen.items()},
        }


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
