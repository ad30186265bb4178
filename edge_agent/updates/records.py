"""What is kept of updates, as bytes and back: a JSON tree that follows the dataclasses of order.py.

Rule 1: a field that is not there has its default, so that an older record is read by a newer agent.
Rule 2: what cannot be read is BadInput; whoever reads forgets it and says so.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any

from edge_agent.updates.order import Kept
from fairway.errors import BadInput

FORMAT = 1


def kept_to_bytes(kept: Kept) -> bytes:
    """Return the record."""
    tree = {"format": FORMAT, "kept": _tree(kept)}
    return json.dumps(tree, separators=(",", ":"), sort_keys=True).encode()


def kept_from_bytes(content: bytes) -> Kept:
    """Return what a record says.  Raises BadInput."""
    try:
        tree = json.loads(content)
        if tree["format"] != FORMAT:
            raise BadInput(f"the record of updates has format {tree['format']}, not {FORMAT}")
        kept = _value(Kept, tree["kept"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"the record of updates cannot be read: {error!r}") from error
    assert isinstance(kept, Kept)
    return kept


def _tree(value: Any) -> Any:
    if value is None or type(value) in (str, int, float, bool):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _tree(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [_tree(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): _tree(one) for key, one in value.items()}
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _value(kind: Any, tree: Any) -> Any:
    """Return `tree` as a value of a type.  Raises TypeError, ValueError or KeyError."""
    origin, arms = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        inner = next(arm for arm in arms if arm is not type(None))
        return None if tree is None and type(None) in arms else _value(inner, tree)
    if origin is tuple:
        return tuple(_value(arms[0], one) for one in _a(list, tree))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {_a(str, key): _value(arms[1], one) for key, one in _a(dict, tree).items()}
    return _plain(kind, tree)


def _plain(kind: Any, tree: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(tree)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        said = _a(dict, tree).items()
        return kind(**{key: _value(hints[key], one) for key, one in said if key in hints})
    return tree if kind in (Any, object) else _a(kind, tree)


def _a(kind: Any, tree: Any) -> Any:
    if not isinstance(tree, kind) or (kind is int and isinstance(tree, bool)):
        raise TypeError(f"{str(tree)[:40]!r} is no {kind.__name__}")
    return tree
