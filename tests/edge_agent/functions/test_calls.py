"""Which function a call in a condition means."""

import pytest

from edge_agent.functions.calls import Target, target
from fairway.errors import BadInput

NAMES = ("histogram", "edges")


def test_our_form_names_the_function_first():
    assert target(("histogram", 1.0), NAMES) == Target("histogram", 1)


def test_fleetwise_names_where_it_is_kept_before_it():
    called = ("custom-function-python-histogram", "histogram", 1.0)

    assert target(called, NAMES) == Target("histogram", 2)


def test_fleetwise_means_the_module_when_both_are_names():
    assert target(("histogram", "edges", 1.0), NAMES) == Target("edges", 2)


def test_an_argument_that_is_a_text_is_an_argument():
    assert target(("edges", "left"), NAMES) == Target("edges", 1)


def test_a_text_is_no_module_when_what_is_before_it_is_none():
    with pytest.raises(BadInput, match="needs the name"):
        target((None, 1.0), NAMES)


@pytest.mark.parametrize("called", [(), (None,), (1.0, "histogram")])
def test_a_call_without_a_name_is_refused(called: tuple[float | str | None, ...]):
    with pytest.raises(BadInput):
        target(called, NAMES)


def test_a_function_that_did_not_come_is_named_with_those_that_did():
    with pytest.raises(BadInput, match=r"no function 'prefix' or 'mean'; .* histogram, edges"):
        target(("prefix", "mean", 1.0), NAMES)
