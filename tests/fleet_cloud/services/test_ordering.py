"""What people do to services, and what the audit log says of it."""

from typing import Any

import pytest

from fairway.errors import Conflict, Denied, Unavailable
from fairway.services.model import Service
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.audit.acts import Act
from fleet_cloud.control.targets import Target, TargetKind
from fleet_cloud.services.life import MOVES, Move, State, moved
from fleet_cloud.services.model import Kept
from fleet_cloud.services.ordering import Ordering

NORTH = Target(TargetKind.FLEET, "north")


class Desk:
    """People at work."""

    def __init__(self, *, demands: bool = True, self_approval: bool = False) -> None:
        self.registry, self.audit = memory_registry(), MemoryAudit()
        self.ordering = Ordering(
            self.registry.services, self.audit, lambda _: demands, self_approval=self_approval
        )

    def apply(self, version: str = "1", actor: str = "ann") -> Any:
        service = Service(name="watch", version=version, image="sha256:" + "a" * 64)
        return self.ordering.apply("acme", service, NORTH, actor=actor, now_ns=7)

    def approve(self, kept: Kept, actor: str = "bob", sync_id: str = "") -> Any:
        return self.ordering.approve(kept, sync_id, actor=actor, now_ns=8)

    def kept(self) -> Any:
        (found,) = self.registry.services.all_desired()
        return found

    def acts(self) -> list[str]:
        return [act.action for act in self.audit.acts]


def test_without_a_demand_for_approval_it_is_in_force_at_once():
    desk = Desk(demands=False)

    kept = desk.apply()

    assert kept.state is State.IN_FORCE
    assert (kept.in_force.version, kept.proposed) == ("1", None)
    assert desk.kept() == kept
    (act,) = desk.audit.acts
    assert (act.action, act.object, act.tenant) == ("service.apply", "service:watch", "acme")
    assert act.details["target"] == "fleet:north"
    assert act.details["sync_id"] == kept.in_force.sync_id


def test_with_one_it_waits_and_what_was_in_force_stays():
    desk = Desk()
    first = desk.approve(desk.apply("1"))
    assert (first.state, first.in_force.approved_by) == (State.IN_FORCE, "bob")

    second = desk.apply("2")

    assert second.state is State.CHANGING
    assert (second.in_force.version, second.proposed.version) == ("1", "2")
    assert desk.approve(second).in_force.version == "2"
    assert desk.acts() == ["service.propose", "service.approve"] * 2


def test_the_same_again_changes_nothing():
    desk = Desk()
    kept = desk.apply("1")
    assert desk.apply("1") == kept
    kept = desk.approve(kept)
    assert desk.apply("1") == kept
    assert desk.acts() == ["service.propose", "service.approve"]


def test_nobody_approves_what_they_want_themselves():
    desk = Desk()
    kept = desk.apply(actor="ann")
    with pytest.raises(Denied, match="somebody else approves it"):
        desk.approve(kept, actor="ann")

    assert desk.kept() == kept
    assert desk.acts() == ["service.propose"]
    own = Desk(self_approval=True)
    assert own.approve(own.apply(actor="ann"), actor="ann").state is State.IN_FORCE


def test_whoever_takes_over_the_wish_of_another_cannot_approve_it_either():
    desk = Desk()
    desk.apply(actor="ann")
    kept = desk.apply(actor="bob")

    with pytest.raises(Denied):
        desk.approve(kept, actor="bob")


def test_an_approval_is_of_the_content_that_was_looked_at():
    desk = Desk()
    looked_at = desk.apply("1").proposed.sync_id
    kept = desk.apply("2")

    with pytest.raises(Conflict, match="another content now"):
        desk.approve(kept, sync_id=looked_at)
    assert desk.approve(kept, sync_id=kept.proposed.sync_id).in_force.version == "2"


def test_of_two_who_act_on_the_same_version_the_second_is_told():
    desk = Desk()
    kept = desk.apply("1")
    desk.apply("2", actor="eve")

    with pytest.raises(Conflict, match="somebody else has just changed"):
        desk.approve(kept)
    assert desk.kept().state is State.WAITING


def test_what_waits_is_withdrawn_and_what_is_in_force_stays():
    desk = Desk()
    desk.approve(desk.apply("1"))
    kept: Any = desk.ordering.withdraw(desk.apply("2"), actor="ann", now_ns=9)

    assert (kept.state, kept.in_force.version, kept.proposed) == (State.IN_FORCE, "1", None)
    with pytest.raises(Conflict, match="cannot withdraw"):
        desk.ordering.withdraw(kept, actor="ann", now_ns=9)


def test_what_is_removed_is_gone_and_can_be_desired_again():
    desk = Desk(demands=False)
    desk.ordering.remove(desk.apply(), actor="ann", now_ns=9)
    assert desk.registry.services.all_desired() == []

    assert desk.apply().state is State.IN_FORCE


def test_what_cannot_be_audited_is_not_done():
    class Broken(MemoryAudit):
        def write(self, act: Act) -> None:
            raise Unavailable(f"{act.action} cannot be written")

    desk = Desk(demands=False)
    desk.ordering = Ordering(desk.registry.services, Broken())
    with pytest.raises(Unavailable):
        desk.apply()
    assert desk.registry.services.all_desired() == []


def test_every_state_can_be_left_and_nothing_leads_out_of_removed():
    assert {state for state, _ in MOVES} == set(State) - {State.REMOVED}
    assert set(MOVES.values()) == set(State) - {State.NEW}
    with pytest.raises(Conflict, match="it can nothing"):
        moved("watch", State.REMOVED, Move.APPLY)
