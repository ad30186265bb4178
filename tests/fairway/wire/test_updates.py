"""Events of updates survive the way, and garbage is refused in a sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.update import Fault, Stage, UpdateEvent
from fairway.wire.updates import (
    EVENTS_MAX,
    LOG_MAX,
    SENTENCE_MAX,
    events_from_json,
    events_to_json,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
numbers = st.integers(0, 2**63 - 1)
events = st.builds(
    UpdateEvent,
    action=texts.filter(bool),
    sequence=numbers,
    time_ns=numbers,
    stage=st.sampled_from(Stage),
    ecu=texts,
    percent=st.none() | st.integers(0, 100),
    fault=st.none() | st.sampled_from(Fault),
    sentence=texts,
    log=texts,
)


@given(st.lists(events, max_size=5))
def test_events_survive_the_way(some):
    assert events_from_json(events_to_json(some)) == tuple(some)


@given(st.binary(max_size=200))
def test_garbage_is_refused(data):
    with pytest.raises(BadInput):
        events_from_json(b"x" + data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["action", "sequence", "stage", "percent", "log"]),
                inner,
                max_size=5,
            )
        ),
        max_leaves=8,
    )
)
def test_json_that_is_no_event_is_refused(tree):
    try:
        found = events_from_json(json.dumps(tree).encode())
    except BadInput:
        return
    assert all(isinstance(one, UpdateEvent) for one in found)


def test_a_log_is_cut_to_its_end_and_a_sentence_too():
    event = UpdateEvent(
        "a", 1, 1, Stage.FAILED, sentence="s" * 9000 + "end", log="l" * 99999 + "end"
    )

    (read,) = events_from_json(events_to_json([event]))

    assert (len(read.sentence), len(read.log)) == (SENTENCE_MAX, LOG_MAX)
    assert read.log.endswith("lend")


def test_more_events_than_are_taken_are_refused():
    event = UpdateEvent("a", 1, 1, Stage.FAILED)
    with pytest.raises(BadInput, match="256 at most"):
        events_from_json(events_to_json([event] * (EVENTS_MAX + 1)))


def test_what_a_newer_vehicle_says_beside_is_passed_over():
    told = b'[{"action": "a", "sequence": 1, "time_ns": 2, "stage": "staged", "mood": "fine"}]'

    assert events_from_json(told) == (UpdateEvent("a", 1, 2, Stage.STAGED),)
