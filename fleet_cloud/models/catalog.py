"""A signal catalog: a tree of nodes by path, and what may become of it.

    Vehicle             branch
    '- Vehicle.Speed    sensor, actuator or attribute
    Types.Point         struct, with property Types.Point.X

Rule 1: every node but a branch or a struct stands below one that is there: leaves below a branch, properties
below a struct.
Rule 2: what a model or a state template uses is not removed, and stays of its type.
Rule 3: `update` puts a node whether or not it is there, as FleetWise has it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet_cloud.models.refusals import BadField, BadNodes, BadSignals, InTheWay, TooMany

# Fifteen times the Vehicle Signal Specification; a catalog of it is 5 MB of JSON.
NODES_MAX = 20_000

# What travels on a bus or is computed in the vehicle, and so needs a decoder; attributes are told beforehand.
DECODED = frozenset({"sensor", "actuator"})

_STRUCT_TYPES = frozenset({"STRUCT", "STRUCT_ARRAY"})
_PATH = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", re.ASCII)
_PARENTS = {"property": ("struct",), "branch": ("branch",), "struct": ("branch",)}
_COUNTED = {
    "branch": "totalBranches",
    "sensor": "totalSensors",
    "attribute": "totalAttributes",
    "actuator": "totalActuators",
    "struct": "totalStructs",
    "property": "totalProperties",
}

NodeDocument = Mapping[str, Any]  # {"sensor": {"fullyQualifiedName": ..., ...}}
Nodes = Mapping[str, NodeDocument]  # by path


@dataclass(frozen=True, slots=True)
class Update:
    """What is to become of a catalog's nodes."""

    add: Sequence[NodeDocument] = ()
    update: Sequence[NodeDocument] = ()
    remove: Sequence[str] = ()


def kind_of(node: NodeDocument) -> str:
    """Return what a node is: sensor, branch, ..."""
    return next(iter(node))


def body_of(node: NodeDocument) -> Mapping[str, Any]:
    """Return what is said of a node."""
    body: Mapping[str, Any] = next(iter(node.values()))
    return body


def path_of(node: NodeDocument) -> str:
    """Return the path of a node."""
    return str(body_of(node)["fullyQualifiedName"])


def created(nodes: Sequence[NodeDocument]) -> dict[str, NodeDocument]:
    """Return the nodes of a new catalog.  Raises BadNodes, TooMany."""
    return updated({}, Update(add=nodes), frozenset())


def updated(before: Nodes, update: Update, used: Collection[str]) -> dict[str, NodeDocument]:
    """Return the nodes after an update; `used` are the paths that models and templates use.

    Raises BadNodes, BadSignals, BadField, InTheWay, TooMany.
    """
    _refuse_twice(update)
    after = dict(before)
    _remove(after, update.remove, used)
    there = [node for node in update.add if path_of(node) in before]
    if there:
        path = path_of(there[0])
        raise InTheWay("node", path, f"the catalog has a node {path} already")
    _refuse_change_of_used(before, update.update, used)
    for node in (*update.add, *update.update):
        after[path_of(node)] = node
    if len(after) > NODES_MAX:
        raise TooMany("signal-catalog", "nodes", f"a catalog has {NODES_MAX} nodes at most")
    touched = {*map(path_of, (*update.add, *update.update)), *update.remove}
    _refuse_misfits(after, [node for node in after.values() if _depends(node, touched)])
    return after


def counts(nodes: Nodes) -> dict[str, int]:
    """Return how many nodes of each kind there are, in FleetWise's words."""
    found = dict.fromkeys(("totalNodes", *_COUNTED.values()), 0)
    for node in nodes.values():
        found["totalNodes"] += 1
        found[_COUNTED[kind_of(node)]] += 1
    return found


def _refuse_twice(update: Update) -> None:
    seen: set[str] = set()
    for path in (*map(path_of, update.add), *map(path_of, update.update), *update.remove):
        if path in seen:
            raise BadField("nodes", f"the node {path} is named twice in one request")
        seen.add(path)


def _remove(after: dict[str, NodeDocument], paths: Sequence[str], used: Collection[str]) -> None:
    unknown = [(path, "the node is not in the catalog") for path in paths if path not in after]
    if unknown:
        raise BadSignals(unknown)
    for path in paths:
        if path in used:
            raise InTheWay(
                "node", path, f"the node {path} is in use by a model or a state template"
            )
        del after[path]


def _refuse_change_of_used(
    before: Nodes, nodes: Sequence[NodeDocument], used: Collection[str]
) -> None:
    odd = [
        (path_of(node), "the node is in use, and stays of its type")
        for node in nodes
        if path_of(node) in used and _type(before[path_of(node)]) != _type(node)
    ]
    if odd:
        raise BadSignals(odd)


def _type(node: NodeDocument) -> tuple[object, ...]:
    body = body_of(node)
    return kind_of(node), body.get("dataType"), body.get("structFullyQualifiedName")


def _refuse_misfits(nodes: Nodes, touched: Iterable[NodeDocument]) -> None:
    misfits = [(node, why) for node in touched if (why := _misfit(nodes, node))]
    if misfits:
        node, why = misfits[0]
        raise BadNodes([node for node, _ in misfits], f"{path_of(node)}: {why}")


def _depends(node: NodeDocument, touched: Collection[str]) -> bool:
    """Whether a node is one of `touched`, stands below one, or is made of one."""
    path = path_of(node)
    struct = body_of(node).get("structFullyQualifiedName")
    return path in touched or path.rpartition(".")[0] in touched or struct in touched


def _misfit(nodes: Nodes, node: NodeDocument) -> str:
    """Return why a node cannot be part of a catalog; empty when it can."""
    path, body = path_of(node), body_of(node)
    if not _PATH.fullmatch(path):
        return "a part of the path is empty"
    wanted = _PARENTS.get(kind_of(node), ("branch",))
    parent = nodes.get(path.rpartition(".")[0])
    is_root = "." not in path and kind_of(node) in ("branch", "struct")
    if not is_root and (parent is None or kind_of(parent) not in wanted):
        return f"a {kind_of(node)} stands below a {wanted[0]} of the catalog"
    if body.get("min", 0) > body.get("max", body.get("min", 0)):
        return "min is above max"
    struct = body.get("structFullyQualifiedName")
    if (struct is not None) != (body.get("dataType") in _STRUCT_TYPES):
        return "STRUCT and structFullyQualifiedName go together"
    if struct is not None and (struct not in nodes or kind_of(nodes[struct]) != "struct"):
        return f"the catalog has no struct {struct}"
    return ""
