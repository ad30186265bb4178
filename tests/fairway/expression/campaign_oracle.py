"""The campaign language once more, straight from its rules and slowly: what evaluators are compared with.

It follows CollectionInspectionEngine::eval and CustomFunctionMath of the FleetWise agent, node by node, with
the C library's own pow, log and sin and their errno; it knows nothing of the evaluators.
"""

import ctypes
import ctypes.util
import math
import sys
from collections.abc import Mapping
from fractions import Fraction

from fairway.expression.campaign import (
    Binary,
    Boolean,
    Call,
    Function,
    Input,
    Node,
    Number,
    Operator,
    Read,
    Text,
    Unary,
    UnaryOperator,
    Value,
)

_C = ctypes.CDLL(ctypes.util.find_library("m"), use_errno=True)
for _name, _count in (("pow", 2), ("log", 1), ("sin", 1)):
    getattr(_C, _name).restype = ctypes.c_double
    getattr(_C, _name).argtypes = [ctypes.c_double] * _count


class UndefinedError(Exception):
    """The result is undefined, or the types clash: either way nothing triggers."""


def value_of(tree: Node, given: Mapping[Input, Value | None], tolerance: float) -> Value | None:
    """Return the value of a tree; None is undefined."""
    try:
        return _eval(tree, given, tolerance)
    except UndefinedError:
        return None


def _eval(node: Node, given: Mapping[Input, Value | None], tolerance: float) -> Value:
    if isinstance(node, Number | Boolean | Text):
        return node.value
    if isinstance(node, Read):
        value = given[node.input]
        if value is None:
            raise UndefinedError
        return value
    if isinstance(node, Unary):
        operand = _eval(node.operand, given, tolerance)
        return not _truth(operand) if node.operator is UnaryOperator.NOT else -_double(operand)
    if isinstance(node, Call):
        return _call(node.function, [_eval(part, given, tolerance) for part in node.arguments])
    left, right = _eval(node.left, given, tolerance), _eval(node.right, given, tolerance)
    return _binary(node, left, right, tolerance)


def _binary(node: Binary, left: Value, right: Value, tolerance: float) -> Value:
    operator = node.operator
    if isinstance(left, str) and isinstance(right, str):
        if operator is Operator.PLUS:
            return left + right
        if operator is Operator.EQUAL:
            return left == right
        if operator is Operator.NOT_EQUAL:
            return left != right
    if operator is Operator.AND:
        left, right = _truth(left), _truth(right)
        return left and right
    if operator is Operator.OR:
        left, right = _truth(left), _truth(right)
        return left or right
    a, b = _double(left), _double(right)
    near = a == b if tolerance == 0 else abs(a - b) < tolerance
    return {
        Operator.PLUS: lambda: a + b,
        Operator.MINUS: lambda: a - b,
        Operator.MULTIPLY: lambda: a * b,
        Operator.DIVIDE: lambda: _divide(a, b),
        Operator.LESS: lambda: a < b,
        Operator.LESS_EQUAL: lambda: a <= b,
        Operator.GREATER: lambda: a > b,
        Operator.GREATER_EQUAL: lambda: a >= b,
        Operator.EQUAL: lambda: near,
        Operator.NOT_EQUAL: lambda: not near,
    }[operator]()


def _double(value: Value) -> float:
    if isinstance(value, str):
        raise UndefinedError
    return (1.0 if value else 0.0) if isinstance(value, bool) else value


def _truth(value: Value) -> bool:
    if isinstance(value, str):
        raise UndefinedError
    return value if isinstance(value, bool) else value != 0.0


def _divide(a: float, b: float) -> float:
    if b != 0.0:
        return a / b
    if a == 0.0 or math.isnan(a):
        return math.nan
    return math.inf if math.copysign(1.0, a) == math.copysign(1.0, b) else -math.inf


def _call(function: Function, arguments: list[Value]) -> Value:
    if function is Function.INSIDE_POLYGON:
        return _in_polygon(_double(arguments[0]), _double(arguments[1]), str(arguments[2]))
    values = [_double(argument) for argument in arguments]
    if function in (Function.MIN, Function.MAX):
        is_min = function is Function.MIN
        result = sys.float_info.max if is_min else sys.float_info.min
        for value in values:
            if (value < result) if is_min else (value > result):
                result = value
        return result
    if function is Function.INSIDE_CIRCLE:
        return _in_circle(*values)
    return {
        Function.ABS: lambda: math.fabs(values[0]),
        Function.CEIL: lambda: _whole(values[0], up=True),
        Function.FLOOR: lambda: _whole(values[0], up=False),
        Function.SIN: lambda: _C.sin(values[0]),
        Function.POW: lambda: _checked(_C.pow, *values),
        Function.LOG: lambda: _log(*values),
    }[function]()


def _log(base: float, value: float) -> float:
    by, of = _checked(_C.log, base), _checked(_C.log, value)
    return _divide(of, by)


def _checked(function, *arguments: float) -> float:
    ctypes.set_errno(0)
    result: float = function(*arguments)
    if ctypes.get_errno() != 0:
        raise UndefinedError
    return result


def _whole(value: float, *, up: bool) -> float:
    if not math.isfinite(value):
        return value
    remainder = math.fmod(value, 1.0)
    result = value - remainder
    if up and remainder > 0:
        result += 1.0
    if not up and remainder < 0:
        result -= 1.0
    return math.copysign(result, value) if result == 0.0 else result


def _check_position(latitude: float, longitude: float) -> None:
    if not (abs(latitude) <= 90.0 and abs(longitude) <= 180.0):
        raise UndefinedError


def _in_circle(
    latitude: float, longitude: float, latitude_0: float, longitude_0: float, radius_m: float
) -> bool:
    """Compare the straight distance of two points on the ellipsoid with the chord of the radius."""
    _check_position(latitude, longitude)
    _check_position(latitude_0, longitude_0)
    if not 0.0 <= radius_m <= 1e6:
        raise UndefinedError
    earth = 6_371_008.8
    apart = math.dist(_point(latitude, longitude), _point(latitude_0, longitude_0))
    return apart <= 2 * earth * math.sin(radius_m / (2 * earth))


def _point(latitude: float, longitude: float) -> tuple[float, float, float]:
    phi, lam = math.radians(latitude), math.radians(longitude)
    eccentricity_2 = 0.00669437999014
    across = 6_378_137.0 / math.sqrt(1 - eccentricity_2 * math.sin(phi) ** 2)
    return (
        across * math.cos(phi) * math.cos(lam),
        across * math.cos(phi) * math.sin(lam),
        across * (1 - eccentricity_2) * math.sin(phi),
    )


def _in_polygon(latitude: float, longitude: float, corners: str) -> bool:
    """Count the edges to the east, in exact arithmetic, for the position and for it a turn further on."""
    _check_position(latitude, longitude)
    points = [tuple(Fraction(part) for part in corner.split()) for corner in corners.split(",")]
    for number in range(1, len(points)):
        while points[number][1] - points[number - 1][1] > 180:
            points[number] = (points[number][0], points[number][1] - 360)
        while points[number][1] - points[number - 1][1] < -180:
            points[number] = (points[number][0], points[number][1] + 360)
    y = Fraction(latitude)
    inside = False
    for turn in (-360, 0, 360):
        x = Fraction(longitude) + turn
        for (y1, x1), (y2, x2) in zip(points, points[1:] + points[:1], strict=True):
            if (y1 <= y < y2 or y2 <= y < y1) and x1 + (x2 - x1) * (y - y1) / (y2 - y1) > x:
                inside = not inside
    return inside
