"""Trees as text again: what is written parses to the same tree."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.expression.campaign import (
    Binary,
    Boolean,
    Held,
    Node,
    Number,
    Operator,
    Read,
    Text,
    Unary,
    UnaryOperator,
    Variable,
    expression_of,
    parse,
    text,
)
from tests.fairway.expression.campaign_trees import well_typed


@settings(max_examples=200)
@given(well_typed)
def test_a_tree_that_is_written_is_read_as_the_same_tree(tree):
    written = text(tree)
    read = expression_of(tree)

    assert read.tree == tree
    assert read.text == written
    assert text(read.tree) == written


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_comes_back_to_the_last_bit(value):
    back = parse(text(Number(value))).tree

    assert isinstance(back, Number)
    assert (back.value, math.copysign(1.0, back.value)) == (value, math.copysign(1.0, value))


@given(st.text())
def test_a_text_comes_back_whatever_is_in_it(content):
    assert parse(text(Text(content))).tree == Text(content)


@given(st.integers(1_000_000, 86_400_000_000_000))
def test_a_duration_comes_back_to_the_nanosecond(duration_ns):
    tree = Read(Held(expression_of(Boolean(value=True)), duration_ns))

    assert parse(text(tree)).tree == tree


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("((1))+(2*3)", "1 + 2 * 3"),
        ("(1+2)*3", "(1 + 2) * 3"),
        ("1-(2-3)", "1 - (2 - 3)"),
        ("!(($variable.`x`)>1)", "!($variable.`x` > 1)"),
        ("!!true", "!!true"),
        ("-(5)", "-(5)"),
        ("(!true) == false", "(!true) == false"),
        ("true&&!false||true", "true && !false || true"),
        ('"a"', "'a'"),
        ("1.50e1", "15"),
        ("held(true,0.5s)", "held(true, 500 ms)"),
        ("held(true, 120 s)", "held(true, 2 min)"),
        ("held(true, 1.0015 s)", "held(true, 1001.5 ms)"),
        ("custom_function( \"f\" ,1,'b')", "custom_function('f', 1, 'b')"),
        ("prev_last_window_avg( $variable.`x` )", "prev_last_window_avg($variable.`x`)"),
    ],
)
def test_there_is_one_way_to_write_a_tree(written, canonical):
    assert text(parse(written).tree) == canonical
    assert text(parse(canonical).tree) == canonical


@pytest.mark.parametrize(
    "tree",
    [
        Number(math.nan),
        Number(math.inf),
        Read(Variable("")),
        Read(Variable("a`b")),
        Read(Variable("a\nb")),
        Read(Variable("x" * 151)),
        Text("\ud800"),
        Unary(UnaryOperator.NEGATE, Text("a")),
        Binary(Operator.AND, Text("a"), Number(1.0)),
    ],
)
def test_what_cannot_be_written_or_evaluated_is_no_expression(tree):
    with pytest.raises(BadInput):
        expression_of(tree)


def test_a_tree_that_is_too_deep_is_no_expression():
    tree: Node = Read(Variable("x"))
    for _ in range(5000):
        tree = Unary(UnaryOperator.NOT, tree)

    with pytest.raises(BadInput, match="nested deeper than 32 levels"):
        expression_of(tree)
