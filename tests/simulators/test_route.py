"""The road is closed, smooth, and bends no more than the fastest cycle can take."""

import numpy as np
import pytest

from simulators.route import EARTH_RADIUS_M, make_route


@pytest.fixture(scope="module")
def road():
    return make_route()


def test_the_road_ends_where_it_begins(road):
    start, end = road.at([0.0]), road.at([road.length_m - 0.01])

    assert end.latitude_deg[0] == pytest.approx(start.latitude_deg[0], abs=1e-6)
    assert end.longitude_deg[0] == pytest.approx(start.longitude_deg[0], abs=1e-6)
    assert end.altitude_m[0] == pytest.approx(start.altitude_m[0], abs=0.1)
    assert abs(np.cos(np.radians(end.heading_deg - start.heading_deg)))[0] > 0.999


def test_positions_are_as_far_apart_as_the_distance_driven(road):
    at = np.arange(0.0, road.length_m - 20.0, 20.0)
    here, there = road.at(at), road.at(at + 10.0)
    north = np.radians(there.latitude_deg - here.latitude_deg) * EARTH_RADIUS_M
    narrowing = np.cos(np.radians(here.latitude_deg))
    east = np.radians(there.longitude_deg - here.longitude_deg) * EARTH_RADIUS_M * narrowing

    assert np.hypot(north, east) == pytest.approx(10.0, rel=0.01)


def test_heading_points_where_the_road_goes(road):
    at = np.arange(0.0, road.length_m - 20.0, 100.0)
    here, there = road.at(at), road.at(at + 10.0)
    north = np.radians(there.latitude_deg - here.latitude_deg)
    east = np.radians(there.longitude_deg - here.longitude_deg) * np.cos(np.radians(48.33))
    off = np.degrees(np.arctan2(east, north)) - here.heading_deg

    assert np.max(np.abs((off + 180.0) % 360.0 - 180.0)) < 1.5


def test_the_bends_are_those_of_the_heading(road):
    at = np.arange(200.0, road.length_m - 200.0, 50.0)
    turned = road.at(at + 25.0).heading_deg - road.at(at - 25.0).heading_deg
    per_m = -np.radians((turned + 180.0) % 360.0 - 180.0) / 50.0

    assert np.max(np.abs(per_m - road.at(at).bend_1_m)) < 2e-4


def test_the_fastest_cycle_stays_on_the_road(road):
    fastest_m_s = 131.3 / 3.6

    assert np.max(np.abs(road.bend_1_m)) * fastest_m_s**2 < 3.0


def test_the_road_rises_and_falls_and_comes_back(road):
    assert np.max(np.abs(road.grade)) < 0.04
    assert np.mean(road.grade[:-1]) == pytest.approx(0.0, abs=1e-4)
