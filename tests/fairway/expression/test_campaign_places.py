"""Geofences against distances and places that are known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.expression.campaign_places import (
    CIRCLE_MAX_RADIUS_M,
    CORNERS_MAX,
    are_inside,
    chord_2,
    distance_2,
    is_inside,
    polygon_of,
)
from tests.fairway.expression.campaign_rows import evaluated

INSIDE = "inside_circle($variable.`lat`, $variable.`lon`, {lat}, {lon}, {radius})"
latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


def geodesic_m(one, other):
    """Vincenty's inverse formula on WGS84: right to a millimetre, except for points nearly opposite."""
    a, f = 6_378_137.0, 1 / 298.257223563
    b = a * (1 - f)
    u1, u2 = (math.atan((1 - f) * math.tan(math.radians(point[0]))) for point in (one, other))
    apart = lam = math.radians(other[1] - one[1])
    while True:
        sin_s = math.hypot(
            math.cos(u2) * math.sin(lam),
            math.cos(u1) * math.sin(u2) - math.sin(u1) * math.cos(u2) * math.cos(lam),
        )
        if sin_s == 0:
            return 0.0
        cos_s = math.sin(u1) * math.sin(u2) + math.cos(u1) * math.cos(u2) * math.cos(lam)
        sigma = math.atan2(sin_s, cos_s)
        sin_a = math.cos(u1) * math.cos(u2) * math.sin(lam) / sin_s
        cos2_a = 1 - sin_a**2
        cos_2m = cos_s - 2 * math.sin(u1) * math.sin(u2) / cos2_a if cos2_a else 0.0
        c = f / 16 * cos2_a * (4 + f * (4 - 3 * cos2_a))
        before, lam = (
            lam,
            apart
            + (1 - c)
            * f
            * sin_a
            * (sigma + c * sin_s * (cos_2m + c * cos_s * (2 * cos_2m**2 - 1))),
        )
        if abs(lam - before) < 1e-12:
            break
    u_2 = cos2_a * (a**2 - b**2) / b**2
    big_a = 1 + u_2 / 16384 * (4096 + u_2 * (-768 + u_2 * (320 - 175 * u_2)))
    big_b = u_2 / 1024 * (256 + u_2 * (-128 + u_2 * (74 - 47 * u_2)))
    delta = big_b * sin_s * (
        cos_2m
        + big_b / 4 * (cos_s * (2 * cos_2m**2 - 1)
        - big_b / 6 * cos_2m * (4 * sin_s**2 - 3) * (4 * cos_2m**2 - 3))
    )  # fmt: skip
    return b * big_a * (sigma - delta)


# Geodesics known from elsewhere: Vincenty's published line, one degree on the equator and from the pole, and a
# Geoscience Australia example.
@pytest.mark.parametrize(
    ("one", "other", "distance_m"),
    [
        (
            (-37.95103341666667, 144.42486788888888),
            (-37.65282113888889, 143.92649552777777),
            54_972.271,
        ),
        ((0.0, 10.0), (0.0, 11.0), 111_319.491),
        ((90.0, 0.0), (89.0, 77.0), 111_693.865),
        ((0.0, 0.0), (1.0, 0.0), 110_574.389),
    ],
)
def test_a_circle_ends_at_its_radius(one, other, distance_m):
    assert geodesic_m(one, other) == pytest.approx(distance_m, abs=0.01)
    for factor, inside in ((0.9999, False), (1.0001, True)):
        text = INSIDE.format(lat=other[0], lon=other[1], radius=distance_m * factor)
        assert evaluated(text, *one) is inside


@given(latitudes, longitudes, st.floats(0, 360), st.floats(1, CIRCLE_MAX_RADIUS_M))
def test_distances_are_right_to_two_parts_in_100_000(latitude, longitude, course, radius_m):
    north = radius_m / 111_000 * math.cos(math.radians(course))
    east = radius_m / 111_000 * math.sin(math.radians(course))
    other = max(-90.0, min(90.0, latitude + north)), (longitude + east + 180) % 360 - 180
    apart_m = geodesic_m((latitude, longitude), other)
    if not 1e-3 < apart_m < CIRCLE_MAX_RADIUS_M:
        return
    straight_2 = distance_2((latitude, longitude), other, math.sqrt)

    assert straight_2 == pytest.approx(chord_2(apart_m), rel=4e-5, abs=1e-5)


def test_a_circle_reaches_over_the_antimeridian_and_the_pole():
    assert evaluated(INSIDE.format(lat=0, lon=179.9, radius=30_000), 0.0, -179.9) is True
    assert evaluated(INSIDE.format(lat=89.9, lon=0, radius=30_000), 89.9, 180.0) is True
    assert evaluated(INSIDE.format(lat=0, lon=179.9, radius=20_000), 0.0, -179.9) is False


def test_the_centre_and_the_radius_may_be_signals():
    text = (
        "inside_circle($variable.`a`, $variable.`b`, $variable.`c`, $variable.`d`, $variable.`r`)"
    )

    assert evaluated(text, 48.0, 11.0, 48.0, 11.0, 0.0) is True
    assert evaluated(text, 48.0, 11.0, 48.0, 11.1, 7000.0) is False
    for lost in (
        (48.0, 11.0, 98.0, 11.0, 5.0),
        (48.0, 11.0, 48.0, 11.0, -1.0),
        (48.0, 11.0, 48.0, 11.0, 2e6),
    ):
        assert evaluated(text, *lost) is None


@pytest.mark.parametrize("position", [(91.0, 0.0), (0.0, 180.1), (math.nan, 0.0), (0.0, math.inf)])
def test_who_is_nowhere_is_neither_in_nor_out(position):
    assert evaluated(INSIDE.format(lat=0, lon=0, radius=5), *position) is None
    text = "!inside_polygon($variable.`lat`, $variable.`lon`, '-1 -1, -1 1, 1 0')"
    assert evaluated(text, *position) is None


L_SHAPE = "0 0, 0 3, 1 3, 1 1, 3 1, 3 0"
FIJI = "-16 177, -16 -178, -20 -178, -20 177"


@pytest.mark.parametrize(
    ("corners", "position", "inside"),
    [
        (L_SHAPE, (0.5, 2.5), True),
        (L_SHAPE, (2.5, 0.5), True),
        (L_SHAPE, (2.5, 2.5), False),
        (L_SHAPE, (-0.1, 0.5), False),
        (L_SHAPE + ", 0 0", (0.5, 2.5), True),
        (FIJI, (-18.0, 179.0), True),
        (FIJI, (-18.0, -179.0), True),
        (FIJI, (-18.0, 180.0), True),
        (FIJI, (-18.0, -180.0), True),
        (FIJI, (-18.0, 176.0), False),
        (FIJI, (-18.0, -177.0), False),
        (FIJI, (-18.0, 0.0), False),
        ("-16 -178, -16 177, -20 177, -20 -178", (-18.0, 179.0), True),
        (
            "48.1,11.5".replace(",", " ") + ",48.2 11.5,\n 48.2 11.7 , 48.1 +11.7",
            (48.15, 11.6),
            True,
        ),
    ],
)
def test_a_position_is_in_a_polygon_or_not(corners, position, inside):
    polygon = polygon_of(corners)

    assert is_inside(polygon, *position) is inside
    assert are_inside(polygon, *(np.array([part]) for part in position)).tolist() == [inside]


@pytest.mark.parametrize(
    ("corners", "why"),
    [
        ("", "corner 1, '', is not written as: latitude longitude"),
        ("1 2", "a polygon has 3 to 500 corners, this one 1"),
        ("1 2, 3 4", "a polygon has 3 to 500 corners, this one 2"),
        ("1 2, 3 4, 1 2", "a polygon has 3 to 500 corners, this one 2"),
        (", ".join(f"{n / 10} {n % 7}" for n in range(CORNERS_MAX + 1)), "this one 501"),
        ("1 2, 3 4, five 6", "corner 3, 'five 6', is not written as"),
        ("1 2, 3 4 5, 6 7", "corner 2, '3 4 5', is not written as"),
        ("1 2, 3 1e1, 6 7", "corner 2, '3 1e1', is not written as"),
        ("1 2, 93 4, 5 6", "corner 2, '93 4', is not on the earth"),
        ("1 2, 3 190, 5 6", "corner 2, '3 190', is not on the earth"),
        ("1 2, 1 4, 1 6", "the polygon encloses nothing"),
        ("1 2, 3 2, 5 2", "the polygon encloses nothing"),
        ("60 0, 60 120, 60 -120", "the polygon goes round a pole"),
        ("0 -90, 0 90, 10 0", "the edge before corner 2 goes half round the earth"),
    ],
)
def test_what_is_no_polygon_is_refused(corners, why):
    with pytest.raises(BadInput) as refused:
        polygon_of(corners)

    assert why in str(refused.value)


def test_many_rows_in_a_polygon_of_500_corners_are_told_as_one_by_one():
    turns = np.linspace(0, 2 * np.pi, CORNERS_MAX, endpoint=False)
    radius = 5 + np.sin(turns * 25)
    polygon = polygon_of(
        ", ".join(
            f"{r * math.cos(t):.6f} {r * math.sin(t):.6f}"
            for t, r in zip(turns, radius, strict=True)
        )
    )
    rng = np.random.default_rng(5)
    latitude, longitude = rng.uniform(-7, 7, (2, 2000))

    together = are_inside(polygon, latitude, longitude)
    one_by_one = [
        is_inside(polygon, *at) for at in zip(latitude.tolist(), longitude.tolist(), strict=True)
    ]

    away = np.hypot(latitude, longitude)
    assert together.tolist() == one_by_one
    assert together[away < 3.9].all()
    assert not together[away > 6.01].any()
    assert 0.3 < together.mean() < 0.5
