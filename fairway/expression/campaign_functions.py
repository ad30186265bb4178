"""The functions that evaluators know, for one row; the mathematical ones are FleetWise's, case for case.

    custom_function('pow', x, 0.5)      custom_function('log', base, x)      custom_function('max', x, y, 1)

Rule 1: a result that C reports as an error (pow and log out of their domain or range) is None: undefined.
Rule 2: everything else is IEEE: infinities and NaN come and go without complaint.
Rule 3: campaign_columns.py calls pow, log and sin of here row by row: NumPy's may differ in the last bit.
"""

import math
import sys

from fairway.errors import BadInput
from fairway.expression.campaign_places import (
    Polygon,
    check_circle,
    chord_2,
    distance_2,
    is_inside,
    is_position,
    is_radius,
    polygon_of,
)
from fairway.expression.campaign_tree import Call, Function, Number, Text

# Whoever writes a call names its values one by one.
ARGUMENTS_MAX = 64
# Function -> fewest and most arguments.
ARITY: dict[Function, tuple[int, int]] = {
    **dict.fromkeys((Function.ABS, Function.CEIL, Function.FLOOR, Function.SIN), (1, 1)),
    **dict.fromkeys((Function.POW, Function.LOG), (2, 2)),
    **dict.fromkeys((Function.MIN, Function.MAX), (2, ARGUMENTS_MAX)),
    Function.INSIDE_CIRCLE: (5, 5),
    Function.INSIDE_POLYGON: (3, 3),
}

# What FleetWise begins with: so its max is never below the smallest (normal) positive number.
MIN_STARTS_AT = sys.float_info.max
MAX_STARTS_AT = sys.float_info.min


def check_call(call: Call) -> None:
    """Raise BadInput, with a position, unless there are as many arguments as it takes, and its place is one."""
    fewest, most = ARITY[call.function]
    if not fewest <= len(call.arguments) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
        given = len(call.arguments)
        raise BadInput(
            f"character {call.first}: {call.function} takes {wanted} values, not {given}"
        )
    try:
        if call.function is Function.INSIDE_CIRCLE:
            known = [part.value if isinstance(part, Number) else None for part in call.arguments]
            check_circle(known[2:])
        elif call.function is Function.INSIDE_POLYGON:
            polygon_of_call(call)
    except BadInput as error:
        raise BadInput(f"character {call.arguments[2].first}: {error}") from error


def polygon_of_call(call: Call) -> Polygon:
    """Return the polygon that a call of inside_polygon names.  Raises BadInput."""
    corners = call.arguments[2]
    if not isinstance(corners, Text):
        raise BadInput("the corners of a polygon are a text in quotes, 'lat lon, lat lon, lat lon'")
    return polygon_of(corners.value)


def divided(left: float, right: float) -> float:
    """Return left / right where right is a zero."""
    if left == 0.0 or left != left:  # noqa: PLR0124 - NaN
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def power(base: float, exponent: float) -> float | None:
    """Return base ** exponent; None where C sets errno: out of the domain, to infinity, or down to 0."""
    try:
        result = math.pow(base, exponent)
    except (ValueError, OverflowError):
        return None
    is_lost = result == 0.0 and base != 0.0 and math.isfinite(base) and math.isfinite(exponent)
    return None if is_lost else result


def logarithm(base: float, value: float) -> float | None:
    """Return the logarithm of `value` to `base`; None where one of them is 0 or less."""
    if base <= 0.0 or value <= 0.0:
        return None
    by, whole = math.log(value), math.log(base)
    return by / whole if whole else divided(by, whole)


def sine(value: float) -> float:
    """Return the sine of `value` in radians; NaN for an infinite one."""
    return math.sin(value) if math.isfinite(value) else math.nan


def ceiling(value: float) -> float:
    """Return the least whole number that is not below `value`, of its sign."""
    return math.copysign(math.ceil(value), value) if math.isfinite(value) else value


def floored(value: float) -> float:
    """Return the greatest whole number that is not above `value`, of its sign."""
    return math.copysign(math.floor(value), value) if math.isfinite(value) else value


def least(*values: float) -> float:
    """Return the least value; NaN is passed over."""
    result = MIN_STARTS_AT
    for value in values:
        result = min(result, value)
    return result


def greatest(*values: float) -> float:
    """Return the greatest value; NaN is passed over."""
    result = MAX_STARTS_AT
    for value in values:
        result = max(result, value)
    return result


def in_circle(
    latitude: float, longitude: float, latitude_0: float, longitude_0: float, radius_m: float
) -> bool | None:
    """Return whether a position is at most `radius_m` from a centre; None where one of them is none."""
    if not is_position(latitude, longitude) or not is_position(latitude_0, longitude_0):
        return None
    if not is_radius(radius_m):
        return None
    away = distance_2((latitude, longitude), (latitude_0, longitude_0), math.sqrt)
    return bool(away <= chord_2(radius_m))


def in_polygon(polygon: Polygon, latitude: float, longitude: float) -> bool | None:
    """Return whether a position is inside; None where it is none."""
    return is_inside(polygon, latitude, longitude) if is_position(latitude, longitude) else None
