"""Queries over attributes: what they mean, and where they are wrong."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fleet_cloud.control.query import DEPTH_MAX, QUERY_MAX_CHARACTERS, Value, parse

CAR: dict[str, Value] = {
    "id": "VIN1",
    "model": "ID.4",
    "year": 2024.0,
    "region": "eu",
    "is_rental": True,
    "door-count": 5,
}


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ('model == "ID.4"', True),
        ('model != "ID.4"', False),
        ("year >= 2024", True),
        ("year > 2024", False),
        ("year < 2024.5 and year <= 2024", True),
        ("door-count == 5", True),
        ("is_rental", True),
        ("not is_rental", False),
        ("is_rental == true", True),
        ("is_rental == false", False),
        ("model", False),  # a text is not true
        ('region in ("uk", "eu")', True),
        ("year in (2023, 2025)", False),
        ('id == "VIN1"', True),
        # and binds tighter than or, not tighter than and.
        ('region == "us" and year > 1 or is_rental', True),
        ('region == "us" and (year > 1 or is_rental)', False),
        ('not region == "us" and year == 2024', True),
        ('not (region == "eu" or year == 1)', False),
        ('model == "a \\"quoted\\" one"', False),
        # What is not known makes a comparison false, whichever it is.
        ("colour == 1", False),
        ("colour != 1", False),
        ("not colour != 1", True),
        ('year == "2024"', False),
        ('year != "2024"', False),
        ("is_rental == 1", False),
        ("is_rental >= 0", False),
        ('"eu" == "eu"', None),
    ],
)
def test_a_query_means_what_it_says(text: str, means: bool | None):  # noqa: FBT001
    if means is None:
        with pytest.raises(BadInput):
            parse(text)
        return
    assert parse(text)(CAR) is means


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "character 1: the name of an attribute"),
        ("   ", "character 4: the name of an attribute"),
        ("year =", "character 6: '=' does not belong here"),
        (
            "year == ",
            'character 9: a number, a text in "...", true or false is expected, not the end',
        ),
        (
            "year == model",
            'character 9: a number, a text in "...", true or false is expected, not "model"',
        ),
        ("year 2024", 'character 6: `and`, `or` or the end is expected, not "2024"'),
        ("(year == 1", "character 11: `)` is expected, not the end"),
        ("year in 1", "character 9: `(` is expected"),
        ("year in (1 2)", "character 12: `,` or `)` is expected"),
        ("and", "character 1: the name of an attribute"),
        ("year == 1 or", "character 13: the name of an attribute"),
        ("2024 == year", "character 1: the name of an attribute"),
        ('model == "x', "character 10: '\"' does not belong here"),
        ("year == 1e5", "character 9: '1' does not belong here"),
        ("model == 'x'", 'character 10: "\'" does not belong here'),
    ],
)
def test_an_error_points_at_the_character(text: str, said: str):
    with pytest.raises(BadInput, match=re.escape(said)):
        parse(text)


def test_a_query_is_bounded_in_length_and_in_depth():
    assert parse("(" * (DEPTH_MAX - 1) + "is_rental" + ")" * (DEPTH_MAX - 1))(CAR)
    with pytest.raises(BadInput, match="in each other"):
        parse("(" * DEPTH_MAX + "is_rental" + ")" * DEPTH_MAX)
    with pytest.raises(BadInput, match="in each other"):
        parse("not " * 200 + "a")
    with pytest.raises(BadInput, match="characters"):
        parse("a" * (QUERY_MAX_CHARACTERS + 1))


@given(st.text(alphabet="abnot dri(),<>=!\"'\\0129.-_é", max_size=60) | st.text(max_size=60))
def test_any_text_is_a_query_or_bad_input(text: str):
    try:
        answer = parse(text)(CAR)
    except BadInput:
        return
    assert answer in (True, False)
