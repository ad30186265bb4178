"""When a service is asked, and what the answers amount to."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.services.health import answered, begun, slowed
from fairway.clock import NS_PER_S
from fairway.services.model import Check, Command, Health, Http

CHECK = Check(Command(("ask",)), interval_s=5.0, failures=3, delay_s=2.0)


def answers(*said: str, is_eager: bool = False) -> list[bool | None]:
    standing, verdicts = begun(CHECK, is_eager=is_eager, now_ns=0), []
    for one in said:
        standing = answered(standing, one, standing.due_ns)
        verdicts.append(standing.is_passed)
    return verdicts


def test_the_first_question_comes_after_the_delay_and_the_next_after_the_interval():
    standing = begun(CHECK, is_eager=False, now_ns=7)
    assert standing.due_ns == 7 + 2 * NS_PER_S

    assert answered(standing, "", 10 * NS_PER_S).due_ns == 15 * NS_PER_S


def test_one_pass_is_a_verdict_and_three_failures_in_a_row_turn_it():
    assert answers("", "no", "no", "", "no", "no", "no", "") == [
        True, True, True, True, True, True, False, True,
    ]  # fmt: skip


def test_what_never_passed_has_no_verdict_before_it_has_failed():
    assert answers("no", "no", "no") == [None, None, False]


def test_who_comes_up_is_asked_soon_and_then_as_rarely_as_the_check_says():
    standing, steps = begun(CHECK, is_eager=True, now_ns=0), []
    for _ in range(9):
        before = standing.due_ns
        standing = answered(standing, "not yet", before)
        steps.append((standing.due_ns - before) / NS_PER_S)

    assert steps == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    standing = answered(standing, "", standing.due_ns)
    assert answered(standing, "no", 0).due_ns == 5 * NS_PER_S


def test_a_command_is_not_run_more_often_than_it_may_cost():
    command = Check(Command(("ask",)), interval_s=0.5)
    http = Check(Http("/ready", port=80), interval_s=0.5)

    steps = [
        answered(begun(check, is_eager=False, now_ns=0), "", 0).due_ns / NS_PER_S
        for check in (command, http)
    ]

    assert steps == [2.0, 0.5]
    assert slowed(Health(liveness=http, readiness=http)) == ()
    (said,) = slowed(Health(liveness=command, readiness=http))
    assert said.startswith("its liveness command is run every 2 s, not every 0.5 s")


@given(st.lists(st.sampled_from(["", "no"]), max_size=50), st.booleans())
def test_a_question_is_never_due_before_the_last_answer(said: list[str], is_eager: bool):  # noqa: FBT001
    standing = begun(CHECK, is_eager=is_eager, now_ns=0)
    for one in said:
        now_ns = standing.due_ns + 1
        standing = answered(standing, one, now_ns)
        assert now_ns < standing.due_ns <= now_ns + 5 * NS_PER_S
        assert standing.last == one
