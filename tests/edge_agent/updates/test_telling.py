"""What is told of an order: events that grow, one end, and what is never tried again."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.updates import telling
from edge_agent.updates.life import Step
from edge_agent.updates.order import BAD_MAX, DONE_MAX, EVENTS_MAX, Consent, Kept, Order, Task
from edge_agent.updates.planner import Means, whole
from fairway.update import Fault, Stage
from fairway.wire.updates import events_from_json, events_to_json
from ota.report import Installed
from ota.trust.model import Attack, Ecu, Vehicle
from tests.edge_agent.updates.releases import assigned

VEHICLE = Vehicle("CAR-1", "maps", (Ecu("maps", "m"), Ecu("body", "b")))


def order(step: Step = Step.REPORT, **more: object) -> Order:
    one = assigned("maps", 2)
    made = Order("a", "t", 1, (Task(one, whole(one.image)),), step)
    return replace(made, **more)  # type: ignore[arg-type]


def test_each_change_of_the_stage_is_one_event():
    kept = Kept()
    for step in (Step.FETCH, Step.VERIFY_IMAGES, Step.PREPARE, Step.ACTIVATE, Step.HEALTH):
        kept = telling.with_order(kept, order(step), now_ns=5)
        kept = telling.with_order(kept, order(step), now_ns=6)

    stages = [one.stage for one in kept.events]
    assert stages == [Stage.OFFERED, Stage.DOWNLOADING, Stage.INSTALLING, Stage.VERIFYING]
    assert [one.sequence for one in kept.events] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("said", "stage"),
    [(Consent.NONE, Stage.CONSENT), (Consent.ACCEPTED, Stage.WINDOW)],
)
def test_who_waits_for_the_driver_says_so(said: Consent, stage: Stage):
    asking = assigned("maps", 2, needs_consent=True)
    tasks = (Task(asking, whole(asking.image)),)

    waiting = order(Step.WAIT_CONDITIONS, tasks=tasks, consent=said)

    assert telling.stage_of(waiting) is stage


def test_an_end_is_told_of_the_ecu_and_of_the_vehicle_as_a_whole():
    ill = order(fault=Fault.HEALTH, sentence="it was ill", log="panic", ecu="maps", touched=True)

    kept = telling.ended(Kept(order=ill), ill, now_ns=9)

    assert [(one.ecu, one.stage) for one in kept.events] == [
        ("maps", Stage.ROLLED_BACK),
        ("", Stage.ROLLED_BACK),
    ]
    assert {one.log for one in kept.events} == {"panic"}
    assert kept.order is None
    assert kept.is_report_due
    assert events_from_json(events_to_json(kept.events)) == kept.events


@pytest.mark.parametrize("fault", list(Fault))
def test_only_what_speaks_against_an_image_is_held_against_it(fault: Fault):
    ended = order(fault=fault, sentence="so", ecu="maps")

    kept = telling.ended(Kept(order=ended), ended, now_ns=9)

    is_blamed = fault in (Fault.INSTALL, Fault.HEALTH, Fault.SAFETY)
    assert bool(kept.bad) == is_blamed


def test_where_nobody_is_to_blame_all_of_it_is():
    both = tuple(Task(one, whole(one.image)) for one in (assigned("maps", 2), assigned("body", 2)))
    ended = order(tasks=both, fault=Fault.HEALTH, sentence="no signal comes")

    kept = telling.ended(Kept(order=ended), ended, now_ns=9)

    assert [one.serial for one in kept.bad] == ["maps", "body"]


@given(st.integers(1, 200))
def test_what_is_kept_stays_bounded(count: int):
    kept = Kept()
    for number in range(count):
        one = assigned("maps", number)
        ended = order(
            action=f"a{number}",
            tasks=(Task(one, whole(one.image)),),
            fault=Fault.HEALTH,
            sentence="ill",
        )
        kept = telling.ended(replace(kept, order=ended), ended, now_ns=number)

    assert len(kept.bad) == min(count, BAD_MAX)
    assert len(kept.done) == min(count, DONE_MAX)
    assert len(kept.events) == min(count, EVENTS_MAX)
    assert kept.done[-1].action == f"a{count - 1}"


def test_what_is_told_is_forgotten_and_nothing_else():
    kept = Kept()
    for step in (Step.FETCH, Step.PREPARE, Step.HEALTH):
        kept = telling.with_order(kept, order(step), now_ns=5)

    assert [one.sequence for one in telling.told(kept, 2).events] == [3, 4]


def test_a_report_says_what_each_ecu_holds_and_what_looked_like_an_attack():
    known = Installed("maps/2", 3, "ab" * 32, 2)
    kept = Kept(installed={"maps": known}, reports=7, attacks=(Attack.FREEZE,))
    held = {"maps": "ab" * 32, "body": "cd" * 32}

    report = telling.report_of(kept, VEHICLE, held, time_ns=5, means=Means())

    assert [one.installed for one in report.ecus] == [known, Installed("unknown", 0, "cd" * 32)]
    assert [one.attacks for one in report.ecus] == [(Attack.FREEZE,), ()]
    assert (report.counter, report.primary, report.forms) == (7, "maps", ("plain", "zstd"))


def test_an_ecu_that_holds_something_else_than_was_committed_says_that():
    kept = Kept(installed={"maps": Installed("maps/2", 3, "ab" * 32, 2)})

    report = telling.report_of(kept, VEHICLE, {"maps": "ee" * 32}, time_ns=5, means=Means())

    assert report.ecus[0].installed == Installed("unknown", 0, "ee" * 32)
    assert report.ecus[1].installed is None
