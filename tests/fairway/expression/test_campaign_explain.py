"""Explanations: what each part is, and which parts keep the whole from being true."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.expression.campaign import (
    Expression,
    Held,
    Type,
    explain,
    inputs_of,
    is_true,
    parse,
    scalar,
    walk,
)
from tests.fairway.expression.campaign_rows import bits
from tests.fairway.expression.campaign_trees import Choices, column_of, tree_of, values_of


def spelled(text):
    """Signals as single letters, for tables that can be read."""
    return re.sub(r"\b[abc]\b", r"$variable.`\g<0>`", text)


def culprits(text, *values):
    found = explain(parse(spelled(text)), values)
    return [
        part.text.replace("$variable.`", "").replace("`", "") for part in found if part.is_culprit
    ]


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("a > 5", [6.0], []),
        ("a > 5", [4.0], ["a > 5"]),
        ("a > 5 && b > 5", [4.0, 6.0], ["a > 5"]),
        ("a > 5 && b > 5", [4.0, 3.0], ["a > 5", "b > 5"]),
        ("a > 5 || b > 5", [4.0, 6.0], []),
        ("a > 5 || b > 5", [4.0, 3.0], ["a > 5", "b > 5"]),
        ("a > 5 && (b > 5 || c)", [6.0, 3.0, False], ["b > 5", "c"]),
        ("a && b", [True, 0.0], ["b"]),
        ("!(a > 5)", [6.0], ["a > 5"]),
        ("!(a > 5 && b > 5)", [6.0, 7.0], ["a > 5", "b > 5"]),
        ("!(a > 5 || b > 5)", [6.0, 3.0], ["a > 5"]),
        ("!!(a > 5 && b > 5)", [6.0, 3.0], ["b > 5"]),
        ("!(a > 5 && !b)", [6.0, False], ["a > 5", "b"]),
        ("(a && b) == true", [True, False], ["(a && b) == true"]),
        ("a + b", [1.0, -1.0], ["a + b"]),
        ("false", [], ["false"]),
        ("a > 5 && 0", [6.0], ["0"]),
        ("a > 5 && b > 5", [None, 6.0], ["a"]),
        ("a > 5 && b > 5", [None, 3.0], ["a"]),
        ("a > 5 || b + c > 5", [6.0, None, None], ["b", "c"]),
        ("!(a > 5)", [None], ["a"]),
        ("a > 5 && a < 9", [None], ["a", "a"]),
        ("a > 5", ["P"], ["a > 5"]),
        ("a == b && true", ["P", 1.0], ["a == b"]),
        ("custom_function('log', 2, a) > 1", [-1.0], ["custom_function('log', 2, a)"]),
        ("inside_circle(a, b, 0, 0, 5) || true", [91.0, 0.0], ["inside_circle(a, b, 0, 0, 5)"]),
        ("inside_polygon(a, b, '0 0, 1 0, 1 1')", [9.0, 0.0], ["inside_polygon(a, b, '0 0, 1 0, 1 1')"]),
        ("a + 'x'", ["P"], ["a + 'x'"]),
        ("isNull(a) || held(b > 1, 2 s)", [False, False], ["isNull(a)", "held(b > 1, 2 s)"]),
        ("1 / a > 5", [0.0], []),
    ],
)  # fmt: skip
def test_the_culprits_are_the_smallest_parts_that_had_to_be_otherwise(text, values, expected):
    assert culprits(text, *values) == expected


def test_every_part_is_told_with_its_place_and_value():
    text = "($variable.`a` + 1) * 2 > 5 && !$variable.`b`"
    found = explain(parse(text), [1.0, None])

    assert [(part.text, part.depth, part.value) for part in found] == [
        (text, 1, None),
        ("($variable.`a` + 1) * 2 > 5", 2, False),
        ("($variable.`a` + 1) * 2", 3, 4.0),
        ("$variable.`a` + 1", 4, 2.0),
        ("$variable.`a`", 5, 1.0),
        ("1", 5, 1.0),
        ("2", 4, 2.0),
        ("5", 3, 5.0),
        ("!$variable.`b`", 2, None),
        ("$variable.`b`", 3, None),
    ]
    assert all(text[part.first - 1 : part.last] == part.text for part in found)


def test_a_held_condition_is_explained_by_its_own_expression_in_the_place_of_the_whole():
    text = "$variable.`a` && held($variable.`b` > 1 && $variable.`c`, 2 s)"
    held = parse(text).inputs[1]
    assert isinstance(held, Held)

    (culprit,) = [part for part in explain(held.condition, [2.0, False]) if part.is_culprit]

    assert text[culprit.first - 1 : culprit.last] == culprit.text == "$variable.`c`"


def test_the_tolerance_is_that_of_the_campaign():
    expression = parse("$variable.`a` == 5")

    assert not explain(expression, [5.3], tolerance=0.5)[0].is_culprit
    assert explain(expression, [5.3])[0].is_culprit


@settings(max_examples=300)
@given(st.binary(min_size=24, max_size=120), st.booleans())
def test_explanations_agree_with_the_evaluators(content, clashes):
    choices = Choices(content, clashes=clashes)
    tree = tree_of(choices, choices.of(choices.types))
    expression = Expression("", tree, inputs_of(tree), Type.UNKNOWN)
    row = [values_of(column_of(choices, read, 1))[0] for read in expression.inputs]
    value = scalar(expression)(row)

    found = explain(expression, row)

    assert bits(found[0].value) == bits(value)
    assert any(part.is_culprit for part in found) is not is_true(value)
    assert all(part.value is None for part in found if part.is_culprit) or value is not None
    assert len(found) <= sum(1 for _ in walk(tree))
