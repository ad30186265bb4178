"""A tree of the Vehicle Signal Specification (JSON, VSS 4.0 to 6.0) as the nodes of a signal catalog.

    {"Vehicle": {"type": "branch", "children": {"Speed": {"datatype": "float", ...}}}}
    --> {"branch": {"fullyQualifiedName": "Vehicle"}}, {"sensor": {"fullyQualifiedName": "Vehicle.Speed", ...}}

Rule 1: leaves are read by fairway.catalog, as everywhere; branches are those that leaves stand below.
Rule 2: what that reading finds odd is refused here: nobody sees a catalog to look for what is missing in it.
"""

import json
from collections.abc import Iterable
from typing import Any

from fairway.catalog.load import catalog_of
from fairway.catalog.model import Leaf, Scalar
from fairway.errors import BadInput
from fleet_cloud.models.catalog import NodeDocument


def nodes_of_vss(text: str) -> list[NodeDocument]:
    """Return the nodes of a tree, each branch before what stands below it.  Raises BadInput."""
    leaves = catalog_of([("vss.json", text.encode())])
    if leaves.problems:
        raise BadInput(str(leaves.problems[0]))
    if not len(leaves):
        raise BadInput("the tree has no leaf")
    tree = json.loads(text)
    branches = [_branch(tree, path) for path in _branches(leaves)]
    return [*branches, *(_leaf(leaf) for leaf in leaves)]


def _branches(leaves: Iterable[Leaf]) -> list[str]:
    found: dict[str, None] = {}
    for leaf in leaves:
        parts = leaf.path.split(".")
        for depth in range(1, len(parts)):
            found.setdefault(".".join(parts[:depth]))
    return list(found)


def _branch(tree: Any, path: str) -> NodeDocument:
    node = {"children": tree}
    for part in path.split("."):
        below = node.get("children", node)
        node = below.get(part, {}) if isinstance(below, dict) else {}
    description = node.get("description")
    told = {"description": description} if isinstance(description, str) and description else {}
    return {"branch": {"fullyQualifiedName": path, **told}}


def _leaf(leaf: Leaf) -> NodeDocument:
    array = leaf.datatype.endswith("[]")
    body: dict[str, Any] = {
        "fullyQualifiedName": leaf.path,
        "dataType": leaf.datatype.removesuffix("[]").upper() + ("_ARRAY" if array else ""),
        "description": leaf.description,
        "unit": leaf.unit,
        "comment": leaf.comment,
        "deprecationMessage": leaf.deprecation,
        "allowedValues": [_text(value) for value in leaf.allowed],
        "min": leaf.min,
        "max": leaf.max,
    }
    if (
        leaf.type == "attribute"
        and leaf.default is not None
        and not isinstance(leaf.default, tuple)
    ):
        body["defaultValue"] = _text(leaf.default)
    return {leaf.type: {name: value for name, value in body.items() if value not in ("", [], None)}}


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
