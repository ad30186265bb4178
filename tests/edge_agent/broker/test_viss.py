"""VISS without a socket: garbage for every parser, and what filters decide."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.broker.values import check, limits_of
from edge_agent.broker.viss_dialects import Dialect, Refused
from edge_agent.broker.viss_filters import Boundary, Change, Range, filters_of, period_ns, shape
from edge_agent.broker.viss_requests import envelope_of, request_of, text_of_value, value_of_text
from fairway.catalog.model import FLOAT_RANGES, INTEGER_RANGES, Leaf
from fairway.errors import BadInput

WORDS = st.sampled_from(
    ["get", "set", "subscribe", "unsubscribe", "paths", "timebased", "range", "change", "curvelog",
     "history", "metadata", "static-metadata", "dynamic-metadata", "Vehicle.Speed", "*", "gt", "OR", "5",
     "-1e9", "P1DT2H", "PT", "100", "1e999"]
)  # fmt: skip
KEYS = st.sampled_from(
    ["action", "path", "requestId", "filter", "variant", "type", "parameter", "period", "logic-op",
     "boundary", "combination-op", "diff", "maxerr", "bufsize", "value", "authorization", "subscriptionId"]
)  # fmt: skip
SAID = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
)


@given(st.one_of(st.text(max_size=60), SAID.map(json.dumps)), st.sampled_from(Dialect))
def test_a_message_is_refused_or_understood(text, dialect):
    try:
        request_of(envelope_of(text), dialect)
    except Refused:
        return


@given(SAID)
def test_a_filter_is_refused_or_understood(said):
    try:
        filters_of(said)
    except Refused:
        return


@given(
    SAID,
    st.sampled_from([*INTEGER_RANGES, *FLOAT_RANGES, "boolean", "string", "string[]", "int8[]"]),
)
def test_a_value_is_refused_or_one_that_its_signal_judges(said, datatype):
    try:
        value = value_of_text(said, datatype)
        kept = check(limits_of(Leaf("Vehicle.X", datatype, "actuator")), value)
    except (Refused, BadInput):
        return
    again = value_of_text(text_of_value(kept, datatype), datatype)
    # Floats of 32 bits are told as short as they can be.
    assert again == kept or np.float32(again) == np.float32(kept)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("P1D", 86_400), ("PT1H", 3600), ("P2DT12H", 216_000), ("PT1M30S", 90), ("P0D", 0)],
)
def test_a_period_is_read(text, seconds):
    assert period_ns(text) == seconds * 1_000_000_000


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "P1Y", "1D", "P999D", "PT1H ", "P-1D", "P1M", 5, None]
)
def test_a_period_that_is_none_is_refused(text):
    with pytest.raises(Refused):
        period_ns(text)


@pytest.mark.parametrize(
    ("before", "value", "holds"),
    [
        (1.0, 3.5, True),
        (1.0, 3.0, False),
        (3.0, 1.0, False),
        (None, 9.0, False),
        (1.0, None, False),
    ],
)
def test_a_change_is_a_step_up_or_down(before, value, holds):
    assert Change("gt", 2.0).holds(before, value) is holds
    assert Change("lt", -2.0).holds(value, before) is holds


def test_a_range_has_two_sides_that_both_hold_or_either():
    sides = (Boundary("gte", 5.0), Boundary("lt", 10.0))

    assert [Range(sides).holds(value) for value in (4, 5, 9.9, 10, None, "7", (7,))] == [
        *(False, True, True, False, False, False, False)
    ]
    assert Range(sides, is_either=True).holds(4)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60),
    st.floats(0, 100),
)
def test_a_shape_is_never_further_off_than_its_error(values, error_max):
    times = [n * 1000 for n in range(len(values))]
    kept = shape(times, values, error_max)

    drawn = np.interp(times, [times[at] for at in kept], [values[at] for at in kept])
    assert (kept[0], kept[-1]) == (0, len(values) - 1)
    assert float(np.abs(drawn - values).max()) <= error_max + 1e-6
