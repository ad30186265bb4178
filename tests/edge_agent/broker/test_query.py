"""Queries of `sdv.databroker.v1`: what is read, what is refused, and when a condition holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.broker.query import query_of
from fairway.errors import BadInput

KINDS = {
    "V.Speed": "number",
    "V.Tilt": "float",
    "V.Gear": "number",
    "V.IsOpen": "truth",
    "V.Mode": "text",
    "V.Dtcs": "array",
}


class Kinds:
    """A small vehicle."""

    def kind(self, path: str) -> str:
        if path not in KINDS:
            raise BadInput(f"there is no signal {path}")
        return KINDS[path]


def read(text: str):
    return query_of(text, Kinds())


def holds(condition: str, now=None, before=None, **values):
    now = now or {f"V.{name}": value for name, value in values.items()}
    return read(f"SELECT V.Speed WHERE {condition}").holds(now, before or {})


def test_a_query_names_its_fields_and_all_its_signals():
    query = read("select V.Speed as speed, V.Gear\n WHERE V.Mode = 'it''s' and LAG(V.Speed) < 3;")

    assert [(name, field.path) for name, field in query.fields] == [
        ("speed", "V.Speed"),
        ("V.Gear", "V.Gear"),
    ]
    assert query.paths == ("V.Speed", "V.Gear", "V.Mode")


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("V.Speed > 10", {"Speed": 10.5}, True),
        ("V.Speed > 10", {"Speed": 10}, False),
        ("10 <= V.Speed", {"Speed": 10}, True),
        ("V.Speed > -1.5e1", {"Speed": -14}, True),
        ("V.Speed > 10", {"Speed": None}, False),
        ("NOT V.Speed > 10", {"Speed": None}, False),
        ("NOT V.Speed > 10", {"Speed": 3}, True),
        ("NOT NOT V.IsOpen", {"IsOpen": True}, True),
        ("V.IsOpen = TRUE AND V.Mode <> 'OFF'", {"IsOpen": True, "Mode": "ON"}, True),
        ('V.Mode = "OFF"', {"Mode": "OFF"}, True),
        ("V.Speed BETWEEN 1 AND 3", {"Speed": 3}, True),
        ("V.Speed NOT BETWEEN 1 AND 3 OR V.IsOpen", {"Speed": 2, "IsOpen": True}, True),
        ("V.IsOpen OR V.Speed = 1", {"IsOpen": True, "Speed": None}, True),
        ("V.IsOpen AND V.Speed = 1", {"IsOpen": False, "Speed": None}, False),
        ("V.Speed = 1 OR V.Speed = 2 AND V.Gear = 9", {"Speed": 1, "Gear": 0}, True),
        ("(V.Speed = 1 OR V.Speed = 2) AND V.Gear = 9", {"Speed": 1, "Gear": 0}, False),
        ("V.Tilt = 0.1", {"Tilt": 0.10000000149011612}, True),
        ("V.Tilt = 0.1", {"Tilt": 0.1}, False),
        ("V.Tilt < 1e300 AND V.Tilt < V.Speed", {"Tilt": 0.1, "Speed": 1}, True),
        ("V.Dtcs = V.Dtcs", {}, BadInput),
    ],
)  # fmt: skip
def test_a_condition_holds(condition, values, expected):
    if expected is BadInput:
        with pytest.raises(BadInput):
            holds(condition, **values)
    else:
        assert holds(condition, **values) is expected


def test_lag_is_the_value_before():
    rises = "V.Speed > LAG(V.Speed)"

    assert holds(rises, {"V.Speed": 2}, {"V.Speed": 1})
    assert not holds(rises, {"V.Speed": 1}, {"V.Speed": 2})
    assert not holds(rises, {"V.Speed": 1})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "its end where SELECT"),
        ("SELECT", "ends too early"),
        ("SELECT *", "character 8"),
        ("SELECT 1", "a signal is expected"),
        ("SELECT V.Boat", "no signal V.Boat"),
        ("SELECT V.Speed FROM x", "where the end is expected"),
        ("SELECT V.Speed WHERE", "ends too early"),
        ("SELECT V.Speed WHERE V.Speed", "neither true nor false"),
        ("SELECT V.Speed WHERE V.Speed = 'x'", "compares number with text"),
        ("SELECT V.Speed WHERE V.IsOpen > TRUE", "compares truth by >"),
        ("SELECT V.Speed WHERE V.Speed > 1 AND V.Gear", "neither true nor false"),
        ("SELECT V.Speed WHERE (V.Speed > 1", "its end where )"),
        ("SELECT V.Speed WHERE V.Speed > 1 2", "'2' at character 34"),
        ("SELECT V.Speed WHERE LAG(3) > 1", "a signal is expected"),
        ("SELECT V.Speed, V.Speed", "same name"),
        ("SELECT V.Speed WHERE " + "(" * 100 + "V.IsOpen" + ")" * 100, "nests deeper"),
        ("SELECT " + "V.Speed," * 10_000, "at most 65536"),
        ("DELETE V.Speed", "SELECT is expected"),
    ],
)  # fmt: skip
def test_what_is_no_query_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(BadInput, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        read(text)


PARTS = st.sampled_from(
    ["SELECT", "WHERE", "AS", "AND", "OR", "NOT", "BETWEEN", "LAG", "(", ")", ",", "<", "=", "V.Speed",
     "V.IsOpen", "V.Mode", "'x'", "1", "-2.5", "TRUE", ";", '"', "é", "\x00"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=80), st.lists(PARTS, max_size=30).map(" ".join)))
def test_garbage_is_refused_or_read(text):
    try:
        query = read(text)
    except BadInput:
        return
    assert isinstance(query.holds({"V.Speed": 1.0, "V.IsOpen": True}, {}), bool)
