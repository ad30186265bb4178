"""What comes out of a process of functions is believed in its shape only."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.functions import messages
from edge_agent.functions.messages import Request, Results, Value
from fairway.errors import BadInput

values = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
)
signals = st.text("abcXYZ0123456789._", min_size=1, max_size=150)
said = st.dictionaries(signals, st.text(max_size=20), min_size=1, max_size=3)


def answered(results: Results, number: int = 1) -> bytes:
    texts = [[row, dict(texts)] for row, texts in results.texts.items()]
    answer = {
        "number": number,
        "values": list(results.values),
        "texts": texts,
        "errors": results.errors,
        "error": results.error,
    }
    return messages.framed(answer)[messages.HEADER_BYTES :]


def asked(rows: int, number: int = 1) -> Request:
    return Request(number, 1, "f", [()] * rows)


@given(st.lists(st.tuples(values, st.none() | said), max_size=8))
def test_results_survive_the_pipe(rows: list[tuple[Value | None, dict[str, str] | None]]):
    results = Results(
        tuple(value for value, _ in rows),
        {row: texts for row, (_, texts) in enumerate(rows) if texts is not None},
    )

    assert messages.results_from_bytes(answered(results), asked(len(rows))) == results


@given(st.lists(st.lists(values, max_size=4), max_size=4))
def test_requests_survive_the_pipe(rows: list[list[Value | None]]):
    framed = messages.framed(messages.call_message(Request(3, 2, "f", rows)))

    assert messages.body_bytes(framed[:4], 1 << 20) == len(framed) - 4
    assert json.loads(framed[4:]) == {"number": 3, "place": 2, "name": "f", "rows": rows}


@given(st.binary(max_size=200))
def test_garbage_is_bad_input_and_nothing_else(garbage: bytes):
    for parse in (
        messages.walls_from_bytes,
        messages.refusal_from_bytes,
        lambda data: messages.results_from_bytes(data, asked(1)),
    ):
        with pytest.raises(BadInput):
            parse(garbage)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = ("number", "values", "texts", "errors", "error")


@given(st.fixed_dictionaries(dict.fromkeys(FIELDS, json_values)))
def test_an_answer_of_any_other_shape_is_bad_input(answer: dict[str, Any]):
    try:
        results = messages.results_from_bytes(json.dumps(answer).encode(), asked(1))
    except BadInput:
        return
    assert len(results.values) == 1
    assert set(results.texts) <= {0}


@pytest.mark.parametrize(
    "answer",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"nonsense",
        b"[]",
        b'{"number":1,"values":[],"texts":[],"errors":0,"error":""}',
        b'{"number":1,"values":[[1]],"texts":[],"errors":0,"error":""}',
        b'{"number":1,"values":[1],"texts":[[1,{}]],"errors":0,"error":""}',
        b'{"number":1,"values":[1],"texts":[[0.5,{}]],"errors":0,"error":""}',
        b'{"number":1,"values":[1],"texts":[[0,{"":"x"}]],"errors":0,"error":""}',
        b'{"number":1,"values":[1],"texts":[[0,{"A":1}]],"errors":0,"error":""}',
        b'{"number":1,"values":["\\ud800"],"texts":[],"errors":0,"error":""}',
        b'{"number":1,"values":[1],"texts":[],"errors":2,"error":""}',
        b'{"number":2,"values":[1],"texts":[],"errors":0,"error":""}',
    ],
)
def test_what_a_broken_process_might_say_is_bad_input(answer: bytes):
    with pytest.raises(BadInput):
        messages.results_from_bytes(answer, asked(1))


def test_numbers_that_are_not_finite_do_not_exist():
    results = Results((math.nan, math.inf, -math.inf))

    assert messages.results_from_bytes(answered(results), asked(3)).values == (None, None, None)


def test_a_number_of_a_million_digits_is_no_work():
    answer = b'{"number":1,"values":[' + b"9" * 100_000 + b'],"texts":[],"errors":0,"error":""}'

    assert messages.results_from_bytes(answer, asked(1)).values == (None,)


def test_a_message_longer_than_allowed_is_not_waited_for():
    with pytest.raises(BadInput, match="over the limit"):
        messages.body_bytes(b"\xff\xff\xff\xff", messages.ANSWER_MAX_BYTES)


def test_a_foreign_sentence_is_one_short_printable_line():
    shown = messages.sentence("a\nb\x1b[31m" + "x" * 1000)

    assert shown.startswith("a b [31m")
    assert len(shown) == messages.SENTENCE_MAX_CHARACTERS + 3
