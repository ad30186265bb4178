"""Settings: one TOML file becomes one frozen tree of dataclasses, checked once, at start.

Rule 1: an unknown key is refused and the nearest known one is named.
Rule 2: a value of the wrong type is refused with the place it stands at.
Rule 3: a field without a default must be said.
Relative paths in a file are relative to that file.

Fields may be: str, int, float, bool, pathlib.Path, X | None, X | Y, tuple[X, ...], dict[str, X], Literal[...]
and further dataclasses.  A dataclass may check itself in `__post_init__` by raising BadInput.
"""

import dataclasses
import difflib
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from fairway.errors import BadInput

Settings = TypeVar("Settings")

# A configuration is written by people; anything larger is not one.
CONFIG_MAX_BYTES = 4 * 1024 * 1024


def load(kind: type[Settings], path: Path) -> Settings:
    """Read `path` as TOML into `kind`.  Raises BadInput naming the file and the place."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read the configuration {path}: {error.strerror}") from error
    return loads(kind, content, where=str(path), base=path.parent)


def loads(kind: type[Settings], content: bytes, *, where: str, base: Path) -> Settings:
    """Read TOML bytes into `kind`; `where` names them in errors, `base` anchors relative paths."""
    if len(content) > CONFIG_MAX_BYTES:
        raise BadInput(f"{where} is larger than {CONFIG_MAX_BYTES} bytes: not a configuration")
    try:
        tree = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise BadInput(f"{where} is not TOML: {error}") from error
    return _build(kind, tree, where=where, at="", base=base)


def _build(
    kind: type[Settings], tree: dict[str, Any], *, where: str, at: str, base: Path
) -> Settings:
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in tree:
        if key not in fields:
            raise BadInput(f"{where}: unknown key {at}{key}{_hint(key, list(fields))}")
    values = {}
    for name, field in fields.items():
        if name in tree:
            values[name] = _value(hints[name], tree[name], where=where, at=f"{at}{name}", base=base)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise BadInput(f"{where}: {at}{name} is missing and has no default")
    try:
        return kind(**values)
    except BadInput as error:
        raise BadInput(f"{where}: {at.rstrip('.') or 'the configuration'}: {error}") from error


def _hint(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(sorted(known))}"


def _value(kind: Any, value: Any, *, where: str, at: str, base: Path) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _any_of(get_args(kind), value, where=where, at=at, base=base)
    if origin is Literal:
        if value not in get_args(kind):
            choices = ", ".join(repr(choice) for choice in get_args(kind))
            raise BadInput(f"{where}: {at} is {value!r}; choose one of {choices}")
        return value
    if origin is tuple:
        _expect(list, value, "a list", where=where, at=at)
        arm = get_args(kind)[0]
        return tuple(
            _value(arm, item, where=where, at=f"{at}[{index}]", base=base)
            for index, item in enumerate(value)
        )
    if origin is dict:
        _expect(dict, value, "a table", where=where, at=at)
        arm = get_args(kind)[1]
        return {
            key: _value(arm, item, where=where, at=f"{at}.{key}", base=base)
            for key, item in value.items()
        }
    if dataclasses.is_dataclass(kind):
        _expect(dict, value, "a table", where=where, at=at)
        return _build(typing.cast("type[Any]", kind), value, where=where, at=f"{at}.", base=base)
    return _scalar(kind, value, where=where, at=at, base=base)


def _any_of(arms: tuple[Any, ...], value: Any, *, where: str, at: str, base: Path) -> Any:
    """Return `value` as the first of `arms` it fits; the last one says what is wrong."""
    *others, last = (arm for arm in arms if arm is not type(None))
    for arm in others:
        try:
            return _value(arm, value, where=where, at=at, base=base)
        except BadInput:
            continue
    return _value(last, value, where=where, at=at, base=base)


def _scalar(kind: Any, value: Any, *, where: str, at: str, base: Path) -> Any:
    if kind is Path:
        _expect(str, value, "a path", where=where, at=at)
        if "\0" in value:
            raise BadInput(f"{where}: {at} must be a path, not {value!r}: it holds a zero byte")
        return base / value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return _float(value, where=where, at=at)
    if kind is int and isinstance(value, bool):
        raise BadInput(f"{where}: {at} must be a whole number, not {value!r}")
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    _expect(kind, value, names.get(kind, str(kind)), where=where, at=at)
    return value


def _float(value: int, *, where: str, at: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise BadInput(f"{where}: {at} is larger than any number can be") from error


def _expect(kind: type, value: Any, name: str, *, where: str, at: str) -> None:
    if not isinstance(value, kind):
        raise BadInput(f"{where}: {at} must be {name}, not {value!r}")
