"""What hawkBit's clients say becomes events of ours, and back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.rollouts.foreign.feedback import (
    EXECUTIONS,
    FINISHED,
    action_status,
    cancelled,
    deployed,
    feedback_of,
    messages_of,
    type_of,
)


def said(execution: str, finished: str = "none", **more: Any) -> dict[str, Any]:
    return {"id": 7, "status": {"execution": execution, "result": {"finished": finished}, **more}}


@pytest.mark.parametrize(
    ("execution", "finished", "stage", "fault", "word"),
    [
        ("closed", "success", Stage.COMMITTED, None, "finished"),
        ("closed", "none", Stage.COMMITTED, None, "finished"),
        ("closed", "failure", Stage.FAILED, Fault.INSTALL, "error"),
        ("proceeding", "none", Stage.INSTALLING, None, "running"),
        ("resumed", "none", Stage.INSTALLING, None, "running"),
        ("download", "none", Stage.DOWNLOADING, None, "download"),
        ("downloaded", "success", Stage.STAGED, None, "downloaded"),
        ("scheduled", "none", Stage.WINDOW, None, "scheduled"),
        ("rejected", "none", Stage.WINDOW, Fault.CONDITION, "warning"),
        ("canceled", "success", Stage.FAILED, Fault.CANCELLED, "canceled"),
    ],
)
def test_each_word_of_a_client_has_a_stage_of_ours(
    execution: str, finished: str, stage: Stage, fault: Fault | None, word: str
):
    event = deployed(feedback_of(said(execution, finished)), "order", 5)

    assert (event.stage, event.fault, event.sequence) == (stage, fault, 5)
    assert type_of(event) == word


@pytest.mark.parametrize(
    ("execution", "finished", "stage", "word"),
    [
        ("closed", "success", Stage.FAILED, "canceled"),
        ("closed", "failure", Stage.INSTALLING, "cancel_rejected"),
        ("rejected", "success", Stage.INSTALLING, "cancel_rejected"),
        ("proceeding", "none", Stage.INSTALLING, "running"),
    ],
)
def test_a_cancellation_is_taken_or_refused(execution: str, finished: str, stage: Stage, word: str):
    event = cancelled(feedback_of(said(execution, finished)), "order", 5)

    assert event.stage is stage
    assert type_of(event) == word


def test_messages_come_back_as_they_were_sent():
    sent = said("closed", "failure", details=["one", "two\nlines"], code=3)
    event = deployed(feedback_of(sent), "order", 5)

    assert messages_of(event) == ["one", "two lines", "code 3"]


def test_progress_is_a_percentage_when_it_can_be_one():
    def percent(progress: Any) -> int | None:
        body = said("proceeding")
        body["status"]["result"]["progress"] = progress
        return feedback_of(body).percent

    assert percent({"cnt": 1, "of": 3}) == 33
    assert percent({"cnt": 9, "of": 3}) == 100
    assert percent({"cnt": 1, "of": 0}) is None
    assert percent({"cnt": 1}) is None


def test_an_order_that_was_done_after_it_was_to_be_cancelled_is_an_update():
    done = UpdateEvent("order", 1, 1, Stage.COMMITTED)

    assert action_status([done], is_cancelled=True) == ("update", "finished")
    assert action_status([], is_cancelled=True) == ("cancel", "pending")
    given_up = UpdateEvent("order", 1, 1, Stage.FAILED, fault=Fault.CANCELLED)
    assert action_status([given_up], is_cancelled=True) == ("cancel", "canceled")


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda some: (
        st.lists(some, max_size=4) | st.dictionaries(st.text(max_size=12), some, max_size=4)
    ),
    max_leaves=12,
)
near = st.fixed_dictionaries(
    {},
    optional={
        "status": st.fixed_dictionaries(
            {},
            optional={
                "execution": st.sampled_from([*EXECUTIONS, "x"]) | json,
                "result": st.fixed_dictionaries(
                    {}, optional={"finished": st.sampled_from(FINISHED) | json, "progress": json}
                )
                | json,
                "code": json,
                "details": json,
            },
        )
        | json
    },
)


@given(near | json)
def test_garbage_is_refused_or_becomes_an_event_that_can_be_stored(body: Any):
    try:
        feedback = feedback_of(body)
    except BadInput:
        return
    event = deployed(feedback, "order", 1)
    event.sentence.encode()
    assert event.percent is None or 0 <= event.percent <= 100
