"""Formulas of mapping files: what they mean, and that nothing else gets through."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.expression.arithmetic import (
    EXPRESSION_MAX_CHARACTERS,
    EXPRESSION_MAX_DEPTH,
    FUNCTIONS,
    parse,
)
from fairway.expression.columns import compiled, linear
from fairway.expression.tree import Binary, Call, Name, Number, Unary, walk

X = ("x",)


def at(text, *values):
    """The results of a formula for some values of x."""
    return compiled(parse(text, X))({"x": np.array(values, np.float64)}).tolist()


def test_a_formula_becomes_a_tree():
    tree = parse("floor(x + 0.5) > -3", X)

    assert tree == Binary(
        ">", Call("floor", (Binary("+", Name("x"), Number(0.5)),)), Unary("-", Number(3.0))
    )
    assert [node.at for node, _ in walk(tree)] == [16, 1, 9, 7, 11, 18, 19]


# Checked against py-expression-eval 0.3.14, which the KUKSA CAN provider evaluates mappings with.
@pytest.mark.parametrize(
    ("text", "x", "result"),
    [
        ("floor((x*40)-100)", 2.13, -15.0),
        ("floor(x+0.5)", -2.5, -2.0),
        ("floor(abs(x/5))", -12.0, 2.0),
        ("(x+100)/40", 20.0, 3.0),
        ("2 + 3 * x", 4.0, 14.0),
        ("x - 1 - 1", 5.0, 3.0),
        ("-x^2", 3.0, -9.0),
        ("2^3^x", 2.0, 64.0),
        ("2**x", 3.0, 8.0),
        ("x*7%4", 2.0, 6.0),  # % binds tighter than *
        ("x*6/4", 2.0, 3.0),
        ("-x%3", 7.0, -1.0),
        ("(-x)%3", 7.0, 2.0),
        ("x < 3", 2.0, 1.0),
        ("x != 3", 3.0, 0.0),
        ("x > 1 and x < 5", 3.0, 1.0),
        ("not x == 3 or x > 7", 3.0, 0.0),
        ("x and 5", 2.0, 5.0),
        ("x or 5", 0.0, 5.0),
        ("1 + 2 == 3", 0.0, 1.0),
        ("if(x > 2, x * 10, -1)", 3.0, 30.0),
        ("if(x > 2, x * 10, -1)", 1.0, -1.0),
        ("round(x)", 2.5, 2.0),
        ("round(x)", 3.5, 4.0),
        ("ceil(x)", 1.2, 2.0),
        ("min(x, 3)", 5.0, 3.0),
        ("max(x, 3, 9)", 5.0, 9.0),
        ("pow(x, 2)", 5.0, 25.0),
        ("log(x, 2)", 16.0, 4.0),
        ("log(E^x)", 3.0, 3.0),
        ("sqrt(x)", 9.0, 3.0),
        ("pyt(3, x)", 4.0, 5.0),
        ("fac(x)", 5.0, 120.0),
        ("sin(PI/x)", 2.0, 1.0),
        ("cosd(x)", 60.0, 0.5),
        ("1.5e3 + .5 + 1.", 0.0, 1501.5),
        ("x /* the raw speed */ * 2", 4.0, 8.0),
        ("7", 1.0, 7.0),
    ],
)
def test_formulas_mean_what_they_mean_to_the_can_provider(text, x, result):
    assert at(text, x) == [pytest.approx(result, rel=1e-12)]


def test_a_sign_may_follow_any_operator():
    assert at("2^-x + 6/-x", 2.0) == [-2.75]


@pytest.mark.parametrize(
    "text",
    ["1/x", "x % 0", "log(x)", "sqrt(x - 1)", "x ^ -1", "exp(1000 + x)", "fac(-1)", "asin(2)"],
)
def test_a_value_that_does_not_exist_is_nan_and_costs_only_its_row(text):
    assert math.isnan(at(text, 0.0, 1.0)[0])


def test_a_missing_value_decides_nothing():
    assert [math.isnan(value) for value in at("if(1/x > 3, 1, 0)", 0.0, 1.0)] == [True, False]
    assert math.isnan(at("max(1/x, 5)", 0.0)[0])
    assert math.isnan(at("not (1/x)", 0.0)[0])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "character 1: the expression ends"),
        ("x +", "character 4: the expression ends"),
        ("x + * 2", "character 5: * stands where a value is expected"),
        ("(x + 1", "character 7: the end where the bracket of character 1 should close"),
        ("x)", "character 2: ) is not expected here"),
        ("x 3", "character 3: 3 is not expected here"),
        ("y + 1", "character 1: y is not known here; known: x"),
        ("floor x", "character 7: x is not expected here"),
        ("open(x)", "character 1: open is not a function here"),
        ("pow(x)", "character 1: pow takes 2 values, not 1"),
        ("min()", "character 5: ) stands where a value is expected"),
        ("x || 'km'", "character 3: '|' is not arithmetic"),
        ("x; import os", "character 2: ';' is not arithmetic"),
        ("x.real", "character 2: '.' is not arithmetic"),
        ("and", "character 1: and stands where a value is expected"),
    ],
)
def test_what_is_no_formula_is_refused_with_its_place(text, place):
    with pytest.raises(BadInput) as refused:
        parse(text, X)

    assert place in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "(" * (EXPRESSION_MAX_DEPTH + 1) + "x" + ")" * (EXPRESSION_MAX_DEPTH + 1),
        "-" * 500 + "x",
        "+".join("x" * 1000),
        "(((" + "+1" * 250 + ")" + "+1" * 250 + ")" + "+1" * 250 + ")" + "+1" * 250,
        "x" * (EXPRESSION_MAX_CHARACTERS + 1),
        "1" * EXPRESSION_MAX_CHARACTERS + "+x",
    ],
)
def test_depth_and_length_have_an_end(text):
    with pytest.raises(BadInput):
        parse(text, X)


@given(
    st.text(max_size=60)
    | st.text(alphabet="x019.+-*/%^()<>=!, and or not e", max_size=60)
    | st.lists(
        st.sampled_from(["x", "1", ".5", "(", ")", "+", "-", "*", "^", ",", "and", *FUNCTIONS]),
        max_size=30,
    ).map(" ".join)
)
@example("\N{BULLET}")
@example("x \N{BULLET OPERATOR} 2")
@example("\N{SUPERSCRIPT TWO}")
@example("1e999")
def test_any_text_is_a_formula_or_a_clear_refusal(text):
    try:
        tree = parse(text, X)
    except BadInput as refused:
        answer = str(refused)
    else:
        answer = str(compiled(tree)({"x": np.array([-3.7, 0.0, 2.0, math.inf, math.nan])}).shape)

    assert answer == "(5,)" or (answer.startswith(("character", "the expr")) and len(answer) < 400)


numbers = st.sampled_from([-3.0, -1.0, 0.5, 2.0, 4.0]).map(Number)
affine = st.recursive(
    numbers | st.just(Name("x")),
    lambda inner: st.one_of(
        st.builds(Binary, st.sampled_from(["+", "-"]), inner, inner),
        st.builds(Binary, st.just("*"), numbers, inner),
        st.builds(Binary, st.just("/"), inner, numbers),
        st.builds(Unary, st.just("-"), inner),
    ),
    max_leaves=8,
)


@given(affine)
def test_a_linear_formula_is_known_as_one(tree):
    found = linear(tree, "x")

    assert found is not None
    slope, shift = found
    x = np.array([-2.0, 0.0, 1.5, 100.0])
    assert compiled(tree)({"x": x}) == pytest.approx(slope * x + shift, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("text", ["x*x", "abs(x)", "1/x", "x^1", "x > 1", "not x", "x/0"])
def test_what_is_not_linear_is_not_taken_for_it(text):
    assert linear(parse(text, X), "x") is None
