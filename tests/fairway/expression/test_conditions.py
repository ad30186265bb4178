"""Conditions on signals: what holds, what does not, and what cannot be told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.expression.conditions import condition

SPEED, DOOR = "Vehicle.Speed", "Vehicle.Cabin.Door.Row2.Left.IsOpen"


@pytest.mark.parametrize(
    ("text", "values", "holds"),
    [
        ("Vehicle.Speed == 0", {SPEED: 0.0}, True),
        ("Vehicle.Speed == 0", {SPEED: 0.1}, False),
        ("Vehicle.Speed == 0", {}, None),
        (
            "Vehicle.Speed < 5 and not Vehicle.Cabin.Door.Row2.Left.IsOpen",
            {SPEED: 3, DOOR: 0},
            True,
        ),
        (
            "Vehicle.Speed < 5 and not Vehicle.Cabin.Door.Row2.Left.IsOpen",
            {SPEED: 3, DOOR: 1},
            False,
        ),
        ("Vehicle.Cabin.Door.Row2.Left.IsOpen == true", {DOOR: 1.0}, True),
        ("Vehicle.Cabin.Door.Row2.Left.IsOpen == false", {DOOR: 1.0}, False),
        (
            "Vehicle.Speed == 0 or Vehicle.Cabin.Door.Row2.Left.IsOpen",
            {SPEED: 0.0},
            None,
        ),  # unknown
        ("abs(Vehicle.Speed - 10) <= 2", {SPEED: 11.5}, True),
        ("1 / Vehicle.Speed > 0", {SPEED: 0.0}, None),
        ("1 == 1", {}, True),
    ],
)
def test_a_condition_holds_or_not_or_cannot_be_told(text, values, holds):
    assert condition(text).holds(values) is holds


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("Vehicle.Speed ==", "the expression ends where a value is expected"),
        ("Vehicle.Speed = 0", "character 15: '=' is not arithmetic"),
        ("Speed == 0", "Speed is not known here"),
        ("Vehicle.Speed == 'fast'", "character 18"),
        ("A.b == 0 and A_b.c == 0 and A.b_c == 1", "cannot stand in one condition"),
        ("x" * 5000, "more than 2048 characters"),
    ],
)
def test_what_is_no_condition_is_told_with_its_place(text, sentence):
    with pytest.raises(BadInput) as error:
        condition(text)
    assert sentence in str(error.value)


@given(st.text(st.sampled_from("Vehicle.Spd=<>!&|andornt()0.1+-*/ '\"\0é"), max_size=60))
def test_garbage_is_a_condition_or_a_sentence(text):
    try:
        made = condition(text)
    except BadInput as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert made.holds({}) in (True, False, None)
