"""The life of an order: no way leads out of the table, nothing new before all is ready, and every way ends."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.updates import acts
from edge_agent.updates.acts import FETCH_STARTS_MAX, STARTS_MAX, Act, Do, Failed, Good
from edge_agent.updates.life import HARMLESS, KEPT, MOVES, UNDER_WAY, Event, Step, moved
from edge_agent.updates.order import Mark, Order, Task
from edge_agent.updates.planner import whole
from edge_agent.updates.telling import stage_of
from fairway.update import Fault, Stage
from tests.edge_agent.updates.releases import assigned

SERIALS = ("gateway", "maps", "body")


def order(step: Step = Step.FETCH, **more: object) -> Order:
    tasks = tuple(Task(one, whole(one.image)) for one in (assigned(name, 2) for name in SERIALS))
    return replace(Order("a", "t", 1, tasks, step), **more)  # type: ignore[arg-type]


def marked(step: Step, *marks: Mark, **more: object) -> Order:
    made = order(step, **more)
    tasks = tuple(replace(one, mark=mark) for one, mark in zip(made.tasks, marks, strict=True))
    return replace(made, tasks=tasks)


def test_every_step_of_the_table_is_reached_and_left():
    targets = set(MOVES.values())

    assert targets == set(Step)
    assert {step for step, _ in MOVES} == set(Step)


def test_no_way_leads_from_going_back_to_committing_or_the_reverse():
    def reached(start: Step) -> set[Step]:
        found, left = set[Step](), [start]
        while left:
            step = left.pop()
            new = {to for (at, _), to in MOVES.items() if at is step and to is not Step.IDLE}
            left += new - found
            found |= new
        return found

    assert Step.ROLLBACK not in reached(Step.COMMIT)
    assert Step.COMMIT not in reached(Step.ROLLBACK)
    assert HARMLESS | UNDER_WAY | {Step.REPORT} == KEPT


def test_what_cannot_come_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        moved(Step.IDLE, Event.WELL)


def test_an_intent_stands_before_each_act_that_touches_something():
    at = marked(Step.PREPARE, Mark.PREPARED, Mark.VERIFIED, Mark.VERIFIED)
    act = acts.next_act(at)

    begun = acts.begun(at, act)

    assert act == Act(Do.PREPARE, 1)
    assert begun.tasks[1].mark is Mark.PREPARING
    assert not begun.touched


def test_nothing_is_activated_while_the_conditions_are_not_met_and_what_is_begun_goes_on():
    ready = marked(Step.ACTIVATE, Mark.PREPARED, Mark.PREPARED, Mark.PREPARED)
    begun = marked(Step.ACTIVATE, Mark.ACTIVE, Mark.PREPARED, Mark.PREPARED)

    assert acts.next_act(ready, may_activate=False) == Act(Do.WAIT)
    assert acts.next_act(begun, may_activate=False) == Act(Do.ACTIVATE, 1)


def test_what_was_touched_last_comes_back_first_and_what_was_not_is_left_alone():
    at = marked(Step.ROLLBACK, Mark.ACTIVE, Mark.ACTIVATING, Mark.VERIFIED)

    assert acts.next_act(at) == Act(Do.ROLLBACK, 1)
    at = acts.after(at, Act(Do.ROLLBACK, 1), Good())
    assert acts.next_act(at) == Act(Do.ROLLBACK, 0)
    assert acts.after(at, Act(Do.ROLLBACK, 0), Good()).step is Step.REPORT


def test_a_way_back_that_needs_a_start_is_looked_at_once_more_after_it():
    at = marked(Step.ROLLBACK, Mark.ACTIVE, Mark.VERIFIED, Mark.VERIFIED)
    at = acts.after(at, Act(Do.ROLLBACK, 0), Good(needs_restart=True))
    assert at.step is Step.RESTART_BACK
    at = acts.begun(at, acts.next_act(at), boot_id="boot-1")

    at = acts.resumed(at, "boot-2")

    assert (at.step, acts.next_act(at)) == (Step.ROLLBACK, Act(Do.ROLLBACK, 0))
    assert acts.after(at, Act(Do.ROLLBACK, 0), Good()).step is Step.REPORT


def test_an_agent_that_was_started_in_the_same_boot_asks_for_the_restart_again():
    at = order(Step.RESTART, boot_id="boot-1")

    assert acts.next_act(acts.resumed(at, "boot-1")) == Act(Do.RESTART)
    assert acts.resumed(at, "boot-2").step is Step.HEALTH


@pytest.mark.parametrize(
    ("step", "most", "end"),
    [
        (Step.FETCH, FETCH_STARTS_MAX, Step.REPORT),
        (Step.VERIFY_IMAGES, STARTS_MAX, Step.REPORT),
        (Step.PREPARE, STARTS_MAX, Step.ROLLBACK),
        (Step.ACTIVATE, STARTS_MAX, Step.ROLLBACK),
        (Step.HEALTH, STARTS_MAX, Step.ROLLBACK),
        (Step.ROLLBACK, STARTS_MAX, Step.REPORT),
        (Step.COMMIT, STARTS_MAX, Step.REPORT),
    ],
)
def test_an_agent_that_is_started_again_and_again_gets_out_of_the_loop(
    step: Step, most: int, end: Step
):
    at = marked(step, Mark.PREPARING, Mark.PREPARING, Mark.PREPARING)
    starts = 0
    while at.step is step:
        at = acts.resumed(at, "boot-1")
        starts += 1

    assert (starts, at.step) == (most + 1, end)
    assert at.fault is not None
    assert "started" in at.sentence


def test_waiting_for_conditions_counts_no_starts():
    at = order(Step.WAIT_CONDITIONS)
    for number in range(500):
        at = acts.resumed(at, f"boot-{number}")

    assert at.step is Step.WAIT_CONDITIONS


def test_only_what_is_harmless_is_taken_back():
    assert acts.cancelled(order(Step.FETCH), "so").fault is Fault.CANCELLED
    installing = marked(Step.PREPARE, Mark.PREPARING, Mark.VERIFIED, Mark.VERIFIED)
    assert acts.cancelled(installing, "so") == installing


def test_what_went_wrong_first_is_what_is_told():
    at = marked(Step.HEALTH, Mark.ACTIVE, Mark.ACTIVE, Mark.ACTIVE, touched=True)
    at = acts.after(at, Act(Do.LOOK), Failed(Fault.HEALTH, "ill", "maps", "log"))

    assert (at.step, at.fault, at.sentence, at.ecu) == (Step.ROLLBACK, Fault.HEALTH, "ill", "maps")


def test_a_failure_of_what_matters_for_safety_is_a_safety_fault():
    at = marked(Step.ACTIVATE, Mark.ACTIVE, Mark.ACTIVATING, Mark.PREPARED)
    unsafe = replace(at.tasks[1], assigned=assigned("maps", 2, is_safety=True))
    at = replace(at, tasks=(at.tasks[0], unsafe, at.tasks[2]))

    assert acts.after(at, Act(Do.ACTIVATE, 1), Failed(Fault.INSTALL, "x")).fault is Fault.SAFETY
    assert (
        acts.after(at, Act(Do.ACTIVATE, 1), Failed(Fault.CONDITION, "x")).fault is Fault.CONDITION
    )


outcomes = st.one_of(
    st.just(Good()),
    st.just(Good(needs_restart=True)),
    st.builds(Failed, st.sampled_from(Fault), st.just("why")),
)


@given(st.lists(outcomes, max_size=12), st.sets(st.integers(0, 60)))
@settings(max_examples=300)
def test_every_order_ends_whatever_comes_of_its_acts(said: list[object], starts: set[int]):
    """From some moment on all goes well; agents come and go meanwhile, and the order ends wholly."""
    at, number, boots = order(), 0, 0
    while at.step is not Step.REPORT:
        number += 1
        assert number < 200
        if number in starts:
            boots += 1
            at = acts.resumed(at, f"boot-{boots}")
            continue
        act = acts.next_act(at)
        at = acts.begun(at, act, boot_id=f"boot-{boots}")
        if act.do is Do.RESTART:
            boots += 1
            at = acts.resumed(at, f"boot-{boots}")
            continue
        outcome = said.pop() if said else Good()
        if isinstance(outcome, Failed) and act.do in (Do.ROLLBACK, Do.COMMIT):
            continue  # tried again: they have no other end
        at = acts.after(at, act, outcome)  # type: ignore[arg-type]

    is_back = all(not task.has(Mark.PREPARING) for task in at.tasks)
    is_new = all(task.mark is Mark.COMMITTED for task in at.tasks)
    assert is_new == (at.fault is None)
    assert is_new or is_back
    assert stage_of(at) is (
        Stage.COMMITTED if is_new else Stage.ROLLED_BACK if at.touched else Stage.FAILED
    )
