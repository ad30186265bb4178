"""Commands are done once, whatever comes again and whenever the agent dies."""

import pytest

from edge_agent.telemetry.inbox import IDS_MAX, INTERNAL_ERROR, TIMED_OUT_BEFORE_DISPATCH, Inbox
from fairway.control import ActivateState, Answer, AnswerState, Command, ExplainCampaign


def command(id_: str, expires_time_ns: int = 1000) -> Command:
    return Command(id_, expires_time_ns, ActivateState("twin"))


def test_a_new_command_is_to_be_done_and_then_answered_as_it_was():
    inbox = Inbox()
    assert inbox.begin(command("a"), now_ns=1) is None
    inbox.done(Answer("a", AnswerState.FAILED, 7, "it did not work"))

    again = Inbox(inbox.to_bytes()).begin(command("a"), now_ns=5000)

    assert again == Answer("a", AnswerState.FAILED, 7, "it did not work")


def test_a_command_that_a_crash_interrupted_is_not_done_again():
    inbox = Inbox()
    inbox.begin(command("a"), now_ns=1)

    answer = Inbox(inbox.to_bytes()).begin(command("a"), now_ns=2)

    assert answer is not None
    assert (answer.state, answer.reason_code) == (AnswerState.FAILED, INTERNAL_ERROR)
    assert "it may be done, or not" in answer.sentence


def test_a_command_that_comes_while_it_is_done_is_in_progress():
    inbox = Inbox()
    inbox.begin(command("a"), now_ns=1)

    answer = inbox.begin(command("a"), now_ns=2)

    assert answer is not None
    assert answer.state is AnswerState.IN_PROGRESS


def test_a_command_after_its_time_is_never_begun():
    answer = Inbox().begin(command("a", expires_time_ns=10), now_ns=2_000_000_010)

    assert answer is not None
    assert (answer.state, answer.reason_code) == (AnswerState.TIMED_OUT, TIMED_OUT_BEFORE_DISPATCH)
    assert "2.0 s after its time" in answer.sentence


def test_a_question_is_answered_anew_each_time():
    inbox, question = Inbox(), Command("q", 1000, ExplainCampaign("one"))

    assert inbox.begin(question, now_ns=1) is None
    inbox.done(Answer("q", AnswerState.SUCCEEDED))
    assert inbox.begin(question, now_ns=1) is None
    assert inbox.to_bytes() == b"{}"


def test_no_more_commands_than_a_limit_are_remembered_the_newest():
    inbox = Inbox()
    for number in range(IDS_MAX + 5):
        inbox.begin(command(f"c{number}"), now_ns=1)

    assert inbox.begin(command("c5"), now_ns=1) is not None
    assert inbox.begin(command("c0"), now_ns=1) is None


@pytest.mark.parametrize(
    "record", [b"", b"[]", b"{", b'{"a": 1}', b'{"a": {"state": "x", "y": 1}}']
)
def test_a_damaged_record_begins_anew(record: bytes):
    assert Inbox(record).begin(command("a"), now_ns=1) is None
