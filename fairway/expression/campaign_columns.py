"""The evaluator for many rows: a tree over NumPy columns, one call of NumPy for each operator.

    $variable.`a` > 5 && !isNull($variable.`b`)       defined = a and isNull(b) are, once for the whole tree
                                                      values  = for all rows, also where they mean nothing

Rule 1: a row is what the scalar evaluator says of its values, bit for bit.
Rule 2: a column has one type, so types are settled once for each combination of them; what clashes is undefined
        in every row.
Rule 3: pow, log and sin are computed row by row, by the functions of the scalar evaluator.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fairway.expression import campaign_functions as functions
from fairway.expression import campaign_places as places
from fairway.expression.campaign_classes import NUMBERS, TEXTS, classes_of
from fairway.expression.campaign_scalar import EQUALITY_TOLERANCE, check_tolerance
from fairway.expression.campaign_tree import (
    Binary,
    Call,
    Expression,
    Function,
    Input,
    Node,
    Operator,
    Read,
    Text,
    Type,
    Unary,
    UnaryOperator,
)

Values: TypeAlias = NDArray[Any]


@dataclass(slots=True)
class Column:
    """Rows of one type: float64, booleans as 0 and 1, texts as str in an object array.

    Where it is not `defined` a value means nothing.
    """

    values: Values
    defined: NDArray[np.bool_]
    type: Type


Evaluator: TypeAlias = Callable[[Sequence[Column]], Column]


@dataclass(slots=True)
class _Rows:
    """What steps work on: the values of the inputs, and which rows are still defined."""

    values: dict[Input, Values]
    defined: Any


# Numbers are float64 arrays, booleans bool_ arrays, texts object arrays; constants have one row, or none.
_Step: TypeAlias = Callable[[_Rows], Any]


def columns(expression: Expression, *, tolerance: float = EQUALITY_TOLERANCE) -> Evaluator:
    """Return the function from the columns of `expression.inputs` to the column of the expression's values.

    Without inputs the column has one row; of an input alone it is the column given.
    """
    check_tolerance(tolerance)
    inputs, tree = expression.inputs, expression.tree
    if isinstance(tree, Read):
        return lambda given: _known(given[0])
    classes = classes_of(tree)
    step = _step(tree, tolerance)

    def evaluate(given: Sequence[Column]) -> Column:
        defined = np.ones(len(given[0].values) if given else 1, np.bool_)
        if classes is None or not _fit(classes, dict(zip(inputs, given, strict=True))):
            return Column(np.zeros(len(defined)), ~defined, expression.type)
        for column in given:
            defined &= column.defined
        rows = _Rows(
            {read: _readable(one) for read, one in zip(inputs, given, strict=True)}, defined
        )
        with np.errstate(all="ignore"):
            result = np.asarray(step(rows))
        return _column(result, rows.defined)

    return evaluate


def _known(column: Column) -> Column:
    if column.type is not Type.UNKNOWN:
        return column
    return Column(column.values, np.zeros_like(column.defined), column.type)


def _fit(classes: dict[Input, int], given: dict[Input, Column]) -> bool:
    found = {NUMBERS: NUMBERS, TEXTS: TEXTS}
    for read, group in classes.items():
        if given[read].type is Type.UNKNOWN:
            return False
        own = TEXTS if given[read].type is Type.TEXT else NUMBERS
        if found.setdefault(group, own) != own:
            return False
    return True


def _readable(column: Column) -> Values:
    if column.type is Type.TEXT and not column.defined.all():
        return np.where(column.defined, column.values, "")
    return column.values


def _column(result: Values, defined: NDArray[np.bool_]) -> Column:
    its_type = {"f": Type.NUMBER, "b": Type.BOOL}.get(result.dtype.kind, Type.TEXT)
    dtype = object if its_type is Type.TEXT else np.float64
    values = np.broadcast_to(result, len(defined)).astype(dtype)
    return Column(values, defined, its_type)


def _step(node: Node, tolerance: float) -> _Step:
    if isinstance(node, Read):
        read = node.input
        return lambda rows: rows.values[read]
    if isinstance(node, Binary):
        function = _operator(node.operator, tolerance)
        left, right = _step(node.left, tolerance), _step(node.right, tolerance)
        return lambda rows: function(left(rows), right(rows))
    if isinstance(node, Unary):
        operand = _step(node.operand, tolerance)
        if node.operator is UnaryOperator.NOT:
            return lambda rows: np.logical_not(operand(rows))
        return lambda rows: np.negative(_number(operand(rows)))
    if isinstance(node, Call):
        return _call(node, tolerance)
    value = np.array(node.value, object if isinstance(node, Text) else None)
    return lambda _rows: value


def _call(node: Call, tolerance: float) -> _Step:
    if node.function is Function.INSIDE_POLYGON:
        polygon = functions.polygon_of_call(node)
        latitude, longitude = (_step(part, tolerance) for part in node.arguments[:2])
        return lambda rows: _in_polygon(rows, polygon, latitude(rows), longitude(rows))
    function = _FUNCTIONS[node.function]
    steps = tuple(_step(argument, tolerance) for argument in node.arguments)
    return lambda rows: function(rows, *(_number(step(rows)) for step in steps))


def _number(values: Any) -> Any:
    return values.astype(np.float64) if values.dtype.kind == "b" else values


def _operator(operator: Operator, tolerance: float) -> Callable[[Any, Any], Any]:
    if operator in (Operator.EQUAL, Operator.NOT_EQUAL):
        is_not = operator is Operator.NOT_EQUAL

        def equality(left: Any, right: Any) -> Any:
            equal = _equal(left, right, tolerance)
            return np.logical_not(equal) if is_not else equal

        return equality
    if operator in (Operator.AND, Operator.OR):
        return np.logical_and if operator is Operator.AND else np.logical_or
    function = _OPERATORS[operator]
    return lambda left, right: function(_number(left), _number(right))


def _equal(left: Any, right: Any, tolerance: float) -> Any:
    if left.dtype.kind == "O":
        return np.asarray(left == right, np.bool_)
    left, right = _number(left), _number(right)
    return np.equal(left, right) if tolerance == 0.0 else np.abs(left - right) < tolerance


def _sum(left: Any, right: Any) -> Any:
    return np.asarray(np.add(left, right), left.dtype if left.dtype.kind == "O" else None)


def _by_row(function: Callable[..., float | None]) -> Callable[..., Any]:
    def run(rows: _Rows, *arguments: Any) -> Any:
        aligned = np.broadcast_arrays(*(np.atleast_1d(argument) for argument in arguments))
        found = [function(*row) for row in zip(*(part.tolist() for part in aligned), strict=True)]
        if None in found:
            rows.defined = rows.defined & [value is not None for value in found]
        return np.array(found, np.float64)  # None becomes NaN

    return run


def _least(_rows: _Rows, *arguments: Any) -> Any:
    result: Any = functions.MIN_STARTS_AT
    for values in arguments:
        result = np.where(values < result, values, result)
    return result


def _greatest(_rows: _Rows, *arguments: Any) -> Any:
    result: Any = functions.MAX_STARTS_AT
    for values in arguments:
        result = np.where(result < values, values, result)
    return result


def _in_circle(rows: _Rows, *arguments: Any) -> Any:
    latitude, longitude, latitude_0, longitude_0, radius_m = arguments
    rows.defined = (
        rows.defined
        & places.is_position(latitude, longitude)
        & places.is_position(latitude_0, longitude_0)
        & places.is_radius(radius_m)
    )
    away = places.distance_2((latitude, longitude), (latitude_0, longitude_0), np.sqrt)
    return np.asarray(away <= places.chord_2(radius_m))


def _in_polygon(rows: _Rows, polygon: places.Polygon, latitude: Any, longitude: Any) -> Any:
    latitude, longitude = np.broadcast_arrays(
        np.atleast_1d(_number(latitude)), np.atleast_1d(_number(longitude))
    )
    rows.defined = rows.defined & places.is_position(latitude, longitude)
    return places.are_inside(polygon, latitude, longitude)


_OPERATORS: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.MULTIPLY: np.multiply,
    Operator.DIVIDE: np.true_divide,
    Operator.PLUS: _sum,
    Operator.MINUS: np.subtract,
    Operator.GREATER_EQUAL: np.greater_equal,
    Operator.LESS_EQUAL: np.less_equal,
    Operator.GREATER: np.greater,
    Operator.LESS: np.less,
}
_FUNCTIONS: dict[Function, Callable[..., Any]] = {
    Function.ABS: lambda _rows, values: np.abs(values),
    Function.MIN: _least,
    Function.MAX: _greatest,
    Function.POW: _by_row(functions.power),
    Function.LOG: _by_row(functions.logarithm),
    Function.CEIL: lambda _rows, values: np.ceil(values),
    Function.FLOOR: lambda _rows, values: np.floor(values),
    Function.SIN: _by_row(functions.sine),
    Function.INSIDE_CIRCLE: _in_circle,
}
