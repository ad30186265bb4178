"""An expression held against other kinds of its signals says what parsing it with them would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.expression.campaign import check_types, expression_of, parse
from fairway.samples import Kind
from tests.fairway.expression.campaign_trees import Choices, tree_of

KINDS = st.dictionaries(
    st.sampled_from(("x", "y", "z", "b1", "b2", "n1", "t1", "t2", "w1", "r1")),
    st.sampled_from(Kind),
)


def said(check) -> str:
    try:
        check()
    except BadInput as error:
        return str(error)
    return ""


@given(st.binary(min_size=16, max_size=100), KINDS)
def test_what_does_not_fit_is_told_as_by_the_parser(content: bytes, kinds: dict[str, Kind]):
    choices = Choices(content, clashes=False)
    try:
        known = expression_of(tree_of(choices, choices.of(choices.types)))
    except BadInput:
        return
    text = known.text
    kinds = (
        {name: kinds.get(name, Kind.TEXT) for name in known.signals} if len(content) % 2 else kinds
    )

    assert said(lambda: check_types(known, kinds.get)) == said(lambda: parse(text, kinds.get))


@pytest.mark.parametrize(
    "text",
    [
        "held($variable.`t`, 2 s) && -$variable.`t` > 1",
        "-$variable.`t` > 1 || held($variable.`t`, 2 s)",
        "$variable.`t` * 2 > 1 && held(1 < $variable.`t`, 2 s)",
        "custom_function('f', -$variable.`t`, custom_function('g', held($variable.`t`, 1 s)))",
        "rate($variable.`t`) > 1",
    ],
)
def test_the_first_that_the_parser_would_tell_is_told(text: str):
    kinds = {"t": Kind.TEXT}
    expected = said(lambda: parse(text, kinds.get))

    assert expected
    assert said(lambda: check_types(parse(text), kinds.get)) == expected
