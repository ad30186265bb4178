"""A road to drive on: a closed line through made-up points, looked up by distance.

    points (lat, lon, alt) -> smooth closed curve -> one row every STEP_M -> position, heading, slope, bend

Rule 1: everything is a table over distance, so 1 or 10,000 vehicles cost one lookup a column.
Rule 2: the line is closed: past its end it begins again, at the height it began with.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

EARTH_RADIUS_M = 6_371_000.0

# Rows of the table: finer than a car is long adds nothing that anybody could measure.
STEP_M = 5.0
# Points between two given ones while the curve is drawn.
_DRAWN_PER_POINT = 200

# A made-up loop north-east of Munich: latitude, longitude, height in m.  Its bends are wide enough for the
# fastest cycle, whatever part of the loop it falls on.
LOOP = (
    (48.2480, 11.6600, 478.0),
    (48.2650, 11.6790, 471.0),
    (48.2790, 11.7080, 466.0),
    (48.2960, 11.7270, 460.0),
    (48.3170, 11.7330, 455.0),
    (48.3370, 11.7450, 451.0),
    (48.3530, 11.7690, 449.0),
    (48.3720, 11.7840, 452.0),
    (48.3930, 11.7800, 459.0),
    (48.4090, 11.7590, 470.0),
    (48.4160, 11.7280, 482.0),
    (48.4120, 11.6960, 489.0),
    (48.3990, 11.6700, 492.0),
    (48.3800, 11.6560, 488.0),
    (48.3600, 11.6480, 484.0),
    (48.3410, 11.6330, 487.0),
    (48.3220, 11.6190, 491.0),
    (48.3000, 11.6150, 493.0),
    (48.2790, 11.6160, 490.0),
    (48.2580, 11.6250, 485.0),
    (48.2460, 11.6400, 482.0),
)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where vehicles are, as columns."""

    latitude_deg: Floats
    longitude_deg: Floats
    altitude_m: Floats
    heading_deg: Floats  # clockwise from north, 0 to 360
    grade: Floats  # rise per distance along the road
    bend_1_m: Floats  # one over the radius, positive to the left


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """The table: row i is at i * STEP_M; the last row is the first again."""

    latitude_deg: Floats
    longitude_deg: Floats
    altitude_m: Floats
    heading_deg: Floats  # unwrapped: it may leave 0 to 360
    grade: Floats
    bend_1_m: Floats

    @property
    def length_m(self) -> float:
        """Once around."""
        return (len(self.grade) - 1) * STEP_M

    def at(self, distance_m: ArrayLike) -> Place:
        """Return where vehicles are that have gone `distance_m`."""
        row = np.mod(np.asarray(distance_m, np.float64), self.length_m) / STEP_M
        first = row.astype(np.intp)
        share = row - first

        def between(column: Floats) -> Floats:
            start = column[first]
            return np.asarray(start + share * (column[first + 1] - start))

        return Place(
            between(self.latitude_deg),
            between(self.longitude_deg),
            between(self.altitude_m),
            np.mod(between(self.heading_deg), 360.0),
            between(self.grade),
            between(self.bend_1_m),
        )


def make_route(points: tuple[tuple[float, float, float], ...] = LOOP) -> Route:
    """Return the smooth closed road through `points`."""
    latitude, longitude, altitude = _drawn(np.array(points, np.float64)).T
    north_m = np.radians(latitude) * EARTH_RADIUS_M
    narrowing = np.cos(np.radians(latitude.mean()))
    east_m = np.radians(longitude) * EARTH_RADIUS_M * narrowing
    drawn_m = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(north_m), np.diff(east_m)))])
    rows = int(drawn_m[-1] // STEP_M)
    # The last half step is spread over the whole line, so that it closes.
    at_m = np.linspace(0.0, drawn_m[-1], rows + 1)
    north, east = np.interp(at_m, drawn_m, north_m), np.interp(at_m, drawn_m, east_m)
    height = np.interp(at_m, drawn_m, altitude)
    heading = np.unwrap(np.arctan2(_slope(east), _slope(north)))
    heading[-1] = heading[0] + 2.0 * np.pi * round((heading[-1] - heading[0]) / (2.0 * np.pi))
    turned = heading - np.linspace(0.0, heading[-1] - heading[0], rows + 1)
    bend = -(_slope(turned) + (heading[-1] - heading[0]) / (rows * STEP_M))
    return Route(
        np.degrees(north / EARTH_RADIUS_M),
        np.degrees(east / EARTH_RADIUS_M / narrowing),
        height,
        np.degrees(heading),
        _smooth(_slope(height)),
        _smooth(bend),
    )


def _drawn(points: Floats) -> Floats:
    """Draw a closed Catmull-Rom curve: it passes through every point, without a kink."""
    before, start, end, after = (np.roll(points, shift, axis=0) for shift in (1, 0, -1, -2))
    share = np.arange(_DRAWN_PER_POINT) / _DRAWN_PER_POINT
    t = share[None, :, None]
    p0, p1, p2, p3 = (column[:, None, :] for column in (before, start, end, after))
    curve = 0.5 * (
        2.0 * p1
        + (p2 - p0) * t
        + (2.0 * p0 - 5.0 * p1 + 4.0 * p2 - p3) * t**2
        + (3.0 * p1 - p0 - 3.0 * p2 + p3) * t**3
    )
    flat = curve.reshape(-1, points.shape[1])
    return np.concatenate([flat, flat[:1]])


def _slope(column: Floats) -> Floats:
    """The change per metre of a closed column, whose last row is its first."""
    inner = column[:-1]
    slope = (np.roll(inner, -1) - np.roll(inner, 1)) / (2.0 * STEP_M)
    # Across the seam an unwrapped heading jumps by whole turns: take the one-sided change there.
    slope[0] = (column[1] - column[0]) / STEP_M
    slope[-1] = (column[-1] - column[-2]) / STEP_M
    return np.concatenate([slope, slope[:1]])


def _smooth(column: Floats) -> Floats:
    """A mean over 100 m: no road bends or rises in one step."""
    width = int(100.0 / STEP_M)
    inner = column[:-1]
    padded = np.concatenate([inner[-width:], inner, inner[:width]])
    mean = np.convolve(padded, np.full(width, 1.0 / width), "same")[width:-width]
    return np.concatenate([mean, mean[:1]])
