"""Trees evaluated on NumPy columns: one call for all rows.

Rule 1: a row whose value does not exist (division by zero, root of a negative number, overflow) is NaN;
        it never stops the other rows.
Rule 2: an evaluator is compiled once and may be called from anywhere: it keeps nothing between calls.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairway.expression.tree import Binary, Name, Node, Number, Unary, walk

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]
# A scalar stands for a column of equal values until the last step.
_Part = Callable[[Columns], Any]


def compiled(node: Node) -> Callable[[Columns], Floats]:
    """Return the evaluator of `node`: equally long columns by name -> one such column of float64."""
    part = _part(node)
    constant = not any(isinstance(below, Name) for below, _ in walk(node))

    def evaluate(columns: Columns) -> Floats:
        with np.errstate(all="ignore"):
            result = part(columns)
        if constant:
            return np.full(len(next(iter(columns.values()))), result, np.float64)
        return np.asarray(result, np.float64)

    return evaluate


def linear(node: Node, name: str) -> tuple[float, float] | None:
    """Return (a, b) when `node` is a * name + b, else None."""
    if isinstance(node, Number):
        return 0.0, node.value
    if isinstance(node, Name):
        return (1.0, 0.0) if node.text == name else None
    if isinstance(node, Unary) and node.operator == "-":
        inner = linear(node.operand, name)
        return None if inner is None else (-inner[0], -inner[1])
    if isinstance(node, Binary):
        left, right = linear(node.left, name), linear(node.right, name)
        if left is not None and right is not None:
            return _linear_binary(node.operator, left, right)
    return None


def _linear_binary(
    operator: str, left: tuple[float, float], right: tuple[float, float]
) -> tuple[float, float] | None:
    if operator == "+":
        return left[0] + right[0], left[1] + right[1]
    if operator == "-":
        return left[0] - right[0], left[1] - right[1]
    if operator == "*" and left[0] == 0.0:
        return left[1] * right[0], left[1] * right[1]
    if operator == "*" and right[0] == 0.0:
        return left[0] * right[1], left[1] * right[1]
    if operator == "/" and right[0] == 0.0 and right[1] != 0.0:
        return left[0] / right[1], left[1] / right[1]
    return None


def _part(node: Node) -> _Part:
    if isinstance(node, Number):
        value = np.float64(node.value)
        return lambda _columns: value
    if isinstance(node, Name):
        text = node.text
        return lambda columns: columns[text]
    if isinstance(node, Unary):
        return _applied(_UNARY[node.operator], (_part(node.operand),))
    if isinstance(node, Binary):
        return _applied(_BINARY[node.operator], (_part(node.left), _part(node.right)))
    parts = tuple(_part(argument) for argument in node.arguments)
    return _applied(_FUNCTIONS[node.function, len(parts)], parts)


def _applied(function: Callable[..., Any], parts: tuple[_Part, ...]) -> _Part:
    if len(parts) == 1:
        only = parts[0]
        return lambda columns: function(only(columns))
    if len(parts) == 2:
        left, right = parts
        return lambda columns: function(left(columns), right(columns))
    return lambda columns: function(*(part(columns) for part in parts))


def _divided(left: Any, right: Any) -> Any:
    return np.where(right == 0.0, np.nan, np.true_divide(left, np.where(right == 0.0, 1.0, right)))


def _power(left: Any, right: Any) -> Any:
    # 0 to a negative power is infinite in IEEE arithmetic and an error in Python's.
    result = np.power(left, right)
    return np.where(np.isinf(result) & np.isfinite(left) & np.isfinite(right), np.nan, result)


def _compared(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    # A comparison with a value that does not exist does not exist either.
    return lambda left, right: np.where(
        np.isnan(left) | np.isnan(right), np.nan, np.where(function(left, right), 1.0, 0.0)
    )


def _negated(value: Any) -> Any:
    return np.where(np.isnan(value), np.nan, np.where(value == 0.0, 1.0, 0.0))


def _if(condition: Any, yes: Any, no: Any) -> Any:
    return np.where(np.isnan(condition), np.nan, np.where(condition != 0.0, yes, no))


def _finite(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        result = function(value)
        return np.where(np.isinf(result), np.nan, result)

    return checked


# 170! is the largest that a float64 holds.
_FACTORIALS = np.array([float(math.factorial(n)) for n in range(171)])


def _factorial(value: Any) -> Any:
    known = (value >= 0.0) & (value <= 170.0) & (value == np.floor(value))
    return np.where(known, _FACTORIALS[np.where(known, value, 0.0).astype(np.intp)], np.nan)


def _degrees(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: function(np.radians(value))


def _in_degrees(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: np.degrees(function(value))


def _smallest(*values: Any) -> Any:
    result = values[0]
    for value in values[1:]:
        result = np.minimum(result, value)
    return result


def _largest(*values: Any) -> Any:
    result = values[0]
    for value in values[1:]:
        result = np.maximum(result, value)
    return result


_UNARY: dict[str, Callable[[Any], Any]] = {"-": np.negative, "not": _negated}
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": _divided,
    "%": np.mod,  # the sign is the divisor's, as in Python
    "^": _power,
    "**": _power,
    "<": _compared(np.less),
    "<=": _compared(np.less_equal),
    ">": _compared(np.greater),
    ">=": _compared(np.greater_equal),
    "==": _compared(np.equal),
    "!=": _compared(np.not_equal),
    # As in Python, these give one of their operands.
    "and": lambda left, right: _if(left, right, left),
    "or": lambda left, right: _if(left, left, right),
    "xor": lambda left, right: _compared(np.not_equal)(_negated(left), _negated(right)),
}
_FUNCTIONS: dict[tuple[str, int], Callable[..., Any]] = {
    ("sin", 1): np.sin,
    ("cos", 1): np.cos,
    ("tan", 1): np.tan,
    ("asin", 1): np.arcsin,
    ("acos", 1): np.arccos,
    ("atan", 1): np.arctan,
    ("sind", 1): _degrees(np.sin),
    ("cosd", 1): _degrees(np.cos),
    ("tand", 1): _degrees(np.tan),
    ("asind", 1): _in_degrees(np.arcsin),
    ("acosd", 1): _in_degrees(np.arccos),
    ("atand", 1): _in_degrees(np.arctan),
    ("sqrt", 1): np.sqrt,
    ("exp", 1): _finite(np.exp),
    ("abs", 1): np.abs,
    ("ceil", 1): np.ceil,
    ("floor", 1): np.floor,
    ("round", 1): np.rint,  # half to even, as in Python
    ("fac", 1): _factorial,
    ("log", 1): _finite(np.log),
    ("log", 2): lambda value, base: _divided(_finite(np.log)(value), _finite(np.log)(base)),
    ("pow", 2): _power,
    ("atan2", 2): np.arctan2,
    ("pyt", 2): np.hypot,
    ("if", 3): _if,
    **{("min", count): _smallest for count in range(2, 17)},
    **{("max", count): _largest for count in range(2, 17)},
}
