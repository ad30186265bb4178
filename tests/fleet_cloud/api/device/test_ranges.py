"""Ranges: what is given is what was asked for, and never a byte that is not there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_cloud.api.device.ranges import Span, asked, etag, is_known

TAG = etag("ab" * 32)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        (None, Span(0, 100)),
        ("bytes=0-", Span(0, 100, is_part=True)),
        ("bytes=10-19", Span(10, 10, is_part=True)),
        ("bytes=90-1000", Span(90, 10, is_part=True)),
        ("bytes=-10", Span(90, 10, is_part=True)),
        ("bytes=-1000", Span(0, 100, is_part=True)),
        ("bytes=100-", None),
        ("bytes=-0", None),
        ("bytes=9-3", Span(0, 100)),
        ("bytes=-", Span(0, 100)),
        ("bytes=0-1,5-6", Span(0, 100)),
        ("items=0-1", Span(0, 100)),
    ],
)
def test_a_range_is_answered_as_the_standard_says(text, span):
    assert asked(text, None, TAG, 100) == span


@given(st.text(max_size=30) | st.from_regex(r"bytes=\d{0,25}-\d{0,25}"), st.integers(0, 2**40))
def test_whatever_is_asked_for_lies_within(text, size):
    span = asked(text, None, TAG, size)

    assert span is None or (0 <= span.first <= size and 0 <= span.length <= size - span.first)


def test_another_file_is_given_whole():
    assert asked("bytes=5-", '"other"', TAG, 10) == Span(0, 10)
    assert asked("bytes=5-", f"W/{TAG}", TAG, 10) == Span(0, 10)
    assert asked("bytes=5-", TAG, TAG, 10) == Span(5, 5, is_part=True)


def test_what_is_known_is_told_by_its_tag():
    assert is_known(f'"x", W/{TAG}', TAG)
    assert is_known("*", TAG)
    assert not is_known('"x"', TAG)
    assert not is_known(None, TAG)
