"""The reference of the campaign language says what the code does: its examples parse, and give what it says."""

import re

import pytest

from fairway.errors import BadInput
from fairway.expression.campaign import (
    EQUALITY_TOLERANCE,
    EXPRESSION_MAX_CHARACTERS,
    EXPRESSION_MAX_DEPTH,
    EXPRESSION_MAX_NODES,
    EXPRESSION_MAX_SIGNALS,
    FLEETWISE_MAX_CHARACTERS,
    FLEETWISE_MAX_DEPTH,
    Function,
    UnaryOperator,
    parse,
    scalar,
)
from fairway.expression.campaign_functions import ARGUMENTS_MAX
from fairway.expression.campaign_parser import _BY_SIGNAL, _WINDOWS
from fairway.expression.campaign_places import CIRCLE_MAX_RADIUS_M, CORNERS_MAX
from fairway.expression.campaign_text import BINDING, UNARY_BINDING, UNITS_NS
from fairway.expression.campaign_tokens import NAME_MAX_CHARACTERS
from tests.docs.pages import DOCS, blocks

PAGE = "reference/campaign-language.md"
WORDS = (DOCS / PAGE).read_text(encoding="utf-8")
BLOCKS = blocks(PAGE)
EXAMPLES = [
    line
    for block in BLOCKS
    if block.language == "campaign"
    for line in block.content.splitlines()
    if line.strip()
]
REFUSED = [
    pair
    for block in BLOCKS
    if block.language == "refused"
    for pair in re.findall(r"^(\S.*)\n    (.*)$", block.content, re.MULTILINE)
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_parses_and_gives_what_it_says(line):
    text, _, result = line.partition(" => ")
    expression = parse(text)

    if result:
        assert expression.inputs == ()
        value = scalar(expression)([])
        said = "undefined" if value is None else repr(value)
        assert said.replace("True", "true").replace("False", "false") == result.strip()


def test_there_are_examples_of_all_kinds():
    assert len(EXAMPLES) >= 30
    assert len(REFUSED) == 5
    assert {block.language for block in BLOCKS} == {"campaign", "refused"}


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_every_error_is_told_as_it_says(text, message):
    with pytest.raises(BadInput) as refused:
        parse(text)

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    "word", [*_WINDOWS, *_BY_SIGNAL, *Function, *UNITS_NS, "custom_function", "held"]
)
def test_every_function_and_unit_is_explained(word):
    assert re.search(rf"`{re.escape(word)}[`(]", WORDS)


def test_operators_are_told_in_the_order_they_bind():
    (line,) = [line for line in WORDS.splitlines() if line.startswith("    -x")]
    told = line.split()[1:]
    known = BINDING | {"!": UNARY_BINDING[UnaryOperator.NOT]}
    binding = [known[operator] for operator in told]

    assert set(told) == set(known)
    assert binding == sorted(binding, reverse=True)


def test_limits_are_those_of_the_code():
    rows = re.findall(
        r"^\| (characters|depth|values|signals)[^|]*\| (\d*) *\| (\d+) \|$", WORDS, re.MULTILINE
    )

    assert rows == [
        ("characters", str(FLEETWISE_MAX_CHARACTERS), str(EXPRESSION_MAX_CHARACTERS)),
        ("depth", str(FLEETWISE_MAX_DEPTH), str(EXPRESSION_MAX_DEPTH)),
        ("values", "", str(EXPRESSION_MAX_NODES)),
        ("signals", "", str(EXPRESSION_MAX_SIGNALS)),
    ]
    assert f"less than {EQUALITY_TOLERANCE} apart" in WORDS
    assert f"at most {NAME_MAX_CHARACTERS}" in WORDS
    assert f"of 2 to {ARGUMENTS_MAX} numbers" in WORDS
    assert f"3 to {CORNERS_MAX} corners" in WORDS
    assert f"at most {CIRCLE_MAX_RADIUS_M:,.0f} m" in WORDS
    assert "from 1 ms to 24 h" in WORDS
