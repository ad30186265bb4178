"""Wishes as people write them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fleet_cloud.rollouts.wishes import wish_of, wish_to_json

LEAST = {"name": "w", "bundle": "b.json", "target": {"fleet": "f"}}


def test_the_least_wish_is_one_wave_with_everybody():
    wish = wish_of(LEAST)

    assert [wave.name for wave in wish.waves] == ["all"]
    assert wish_of(wish_to_json(wish)) == wish


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"name": "a b"}, "name: is 'a b'"),
        ({"target": {}}, "give one of vehicle, fleet, query"),
        ({"target": {"fleet": "f", "vehicle": "v"}}, "give one of"),
        ({"target": {"query": "year >"}}, "query, character"),
        ({"wave": []}, "did you mean waves"),
        ({"waves": [{"percent": 5}]}, "the last one takes all that are left"),
        ({"waves": [{"percent": 60}, {"percent": 50}, {}]}, "more than 100 %"),
        ({"waves": [{}, {}]}, r"waves\[0\]: has neither filter nor percent"),
        ({"waves": [{"filter": "x", "percent": 5}, {}]}, "stands beside a filter"),
        ({"waves": [{"filter": "x ="}]}, r"waves\[0\].filter: query, character"),
        ({"waves": [{"gate": {"health": "1"}}]}, "health: query"),
        ({"waves": [{"gate": {"soak": 1}}]}, "did you mean soak_s"),
        ({"waves": [{"rate": {}}]}, "baseRatePerMinute: is missing"),
        ({"windows": [{"from": "25:00", "to": "05:00"}]}, "from: is no time of day"),
        ({"windows": [{"from": "22:00", "to": "05:00", "days": ["xyz"]}]}, "choose from mon"),
        ({"retries": {"health": {"tries": 1}}}, "health: is never tried again"),
        ({"retries": {"luck": {"tries": 1}}}, "is no kind of failure"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(more: dict[str, Any], said: str):
    with pytest.raises(BadInput, match=said):
        wish_of({**LEAST, **more})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["name", "bundle", "target", "waves", "windows", "retries", "start_at_s", "is_forced"]
)


@given(st.dictionaries(KEYS, JSON, max_size=5))
def test_garbage_is_bad_input_and_nothing_else(more: dict[str, Any]):
    try:
        wish = wish_of({**LEAST, **more})
    except BadInput:
        return
    assert wish_of(wish_to_json(wish)) == wish
