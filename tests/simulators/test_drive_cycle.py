"""Drive cycles equal the tables they were written from, and garbage is refused in a sentence."""

import contextlib
import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from simulators.drive_cycle import CYCLES, load_cycle, parse_cycle
from tests.shared_data import shared

SOURCES = {"wltc": "wltc_3b", "udds": "udds", "us06": "us06", "hwfet": "hwfet"}


@pytest.mark.parametrize("name", CYCLES)
def test_a_cycle_equals_the_published_table(name: str):
    with shared(f"can/cycles/{SOURCES[name]}.csv").open(encoding="utf-8-sig") as file:
        published = [float(row["cycMps"]) for row in csv.DictReader(file)]

    cycle = load_cycle(name)

    assert cycle.duration_s == len(published) - 1
    assert np.max(np.abs(cycle.speed_m_s - published)) * 3.6 < 0.006  # as printed, rounded to 0.01


@pytest.mark.parametrize(
    ("name", "km", "max_km_h"),
    [
        ("wltc", 23.27, 131.3),
        ("udds", 11.99, 91.25),
        ("us06", 12.89, 129.2),
        ("hwfet", 16.51, 96.4),
    ],
)
def test_distance_and_top_speed_are_those_of_the_regulation(name: str, km: float, max_km_h: float):
    cycle = load_cycle(name)

    assert cycle.distance_m / 1000 == pytest.approx(km, abs=0.01)
    assert cycle.speed_m_s.max() * 3.6 == pytest.approx(max_km_h, abs=0.05)


def test_between_two_seconds_the_speed_is_linear_and_after_the_end_it_begins_again():
    cycle = parse_cycle("# a ramp\n0, 36\n72", name="ramp")

    assert cycle.speed_at([0.5, 1.0, 1.5, 2.5]).tolist() == [5.0, 10.0, 15.0, 5.0]


def test_a_cycle_nobody_knows_is_refused_with_those_known():
    with pytest.raises(BadInput, match="wltc, udds, us06, hwfet"):
        load_cycle("nedc")


@pytest.mark.parametrize("entry", ["fast", "-1", "301", "nan", "1e9"])
def test_an_entry_that_is_no_speed_is_named(entry: str):
    with pytest.raises(BadInput, match="second 1 of the cycle mine"):
        parse_cycle(f"0,{entry},0", name="mine")


@given(st.text(alphabet="0123456789.,-#e\n x", max_size=60))
def test_garbage_is_a_cycle_or_a_sentence(text: str):
    with contextlib.suppress(BadInput):
        assert parse_cycle(text, name="garbage").duration_s >= 1.0
