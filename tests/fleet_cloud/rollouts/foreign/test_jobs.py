"""Executions of AWS IoT Jobs: which follow which, what is refused, and what our orders become."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fairway.clock import NS_PER_S, ManualClock
from fairway.errors import BadInput
from fairway.iot_jobs import NEXT, Ask, Verb, asked, asks, hears, notify, notify_next
from fairway.update import Fault, Stage
from fleet_cloud.adapters.memory_foreign import MemoryForeign
from fleet_cloud.adapters.memory_rollouts import MemoryOffers
from fleet_cloud.rollouts.foreign.direct import DirectOffers
from fleet_cloud.rollouts.foreign.job_desk import JobDesk, Telling
from fleet_cloud.rollouts.foreign.jobs import (
    MOVES,
    Code,
    Execution,
    Refusal,
    Status,
    Update,
    job_of,
    settled,
    started,
    updated,
)
from fleet_cloud.rollouts.ports import Offer
from ota.manifest import Bundle
from tests.foreign_site import WISH

FRESH = Execution("job", "job", Status.QUEUED, 1, 10, 10)
OFFER = Offer("job", "r", Bundle("b", "1", ()), ())


@pytest.mark.parametrize("before", list(Status))
@pytest.mark.parametrize("after", list(Status))
def test_only_what_stands_in_the_table_can_be_made_of_a_status(before: Status, after: Status):
    found = updated(replace(FRESH, status=before), Update(after), 20)

    if before in MOVES and after in MOVES[before]:
        assert isinstance(found, Execution)
        assert (found.status, found.version) == (after, 2)
    else:
        assert isinstance(found, Refusal)
        assert found.code is (Code.INVALID_STATE if before in MOVES else Code.TERMINAL)


def test_a_version_that_is_not_expected_is_refused():
    assert isinstance(updated(FRESH, Update(Status.SUCCEEDED, expected_version=1), 20), Execution)
    refused = updated(FRESH, Update(Status.SUCCEEDED, expected_version=2), 20)
    assert isinstance(refused, Refusal)
    assert refused.code is Code.VERSION


def test_begun_twice_is_begun_once():
    first = started(FRESH, Update(Status.IN_PROGRESS, {"a": "1"}, step_minutes=2), 20)

    assert (first.status, first.version, first.started_s, first.deadline_s) == (
        Status.IN_PROGRESS,
        2,
        20,
        140,
    )
    assert started(first, Update(Status.IN_PROGRESS, {"a": "2"}), 30) == first


def test_a_step_that_took_too_long_times_out():
    begun = started(FRESH, Update(Status.IN_PROGRESS, step_minutes=1), 20)

    assert settled(OFFER, [begun], begun, 79) == []
    (late,) = settled(OFFER, [begun], begun, 80)
    assert late.status is Status.TIMED_OUT
    unlimited = updated(begun, Update(Status.IN_PROGRESS, step_minutes=-1), 30)
    assert isinstance(unlimited, Execution)
    assert settled(OFFER, [unlimited], unlimited, 10**9) == []


def test_what_is_not_offered_any_more_is_cancelled_and_what_is_new_is_queued():
    other = replace(FRESH, job="old", action="old")

    gone, fresh = settled(OFFER, [other], None, 20)
    assert (gone.job, gone.status) == ("old", Status.CANCELED)
    assert (fresh.job, fresh.status, fresh.version) == ("job", Status.QUEUED, 1)
    assert settled(OFFER, [], replace(FRESH, status=Status.FAILED), 20) == []
    (given_up,) = settled(replace(OFFER, is_cancelled=True), [FRESH], FRESH, 20)
    assert given_up.status is Status.CANCELED


def test_an_order_that_aws_could_not_name_has_a_name_that_it_can():
    assert job_of("direct-ab12") == "direct-ab12"
    assert job_of("rollout/VIN 1").startswith("order-")
    assert len(job_of("x" * 65)) <= 64


def test_topics_are_read_as_they_are_spelt():
    for ask in (
        Ask("VIN1", Verb.LIST),
        Ask("VIN1", Verb.START),
        Ask("VIN1", Verb.SHOW, "j-1"),
        Ask("VIN1", Verb.UPDATE, NEXT),
    ):
        assert asked(ask.topic) == ask
        with pytest.raises(BadInput):
            asked(ask.accepted)
    assert asks("+")[2] == "$aws/things/+/jobs/+/get"
    assert (hears("V"), notify("V")) == ("$aws/things/V/jobs/#", "$aws/things/V/jobs/notify")
    assert notify_next("V") == "$aws/things/V/jobs/notify-next"


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["$aws", "things", "V", "jobs", "get", ""])).map("/".join)
)
def test_other_topics_are_refused(topic: str):
    try:
        ask = asked(topic)
    except BadInput:
        return
    assert ask.topic == topic


class Line:
    """A vehicle that asks a desk."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.direct = DirectOffers(MemoryForeign())
        self.desk = JobDesk(MemoryForeign(), self.direct, self.clock, lambda: "https://door")

    def ask(self, verb: Verb, job: str = "", **said: Any) -> tuple[bool, dict[str, Any]]:
        """Ask, and return whether it was done, and the answer."""
        ask = Ask("VIN1", verb, job)
        answer = self.desk.answer("acme", ask, json.dumps(said).encode())[0]
        assert answer.topic in (ask.accepted, ask.rejected)
        return answer.topic == ask.accepted, answer.content


def test_a_fault_in_the_details_is_the_fault_of_the_order():
    line = Line()
    order = line.direct.assign("acme", WISH, 1)
    line.ask(Verb.START)
    details = {"fault": "safety", "message": "brakes", "percent": "12"}

    done, _ = line.ask(Verb.UPDATE, order.action, status="FAILED", statusDetails=details)

    last = line.direct.history("acme", "VIN1", order.action)[-1]
    assert done
    assert (last.stage, last.fault, last.sentence, last.percent) == (
        Stage.FAILED,
        Fault.SAFETY,
        "brakes",
        12,
    )


def test_who_never_asked_for_a_job_is_left_alone():
    line = Line()
    order = line.direct.assign("acme", WISH, 1)
    line.direct.cancel("acme", "VIN1", order.action, 2, force=False)

    assert line.desk.look("acme", "VIN1") == []
    assert line.direct.offer("acme", "VIN1", 3) is not None  # nobody gave it up in its name
    line.ask(Verb.LIST)
    assert line.direct.offer("acme", "VIN1", 3) is None


def test_a_vehicle_is_told_what_is_next_once():
    line = Line()
    line.ask(Verb.LIST)
    line.direct.assign("acme", WISH, 1)

    told = line.desk.look("acme", "VIN1")
    assert [one.topic for one in told] == [notify("VIN1"), notify_next("VIN1")]
    assert told[1].content["execution"]["status"] == "QUEUED"
    assert line.desk.look("acme", "VIN1") == []


def test_a_rollouts_offer_is_a_job_like_any_other():
    offers, clock = MemoryOffers(), ManualClock()
    desk = JobDesk(MemoryForeign(), offers, clock, lambda: "")
    offers.put("acme", "VIN1", replace(OFFER, action="rollout 1/VIN1"))

    (begun, *_) = desk.answer("acme", Ask("VIN1", Verb.START), b"")
    job = begun.content["execution"]["jobId"]
    desk.answer("acme", Ask("VIN1", Verb.UPDATE, job), b'{"status": "SUCCEEDED"}')

    stages = [one.stage for one in offers.history("acme", "VIN1", "rollout 1/VIN1")]
    assert stages == [Stage.OFFERED, Stage.INSTALLING, Stage.COMMITTED]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda some: (
        st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=9), some, max_size=3)
    ),
    max_leaves=8,
)
near = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from([*Status, "x"]) | anything,
        "statusDetails": st.dictionaries(st.sampled_from(["stage", "percent", "a b"]), anything)
        | anything,
        "expectedVersion": anything | st.sampled_from(["1", "2"]),
        "stepTimeoutInMinutes": anything | st.just(-1),
        "clientToken": anything,
        "includeJobDocument": anything,
        "includeJobExecutionState": anything,
    },
)


@given(
    payload=st.binary(max_size=40) | (near | anything).map(lambda said: json.dumps(said).encode()),
    verb=st.sampled_from(Verb),
    job=st.sampled_from([NEXT, "job", "unknown"]),
)
def test_garbage_is_answered_and_changes_nothing_that_it_should_not(
    payload: bytes, verb: Verb, job: str
):
    offers = MemoryOffers()
    desk = JobDesk(MemoryForeign(), offers, ManualClock(), lambda: "")
    offers.put("acme", "VIN1", OFFER)
    named = job if verb in (Verb.SHOW, Verb.UPDATE) else ""

    (answer, *_) = desk.answer("acme", Ask("VIN1", verb, named), payload)

    json.dumps(answer.content).encode()
    if answer.topic.endswith("/rejected"):
        assert answer.content["code"] in list(Code)


class Machine(RuleBasedStateMachine):
    """A device, an operator and time do what they like: order and job always say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Line()
        self.told: list[Telling] = []

    @rule()
    def assign(self) -> None:
        if len(self.line.direct.waiting("acme", "VIN1")) < 3:
            self.line.direct.assign("acme", WISH, self.line.clock.now_ns())

    @rule(force=st.booleans())
    def cancel(self, force: bool) -> None:  # noqa: FBT001 - hypothesis's
        waiting = self.line.direct.waiting("acme", "VIN1")
        if waiting and not waiting[0].is_cancelled:
            now_ns = self.line.clock.now_ns()
            self.line.direct.cancel("acme", "VIN1", waiting[0].action, now_ns, force=force)

    @rule(seconds=st.integers(0, 100))
    def wait(self, seconds: int) -> None:
        self.line.clock.advance(seconds * NS_PER_S)

    @rule(minutes=st.sampled_from([None, 1, -1]))
    def start(self, minutes: int | None) -> None:
        said: dict[str, Any] = {} if minutes is None else {"stepTimeoutInMinutes": minutes}
        done, _ = self.line.ask(Verb.START, **said)
        assert done

    @rule(status=st.sampled_from(["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"]))
    def update(self, status: str) -> None:
        done, answer = self.line.ask(Verb.UPDATE, NEXT, status=status)
        if not done:
            assert answer["code"] == Code.NOT_FOUND

    @invariant()
    def one_order_is_one_job(self) -> None:
        line = self.line
        _, answer = line.ask(Verb.LIST)
        jobs = answer["queuedJobs"] + answer["inProgressJobs"]
        offer = line.direct.offer("acme", "VIN1", line.clock.now_ns())
        if offer is None or offer.is_cancelled:
            assert jobs == []
        else:
            assert [job["jobId"] for job in jobs] == [offer.action]
        for one in line.direct.ended("acme", "VIN1"):
            assert one.events[-1].stage.is_final
            assert sum(event.stage.is_final for event in one.events) == 1


TestMachine = Machine.TestCase
