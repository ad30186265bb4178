"""Catalogues from files: VSS trees as JSON (4.0 to 6.0) and overlays as YAML (.vspec), merged in order.

    vss_release_6.0.json   {"Vehicle": {"type": "branch", "children": {"Speed": {...}}}}
    overlay.vspec          Vehicle.Speed: {datatype: float, dbc2vss: {signal: DI_uiSpeed}}

Rule 1: a later file overrides an earlier one key by key (dbc2vss and vss2dbc as a whole, null removes
        them) and adds leaves; branches are implied.
Rule 2: a file that cannot be read as its format raises BadInput; an entry that cannot be understood costs
        only itself and becomes a problem.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from fairway.catalog.entries import dbc2vss_of, is_scalar, vss2dbc_of
from fairway.catalog.model import (
    FLOAT_RANGES,
    INTEGER_RANGES,
    Catalog,
    Leaf,
    MappingProblem,
    Scalar,
)
from fairway.catalog.yaml_text import yaml_tree
from fairway.errors import BadInput

# The whole standard catalogue with a full mapping takes half a megabyte.
CATALOG_MAX_BYTES = 32 * 1024 * 1024
# Eighty times the standard catalogue; signal numbers stay small.
CATALOG_MAX_LEAVES = 100_000
# The standard's deepest path has nine parts.
PATH_MAX_DEPTH = 32
PATH_MAX_CHARACTERS = 400

_PATH = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
_LEAF_TYPES = ("sensor", "actuator", "attribute")
# Type definitions of VSS 4 and later: they describe values, they are none.
_DEFINITION_TYPES = ("struct", "property")
_CHANGE_TYPES = ("continuous", "onchange", "static")
_DATATYPES = {*INTEGER_RANGES, *FLOAT_RANGES, "boolean", "string"}
_MAPPING_KEYS = ("dbc2vss", "dbc", "vss2dbc")

_Node = dict[str, Any]


def load_catalog(paths: Sequence[Path]) -> Catalog:
    """Read the files in order and merge them.  Raises BadInput naming the file."""
    files = []
    for path in paths:
        try:
            files.append((str(path), path.read_bytes()))
        except OSError as error:
            raise BadInput(f"cannot read the catalogue {path}: {error.strerror}") from error
    return catalog_of(files)


def catalog_of(files: Sequence[tuple[str, bytes]]) -> Catalog:
    """Merge the contents of files, each under its name.  Raises BadInput naming the file."""
    nodes: dict[str, _Node] = {}
    problems: list[MappingProblem] = []
    for name, content in files:
        if len(content) > CATALOG_MAX_BYTES:
            raise BadInput(f"{name} is larger than {CATALOG_MAX_BYTES} bytes: not a catalogue")
        for path, node in _leaves(_tree(name, content, problems), name, problems):
            nodes[path] = _merged(nodes.get(path, {}), node)
            if len(nodes) > CATALOG_MAX_LEAVES:
                raise BadInput(f"{name}: more than {CATALOG_MAX_LEAVES} leaves in one catalogue")
    leaves = []
    for path, node in nodes.items():
        try:
            leaves.append(_leaf(path, node, problems))
        except BadInput as error:
            problems.append(MappingProblem(path, str(error)))
    return Catalog(tuple(leaves), tuple(problems))


def _tree(name: str, content: bytes, problems: list[MappingProblem]) -> _Node:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    if name.lower().endswith(".json"):
        try:
            tree = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{name} is not JSON: {error}") from error
    else:
        tree = yaml_tree(text, name=name, problems=problems)
    if not isinstance(tree, dict):
        raise BadInput(f"{name} is no catalogue: it must be a table of VSS paths")
    return tree


def _leaves(tree: _Node, name: str, problems: list[MappingProblem]) -> Iterator[tuple[str, _Node]]:
    """Yield (path, node) of the leaves in `tree`, in its order."""
    waiting: list[tuple[str, Any]] = [(str(key), node) for key, node in reversed(tree.items())]
    while waiting:
        path, node = waiting.pop()
        if not isinstance(node, dict):
            problems.append(MappingProblem(path[:80], f"{name}: must be a table, not {node!r:.60}"))
            continue
        kind = node.get("type")
        below = node.get("children", {}) if kind == "branch" or "children" in node else None
        if below is None and _is_leaf(node):
            if _path_stands(path, name, problems):
                yield path, node
            continue
        if kind in _DEFINITION_TYPES:
            continue
        if "instances" in node:
            problems.append(MappingProblem(path[:80], _EXPAND.format(name=name, what="instances")))
        if below is None:
            below = node  # a table without a type: only a level of names
        if not isinstance(below, dict):
            problems.append(MappingProblem(path[:80], f"{name}: children must be a table"))
        elif path.count(".") + 1 >= PATH_MAX_DEPTH:
            raise BadInput(
                f"{name}: paths have at most {PATH_MAX_DEPTH} parts; {path[:80]} has more"
            )
        else:
            waiting.extend((f"{path}.{key}", node) for key, node in reversed(below.items()))


_EXPAND = "{name}: {what} is not followed here: expand the file with vss-tools first"


def _is_leaf(node: _Node) -> bool:
    return (
        node.get("type") in _LEAF_TYPES
        or any(
            not isinstance(node.get(key, {}), dict) for key in ("datatype", "unit", "description")
        )
        or any(key in node for key in _MAPPING_KEYS)
    )


def _path_stands(path: str, name: str, problems: list[MappingProblem]) -> bool:
    if len(path) <= PATH_MAX_CHARACTERS and _PATH.fullmatch(path):
        return True
    text = f"{name}: a path is 1 to {PATH_MAX_CHARACTERS} letters, digits and _ between dots"
    problems.append(MappingProblem(path[:80], text))
    return False


def _merged(old: _Node, new: _Node) -> _Node:
    node = {**old, **new}
    # `dbc` is what dbc2vss was called first; whichever is said last holds.
    if "dbc2vss" in new:
        node.pop("dbc", None)
    elif "dbc" in new:
        node["dbc2vss"] = node.pop("dbc")
    return node


def _leaf(path: str, node: _Node, problems: list[MappingProblem]) -> Leaf:
    """Raise BadInput when there is no leaf in `node`; what is odd in it is added to `problems`."""
    kind, datatype = node.get("type"), node.get("datatype")
    if kind not in _LEAF_TYPES or not isinstance(datatype, str):
        raise BadInput(
            "no earlier file has this path, so it needs a type (sensor, actuator or attribute) and a datatype"
        )
    odd: list[str] = []
    if datatype.removesuffix("[]") not in _DATATYPES:
        odd.append(f"datatype {datatype:.60} is none that a value here can have")
    leaf = Leaf(
        path=path,
        datatype=datatype,
        type=kind,
        unit=_text(node, "unit", odd),
        min=_number(node, "min", odd),
        max=_number(node, "max", odd),
        allowed=_scalars(node.get("allowed"), "allowed", odd),
        default=_default(node.get("default"), odd),
        description=_text(node, "description", odd),
        change_type=_change_type(node, kind, odd),
        pattern=_text(node, "pattern", odd),
        dbc2vss=_entry(node, "dbc2vss", dbc2vss_of, odd),
        vss2dbc=_entry(node, "vss2dbc", vss2dbc_of, odd),
        comment=_text(node, "comment", odd),
        deprecation=_text(node, "deprecation", odd),
    )
    if leaf.vss2dbc is not None and kind != "actuator":
        odd.append(f"vss2dbc is for actuators; this is a {kind}")
    problems.extend(MappingProblem(path, text) for text in odd)
    return leaf


def _entry(node: _Node, key: str, read: Any, odd: list[str]) -> Any:
    if node.get(key) is None:
        return None
    try:
        return read(node[key], odd)
    except BadInput as error:
        odd.append(str(error))
        return None


def _change_type(node: _Node, kind: str, odd: list[str]) -> str:
    default = "static" if kind == "attribute" else "continuous"
    value = node.get("x-kuksa-changetype", default)
    word = value.lower() if isinstance(value, str) else ""
    if word not in _CHANGE_TYPES:
        odd.append(f"x-kuksa-changetype is {value!r:.60}; choose one of {', '.join(_CHANGE_TYPES)}")
        return default
    return word


def _text(node: _Node, key: str, odd: list[str]) -> str:
    value = node.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    odd.append(f"{key} must be a text, not {value!r:.60}")
    return ""


def _number(node: _Node, key: str, odd: list[str]) -> float | None:
    value = node.get(key)
    if value is None:
        return None
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) <= FLOAT_RANGES["double"][1]
    ):
        return float(value)
    odd.append(f"{key} must be a number, not {value!r:.60}")
    return None


def _scalars(value: Any, key: str, odd: list[str]) -> tuple[Scalar, ...]:
    if value is None:
        return ()
    if isinstance(value, list) and all(map(is_scalar, value)):
        return tuple(value)
    odd.append(f"{key} must be a list of values, not {value!r:.60}")
    return ()


def _default(value: Any, odd: list[str]) -> Scalar | tuple[Scalar, ...] | None:
    if value is None or is_scalar(value):
        return cast("Scalar | None", value)
    return _scalars(value, "default", odd)
