"""Statements: values are quoted, and old engines are asked for what they know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_cloud.adapters.clickhouse_sql import abilities, bound, create_samples


def test_values_stand_in_a_statement_as_literals():
    assert bound("SELECT {a}, {b}", a="it's \\ {b}", b=7) == "SELECT 'it\\'s \\\\ {b}', 7"


@given(text=st.text())
def test_no_text_ends_its_literal(text: str):
    literal = bound("{text}", text=text)
    inside = literal[1:-1].replace("\\\\", "").replace("\\'", "")

    assert (literal[0], literal[-1], "'" in inside, inside.endswith("\\")) == (
        "'",
        "'",
        False,
        False,
    )


@pytest.mark.parametrize(
    ("version", "extras"),
    [
        ("18.16.1", ()),
        ("19.17.2.4", ("CODEC",)),
        ("20.8.1", ("CODEC", "INDEX")),
        ("26.9.2.1", ("CODEC", "INDEX", "fsync_after_insert")),
        ("unheard-of", ()),
    ],
)
def test_an_engine_is_asked_for_what_it_knows(version: str, extras: tuple[str, ...]):
    statement = create_samples(abilities(version), free_min_bytes=1)

    found = tuple(word for word in ("CODEC", "INDEX", "fsync_after_insert") if word in statement)
    assert found == extras
