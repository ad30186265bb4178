"""Times, spans and choices as requests write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fleet_cloud.api.parameters import aggregates, iso, signal_filter, span_ns, time_ns
from fleet_cloud.vehicles.telemetry import TIME_MAX_NS

NOW_NS = 1_700_000_000_000_000_000


def parsed(text: str) -> int:
    return time_ns(text, name="from", now_ns=NOW_NS)


@given(at_ns=st.integers(0, TIME_MAX_NS))
def test_a_time_survives_iso_to_the_nanosecond(at_ns: int):
    assert parsed(iso(at_ns)) == at_ns
    assert parsed(str(at_ns)) == at_ns


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("2023-11-14T22:13:20Z", NOW_NS),
        ("2023-11-14T22:13:20", NOW_NS),
        ("2023-11-14 22:13:20.000000001", NOW_NS + 1),
        ("2023-11-14T23:13:20+01:00", NOW_NS),
        ("2023-11-14T23:13:20 01:00", NOW_NS),  # what an unescaped plus becomes
        ("2023-11-14T22:13Z", NOW_NS - 20 * 10**9),
        ("1970-01-02", 86_400 * 10**9),
        ("-2m", NOW_NS - 120 * 10**9),
        ("-500ms", NOW_NS - 500 * 10**6),
    ],
)
def test_a_time_is_written_in_many_ways(text: str, at_ns: int):
    assert parsed(text) == at_ns


@given(text=st.text(max_size=30) | st.text("0123456789-:TZ+. mshd", max_size=30))
def test_any_text_is_a_time_or_one_sentence(text: str):
    try:
        at_ns = parsed(text)
    except BadInput:
        return
    assert 0 <= at_ns <= TIME_MAX_NS


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "2300-01-01", "-9999999d", "9" * 19])
def test_times_nobody_can_store_are_refused(text: str):
    with pytest.raises(BadInput):
        parsed(text)


@pytest.mark.parametrize(
    ("text", "span"),
    [("500ms", 500_000_000), ("10s", 10**10), ("1h", 36 * 10**11), ("7d", 6048 * 10**11)],
)
def test_a_span_has_a_unit(text: str, span: int):
    assert span_ns(text, name="bucket") == span


@pytest.mark.parametrize("text", ["", "5", "s", "1.5s", "-1s", "0m", "1w", "٣s", "999999999999d"])
def test_a_span_without_measure_is_refused(text: str):
    with pytest.raises(BadInput, match="bucket"):
        span_ns(text, name="bucket")


def test_aggregates_stand_once_in_the_order_asked_for():
    assert aggregates("max,min,max") == ["max", "min"]


def test_a_signal_fits_one_of_several_patterns():
    fits = signal_filter(["*.Speed", "Cabin.*.Is?pen"])

    names = ["Vehicle.Speed", "Cabin.Door.IsOpen", "Cabin.Door.IsLocked", "Speedy"]
    assert [fits(name) for name in names] == [True, True, False, False]
    assert signal_filter([])("anything")
