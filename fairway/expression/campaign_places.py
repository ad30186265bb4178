"""Geofences on the WGS84 ellipsoid: circles, and polygons whose edges are straight in latitude and longitude.

    inside_circle(lat, lon, 48.137, 11.575, 500)
    inside_polygon(lat, lon, '48.1 11.5, 48.1 11.6, 48.2 11.6')

Rule 1: only + - * / and roots are used, which IEEE defines to the last bit: a float and a row agree.
Rule 2: an edge goes the short way round the earth; so polygons may cross the antimeridian, but hold no pole.
Rule 3: a position that is none (a latitude of 91, NaN) is undefined: to have left a fence needs a position.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairway.errors import BadInput

CORNERS_MIN = 3
# A country's border in a usable shape; a row costs some 10 ns for each corner.
CORNERS_MAX = 500
# To here the distance is right to 0.002 %: see chord_2.
CIRCLE_MAX_RADIUS_M = 1_000_000.0
# Rows times corners that are compared at once: some 10 MB.
_CELLS_MAX = 1 << 18

_EQUATOR_RADIUS_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_ECCENTRICITY_2 = _FLATTENING * (2 - _FLATTENING)
_MEAN_RADIUS_M = 6_371_008.8
_RADIANS = math.pi / 180
# 1/1!, -1/3!, 1/5!, ... the last is below a unit in the last place for a right angle.
_SINE = tuple((-1.0) ** n / math.factorial(2 * n + 1) for n in range(12))

_CORNER = re.compile(
    r"\s*([-+]?[0-9]{1,3}(?:\.[0-9]{0,20})?)\s+([-+]?[0-9]{1,3}(?:\.[0-9]{0,20})?)\s*"
)


@dataclass(frozen=True, slots=True)
class Polygon:
    """Edges between corners, with longitudes running on over the antimeridian where they must.

    Each edge is (latitude of its begin, of its end, longitude of its begin, longitude per latitude).
    """

    south: float
    north: float
    west: float
    east: float
    edges: tuple[tuple[float, float, float, float], ...]


def polygon_of(text: str) -> Polygon:
    """Return the polygon of 'lat lon, lat lon, ...'.  Raises BadInput with the number of the corner."""
    corners = [_corner(number, part) for number, part in enumerate(text.split(","), 1)]
    if len(corners) > 1 and corners[0] == corners[-1]:
        corners.pop()
    if not CORNERS_MIN <= len(corners) <= CORNERS_MAX:
        raise BadInput(
            f"a polygon has {CORNERS_MIN} to {CORNERS_MAX} corners, this one {len(corners)}"
        )
    points = _unrolled(corners)
    edges = [
        (begin[0], end[0], begin[1], (end[1] - begin[1]) / (end[0] - begin[0]))
        for begin, end in pairwise(points)
        if begin[0] != end[0]
    ]
    latitudes, longitudes = zip(*points, strict=True)
    box = min(latitudes), max(latitudes), min(longitudes), max(longitudes)
    if box[0] == box[1] or box[2] == box[3]:
        raise BadInput("the polygon encloses nothing: its corners stand in a line")
    if box[3] - box[2] >= 360.0:
        raise BadInput("the polygon goes round the earth; make several of it")
    return Polygon(*box, tuple(edges))


def check_circle(centre_and_radius: Sequence[float | None]) -> None:
    """Raise BadInput unless what is known (not None) of latitude, longitude and radius can be a circle's."""
    latitude, longitude, radius_m = centre_and_radius
    if latitude is not None and not -90.0 <= latitude <= 90.0:
        raise BadInput(f"the centre's latitude is {latitude}; latitudes are from -90 to 90")
    if longitude is not None and not -180.0 <= longitude <= 180.0:
        raise BadInput(f"the centre's longitude is {longitude}; longitudes are from -180 to 180")
    if radius_m is not None and not 0.0 < radius_m <= CIRCLE_MAX_RADIUS_M:
        raise BadInput(
            f"the radius is {radius_m} m; it must be more than 0 and at most {CIRCLE_MAX_RADIUS_M:.0f} m"
        )


def is_position(latitude: Any, longitude: Any) -> Any:
    """Return whether these floats, or rows of arrays, are on the earth."""
    is_latitude = (latitude >= -90.0) & (latitude <= 90.0)
    return is_latitude & (longitude >= -180.0) & (longitude <= 180.0)


def is_radius(radius_m: Any) -> Any:
    """Return whether this float, or rows of an array, can be a circle's radius."""
    return (radius_m >= 0.0) & (radius_m <= CIRCLE_MAX_RADIUS_M)


def distance_2(place: Sequence[Any], centre: Sequence[Any], root: Callable[[Any], Any]) -> Any:
    """Return the square of the straight distance through the earth, in m2, between (latitude, longitude)s."""
    axis, height = _meridian(place[0], root)
    axis_0, height_0 = _meridian(centre[0], root)
    apart = 180.0 - abs(180.0 - abs(place[1] - centre[1]))
    half = _sine(apart / 2)
    out, up = axis - axis_0, height - height_0
    return out * out + up * up + 4.0 * axis * axis_0 * (half * half)


def chord_2(radius_m: Any) -> Any:
    """Return the square of the straight distance that an arc of `radius_m` bridges.

    The mean radius stands for the local one: at the greatest radius this errs by some 10 m, at 100 km by 1 cm.
    """
    chord = 2 * _MEAN_RADIUS_M * _sine(radius_m / (2 * _MEAN_RADIUS_M * _RADIANS))
    return chord * chord


def is_inside(polygon: Polygon, latitude: float, longitude: float) -> bool:
    """Return whether a position is inside; on an edge it may be either."""
    if not polygon.south <= latitude <= polygon.north:
        return False
    longitude = longitude - 360.0 * math.floor((longitude - polygon.west) / 360.0)
    if longitude > polygon.east:
        return False
    inside = False
    for begin, end, west, slope in polygon.edges:
        if (begin > latitude) is not (end > latitude):
            inside ^= longitude < west + slope * (latitude - begin)
    return inside


def are_inside(
    polygon: Polygon, latitude: NDArray[np.float64], longitude: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return for each row what `is_inside` says."""
    inside = np.zeros(len(latitude), np.bool_)
    longitude = longitude - 360.0 * np.floor((longitude - polygon.west) / 360.0)
    near = (polygon.south <= latitude) & (latitude <= polygon.north) & (longitude <= polygon.east)
    (rows,) = np.nonzero(near)
    begin, end, west, slope = np.array(polygon.edges).T
    step = max(1, _CELLS_MAX // len(begin))
    for at in range(0, len(rows), step):
        some = rows[at : at + step]
        y, x = latitude[some, None], longitude[some, None]
        crosses = ((begin > y) != (end > y)) & (x < west + slope * (y - begin))
        inside[some] = crosses.sum(axis=1) % 2 == 1
    return inside


def _sine(degrees: Any) -> Any:
    radians = degrees * _RADIANS
    square = radians * radians
    result = _SINE[-1]
    for factor in _SINE[-2::-1]:
        result = result * square + factor
    return result * radians


def _meridian(latitude: Any, root: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Return the distance from the earth's axis and the height over the equator's plane, in m."""
    sine, cosine = _sine(latitude), _sine(90.0 - abs(latitude))
    across = _EQUATOR_RADIUS_M / root(1.0 - _ECCENTRICITY_2 * (sine * sine))
    return across * cosine, across * (1.0 - _ECCENTRICITY_2) * sine


def _corner(number: int, part: str) -> tuple[float, float]:
    match = _CORNER.fullmatch(part)
    if match is None:
        raise BadInput(
            f"corner {number}, {part.strip()!r:.60}, is not written as: latitude longitude"
        )
    latitude, longitude = float(match[1]), float(match[2])
    if not is_position(latitude, longitude):
        raise BadInput(f"corner {number}, {part.strip()!r:.60}, is not on the earth")
    return latitude, longitude


def _unrolled(corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
    points = [corners[0]]
    for number, (latitude, longitude) in enumerate([*corners[1:], corners[0]], 2):
        step = longitude - points[-1][1]
        step -= 360.0 * math.floor((step + 180.0) / 360.0)
        if step == -180.0:
            raise BadInput(
                f"the edge before corner {number} goes half round the earth; put a corner into it"
            )
        points.append((latitude, points[-1][1] + step))
    if abs(points[-1][1] - points[0][1]) > 180.0:
        raise BadInput("the polygon goes round a pole; none can hold one")
    points[-1] = points[0]  # to the last bit
    return points
