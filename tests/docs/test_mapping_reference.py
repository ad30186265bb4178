"""The mapping reference says what the code does: its examples load, its words are the code's."""

import re
from pathlib import Path

import pytest

from edge_agent.canbus.mapping_steps import Refusal
from fairway.catalog.entries import _FROM_BUS
from fairway.catalog.load import catalog_of
from fairway.expression.arithmetic import _BINDING, FUNCTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "mapping.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_mapping_without_problems(example):
    catalog = catalog_of([("example.vspec", example.encode())])

    assert catalog.problems == ()
    assert len(catalog.mapped) == len(catalog) > 0


@pytest.mark.parametrize("word", [*_FROM_BUS, *FUNCTIONS, *map(str, Refusal)])
def test_every_key_function_and_reason_is_explained(word):
    assert re.search(rf"[`\s]{re.escape(word)}[`\s:]", PAGE)


def test_operators_are_told_in_the_order_they_bind():
    (line,) = [line for line in PAGE.splitlines() if line.startswith("    ^ **")]
    told = [word.strip(",") for word in line.split() if word.strip(",") in _BINDING]
    binding = [_BINDING[operator] for operator in told]

    assert set(told) == set(_BINDING)
    assert binding == sorted(binding, reverse=True)
