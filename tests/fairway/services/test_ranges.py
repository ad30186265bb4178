"""Ranges of versions, as npm writes them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.services.ranges import range_of, version_of

IN = {
    "*": ("0.0.0", "99.0.0"),
    "1": ("1.0.0", "1.9.9"),
    "1.2": ("1.2.0", "1.2.9"),
    "1.2.3": ("1.2.3",),
    "=1.2.3": ("1.2.3",),
    "1.x": ("1.0.0", "1.7.0"),
    "^1.2": ("1.2.0", "1.99.0"),
    "^1.2.3": ("1.2.3", "1.3.0"),
    "^0.2.3": ("0.2.3", "0.2.9"),
    "^0.0.3": ("0.0.3",),
    "^0": ("0.0.0", "0.9.0"),
    "~1.2": ("1.2.0", "1.2.9"),
    "~1.2.3": ("1.2.3", "1.2.4"),
    "~1": ("1.0.0", "1.9.0"),
    ">=1.2 <2": ("1.2.0", "1.9.9"),
    ">= 1.2, < 2": ("1.2.0",),
    ">1.2": ("1.3.0", "2.0.0"),
    "<=1.2": ("0.0.0", "1.2.9"),
    "1.2 || 3": ("1.2.5", "3.1.0"),
}
OUT = {
    "1": ("0.9.9", "2.0.0"),
    "1.2": ("1.3.0", "1.1.9"),
    "1.2.3": ("1.2.4",),
    "^1.2": ("1.1.9", "2.0.0"),
    "^1.2.3": ("1.2.2", "2.0.0"),
    "^0.2.3": ("0.3.0", "0.2.2"),
    "^0.0.3": ("0.0.4",),
    "^0": ("1.0.0",),
    "~1.2": ("1.3.0",),
    "~1": ("2.0.0",),
    ">=1.2 <2": ("2.0.0", "1.1.0"),
    ">1.2": ("1.2.9",),
    "<=1.2": ("1.3.0",),
    "1.2 || 3": ("1.3.0", "2.0.0", "4.0.0"),
}


@pytest.mark.parametrize(("text", "versions"), IN.items())
def test_these_versions_are_taken(text, versions):
    assert [one for one in versions if not range_of(text).has(version_of(one))] == []


@pytest.mark.parametrize(("text", "versions"), OUT.items())
def test_these_are_not(text, versions):
    assert [one for one in versions if range_of(text).has(version_of(one))] == []


@pytest.mark.parametrize(
    "text", ["", "||", "1 ||", "one", ">=", ">=1.2 <", "1.2.3.4", "=>1", "1" * 200, "*1"]
)
def test_what_is_no_range_is_refused_with_a_sentence(text):
    with pytest.raises(BadInput, match="version"):
        range_of(text)


@pytest.mark.parametrize("text", ["", "1.x", "v1", "1.2.3-rc1", "1..2", "-1"])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(BadInput, match="is no version"):
        version_of(text)


@given(st.text(alphabet="0123456789.x*^~<>=|, ", max_size=20))
def test_garbage_is_a_range_or_bad_input(text):
    with contextlib.suppress(BadInput):
        assert range_of(text).has((1, 2, 3)) in (True, False)


@given(st.tuples(*[st.integers(0, 99)] * 3))
def test_a_version_lies_in_each_range_that_begins_with_it(version):
    text = ".".join(map(str, version))

    assert all(range_of(sign + text).has(version) for sign in ("", "=", "^", "~", ">=", "<="))
    assert not any(range_of(sign + text).has(version) for sign in ("<", ">"))
