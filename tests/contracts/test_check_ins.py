"""What every keeper of check-ins, twins and commands promises: in memory, SQLite and PostgreSQL."""

from dataclasses import replace

import pytest

from fairway.control import (
    ActivateState,
    Answer,
    AnswerState,
    CampaignState,
    CampaignStatus,
    CheckIn,
    DeactivateState,
    ExplainCampaign,
    SnapshotState,
    StateTemplateStatus,
    StateValue,
    UploadPartition,
)
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.campaigns.ports import (
    CheckedIn,
)
from fleet_cloud.control.ports import (
    Order,
    Vehicle,
)
from tests.contracts.test_campaigns import NOW, VIN1, VIN2, registry  # noqa: F401 - a fixture
from tests.postgres import postgres  # noqa: F401 - a fixture

S = 1_000_000_000


def status(name: str, state: CampaignState = CampaignState.RUNNING, **more) -> CampaignStatus:
    return CampaignStatus(name, state, **more)


def checked_in(vehicle: Vehicle, *statuses: CampaignStatus, at_ns: int = NOW) -> CheckedIn:
    said = CheckIn(
        "1.2",
        at_ns - 5,
        7,
        statuses,
        b"12345678",
        3,
        (StateTemplateStatus("doors", is_active=True, reason="é"),),
    )
    return CheckedIn(vehicle, said, at_ns)


def test_a_check_in_is_kept_whole_and_replaces_the_one_before(registry: Registry):  # noqa: F811
    full = status(
        "a@1",
        CampaignState.REFUSED,
        reason="é",
        warnings=("x", "y"),
        triggers=1,
        samples=2,
        sent_bytes=3,
        waiting_bytes=4,
        dropped_samples=5,
        held_back_bytes=6,
    )
    registry.said.note([checked_in(VIN1, full, status("b@1")), checked_in(VIN2, status("b@1"))])

    assert registry.said.check_in(VIN1) == checked_in(VIN1, full, status("b@1"))
    registry.said.note([checked_in(VIN1, status("b@1"), at_ns=NOW + S)])
    assert registry.said.check_in(VIN1) == checked_in(VIN1, status("b@1"), at_ns=NOW + S)
    assert registry.said.check_in(VIN2) == checked_in(VIN2, status("b@1"))
    assert registry.said.check_in(Vehicle("other", "VIN1")) is None


def test_numbers_and_texts_of_a_wild_vehicle_are_kept_within_bounds(registry: Registry):  # noqa: F811
    wild = status("a@1", reason="a\0b", samples=2**64 - 1)
    registry.said.note([checked_in(VIN1, wild, status("a@1", samples=9))])
    registry.said.note([checked_in(VIN2, wild)])

    found = registry.said.statuses("acme", "a@1")
    assert [one.check_in.campaigns[0].samples >= 9 for one in found] == [True, True]
    assert found[0].check_in.campaigns == (status("a@1", samples=9),)


def test_the_vehicles_of_a_campaign_are_listed_page_by_page(registry: Registry):  # noqa: F811
    names = [f"V{number}" for number in range(5)]
    registry.said.note(
        [checked_in(Vehicle("acme", one), status("a@1"), status("b@1")) for one in names[:4]]
    )
    registry.said.note([checked_in(Vehicle("acme", "V4"), status("b@1"))])
    registry.said.note([checked_in(Vehicle("other", "V9"), status("a@1"))])

    first = registry.said.statuses("acme", "a@1", limit=3)
    rest = registry.said.statuses("acme", "a@1", after="V2", limit=3)
    assert [one.vehicle.name for one in first] == ["V0", "V1", "V2"]
    assert [one.vehicle.name for one in rest] == ["V3"]
    assert {one.check_in.campaigns for one in first} == {(status("a@1"),)}


def test_vehicles_are_counted_by_state(registry: Registry):  # noqa: F811
    for number, state in enumerate((CampaignState.RUNNING, CampaignState.REFUSED) * 2):
        registry.said.note([checked_in(Vehicle("acme", f"V{number}"), status("a@1", state))])
    registry.said.note([checked_in(VIN1, status("a@1", CampaignState.READY))])

    assert registry.said.state_counts("acme", "a@1") == {
        int(CampaignState.READY): 1,
        int(CampaignState.RUNNING): 2,
        int(CampaignState.REFUSED): 2,
    }
    assert registry.said.state_counts("other", "a@1") == {}
    assert registry.said.catalogues("acme")["VIN1"] == b"12345678"


def test_a_twin_has_the_latest_value_of_every_signal(registry: Registry):  # noqa: F811
    values = [StateValue("B", 5, 1.5), StateValue("A", 5, value=True), StateValue("C", 5, "é")]
    registry.said.report([(VIN1, "doors", values)], NOW)
    later = [StateValue("B", 4, 9.0), StateValue("A", 6, value=False)]
    registry.said.report([(VIN1, "more", later), (VIN2, "doors", values[:1])], NOW)

    assert registry.said.twin(VIN1) == [
        (StateValue("A", 6, value=False), "more"),
        (StateValue("B", 5, 1.5), "doors"),
        (StateValue("C", 5, "é"), "doors"),
    ]
    assert registry.said.twin(Vehicle("other", "VIN1")) == []


WHATS = (
    ExplainCampaign("speed"),
    UploadPartition("speed", "p", 5),
    ActivateState("doors", 60),
    DeactivateState("doors"),
    SnapshotState("doors"),
)


def order(name: str, what=WHATS[0], vehicle: Vehicle = VIN1, **more) -> Order:
    return Order(name, vehicle, what, "user:ann", NOW, NOW + 10 * S, **more)


@pytest.mark.parametrize("what", WHATS)
def test_a_command_is_kept_as_it_is_and_is_its_tenants(registry: Registry, what):  # noqa: F811
    registry.commands.add_command(order("c1", what))

    assert registry.commands.command(None, "c1") == order("c1", what)
    assert registry.commands.command(["acme"], "c1") == order("c1", what)
    assert registry.commands.command(["other"], "c1") is None
    assert registry.commands.command(None, "c2") is None


def test_a_new_command_moves_the_plan_on_so_that_everybody_looks(registry: Registry):  # noqa: F811
    before = registry.plan.changes(0).revision

    registry.commands.add_command(order("c1"))

    assert registry.plan.changes(before).revision > before


def test_open_commands_are_those_in_time_without_an_answer(registry: Registry):  # noqa: F811
    registry.commands.add_command(order("c1"))
    registry.commands.add_command(replace(order("c2"), expires_time_ns=NOW))
    registry.commands.add_command(order("c3", vehicle=VIN2))
    registry.commands.answered([(VIN1, Answer("c1", AnswerState.SUCCEEDED))])

    assert [one.id for one in registry.commands.open_commands(NOW)] == ["c3"]


def test_of_two_who_send_a_command_one_marks_it(registry: Registry):  # noqa: F811
    for name in ("c1", "c2"):
        registry.commands.add_command(order(name))

    assert registry.commands.mark_sent([order("c1")]) == [order("c1")]
    assert registry.commands.mark_sent([order("c1"), order("c2")]) == [order("c2")]
    assert [one.is_sent for one in registry.commands.open_commands(NOW)] == [True, True]


def test_the_first_final_answer_of_the_commands_own_vehicle_counts(registry: Registry):  # noqa: F811
    registry.commands.add_command(order("c1"))
    going = Answer("c1", AnswerState.IN_PROGRESS)
    done = Answer("c1", AnswerState.FAILED, 3, "é\0", '{"a": 1}')
    registry.commands.answered([(VIN2, done), (Vehicle("other", "VIN1"), done)])
    registry.commands.answered([(VIN1, Answer("c9", AnswerState.FAILED))])
    assert registry.commands.command(None, "c1") == order("c1")

    registry.commands.answered([(VIN1, going)])
    registry.commands.answered([(VIN1, done)])
    registry.commands.answered([(VIN1, replace(done, state=AnswerState.SUCCEEDED))])

    found = registry.commands.command(None, "c1")
    assert found is not None
    assert found.is_over
    assert found.answer is not None
    assert (found.answer.state, found.answer.reason_code) == (AnswerState.FAILED, 3)
    assert (found.answer.sentence[0], found.answer.json) == ("é", '{"a": 1}')


def test_commands_that_are_long_over_are_forgotten(registry: Registry):  # noqa: F811
    registry.commands.add_command(order("c1"))
    registry.commands.add_command(replace(order("c2"), expires_time_ns=NOW - 1))

    registry.commands.forget_commands(NOW)

    assert registry.commands.command(None, "c1") is not None
    assert registry.commands.command(None, "c2") is None
