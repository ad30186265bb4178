"""What moves a process of functions from one state to another, and what does not."""

import pytest

from edge_agent.functions import life
from edge_agent.functions.life import MOVES, Event, Life, State
from edge_agent.functions.limits import BACKOFF_MAX_NS, FAILURES_MAX, HEALTHY_NS, START_TIMEOUT_NS
from fairway.clock import NS_PER_S


def ready(now_ns: int = 0) -> Life:
    return life.loaded(life.started(Life(), now_ns), now_ns)


def test_a_first_call_starts_it_and_it_has_time_to_get_ready():
    assert life.is_to_start(Life(), 5)

    starting = life.started(Life(), 5)

    assert (starting.state, starting.due_ns) == (State.STARTING, 5 + START_TIMEOUT_NS)
    assert not life.is_to_start(starting, 5 + START_TIMEOUT_NS)


def test_a_failure_costs_a_pause_that_doubles():
    now_ns, pauses_s = 0, []
    one = ready()
    for _ in range(FAILURES_MAX - 1):
        one = life.failed(one, now_ns, "it was late")
        assert one.state is State.RESTARTING
        assert not life.is_to_start(one, one.due_ns - 1)
        assert life.is_to_start(one, one.due_ns)
        pauses_s.append((one.due_ns - now_ns) / NS_PER_S)
        now_ns = one.due_ns
        one = life.loaded(life.started(one, now_ns), now_ns)

    assert pauses_s == [1, 2, 4, 8]


def test_one_that_fails_too_often_is_given_up_and_says_why():
    one = ready()
    for _ in range(FAILURES_MAX - 1):
        one = life.loaded(life.started(life.failed(one, 0, "it was late"), 0), 0)

    given_up = life.failed(one, 0, "it was late")

    assert given_up.state is State.GIVEN_UP
    assert given_up.reason == "it failed 5 times, at last so: it was late"
    assert not life.is_to_start(given_up, 10**18)


def test_what_worked_for_long_has_left_its_failures_behind():
    one = life.loaded(life.started(life.failed(ready(), 0, "it was late"), 0), 0)

    again = life.failed(one, HEALTHY_NS, "it was late")

    assert again.failures == 1


def test_no_pause_is_longer_than_the_longest():
    one = Life(State.READY, failures=FAILURES_MAX - 2)

    assert life.failed(one, 0, "x").due_ns <= BACKOFF_MAX_NS


def test_a_source_that_cannot_work_is_given_up_at_once():
    refused = life.refused(life.started(Life(), 0), 1, "function f: line 2: SyntaxError")

    assert (refused.state, refused.reason) == (State.GIVEN_UP, "function f: line 2: SyntaxError")


def test_one_that_does_not_get_ready_waits_as_well():
    assert life.failed(life.started(Life(), 0), 7, "late").state is State.RESTARTING


def test_a_reason_stays_while_it_starts_again():
    waiting = life.failed(ready(), 0, "it was late")

    assert life.started(waiting, waiting.due_ns).reason == "it was late"


def test_nothing_leads_out_of_given_up():
    assert not [state for state, _ in MOVES if state is State.GIVEN_UP]


@pytest.mark.parametrize("event", [Event.LOADED, Event.DUE])
def test_what_is_in_no_row_of_the_table_is_a_defect(event: Event):
    assert (State.READY, event) not in MOVES
    with pytest.raises(KeyError):
        life._moved(Life(State.READY), event, 0)
