"""What is fetched, how, and in which order: nothing grows in silence, nothing bad comes again."""

from dataclasses import replace
from typing import Any

import pytest

from edge_agent.updates.acts import Failed
from edge_agent.updates.order import Bad, Done, Kept, Order
from edge_agent.updates.planner import DISK_MARGIN_BYTES, Means, Nothing, order_of, token_of
from fairway.update import Fault, Stage
from ota.manifest import Blob, Form, Source
from ota.trust.model import Assigned, Plan
from tests.edge_agent.updates.releases import SERIALS, assigned, plan_of

OLD = "0d" * 32
HELD = dict.fromkeys(SERIALS, OLD)
ALL = frozenset(Form)


def source(form: Form, length: int, *, base: str = "", memory: int = 0) -> Source:
    return Source(form, Blob("ab" * 32, length), base, memory)


def with_sources(*sources: Source) -> Assigned:
    one = assigned("gateway", 2)
    return replace(one, image=replace(one.image, sources=sources))


def planned(*sources: Source, kept: Kept | None = None, **means: Any) -> Order | Nothing | Failed:
    plan = Plan("a", (with_sources(*sources),), 1)
    usual = Means(forms=ALL, bases=frozenset({OLD}))
    return order_of(plan, HELD, kept or Kept(), replace(usual, **means), now_ns=5)


def chosen(said: Order | Nothing | Failed) -> Form:
    assert isinstance(said, Order), said
    return said.tasks[0].source.form


PATCH = source(Form.ZSTD_PATCH, 30, base=OLD, memory=1000)
PACKED = source(Form.ZSTD, 200)


def test_the_shortest_way_is_taken():
    assert chosen(planned(PACKED, PATCH)) is Form.ZSTD_PATCH


@pytest.mark.parametrize(
    ("sources", "means", "form"),
    [
        ((PACKED, source(Form.ZSTD_PATCH, 30, base="ee" * 32)), {}, Form.ZSTD),
        ((PACKED, PATCH), {"memory_max_bytes": 999}, Form.ZSTD),
        ((PACKED, PATCH), {"bases": frozenset()}, Form.ZSTD),
        ((PACKED, PATCH), {"forms": frozenset({Form.ZSTD})}, Form.ZSTD),
        ((PATCH,), {"bases": frozenset()}, Form.PLAIN),
        ((), {}, Form.PLAIN),
    ],
)
def test_a_difference_that_does_not_fit_here_is_not_taken(
    sources: tuple[Source, ...], means: dict[str, Any], form: Form
):
    assert chosen(planned(*sources, **means)) is form


def test_over_a_metered_link_the_whole_image_needs_permission_and_the_reason_is_said():
    said = planned(PACKED, PATCH, is_metered=True, bases=frozenset())

    assert isinstance(said, Failed)
    assert said.fault is Fault.BUDGET
    assert "fetched whole (200 bytes) over a metered link" in said.sentence
    assert "cannot be read" in said.sentence


def test_with_permission_it_is_taken_and_where_no_difference_was_offered_too():
    assert (
        chosen(planned(PACKED, PATCH, is_metered=True, bases=frozenset(), may_fetch_whole=True))
        is Form.ZSTD
    )
    assert chosen(planned(PACKED, is_metered=True)) is Form.ZSTD


def test_what_costs_more_than_the_budget_is_refused():
    said = planned(PATCH, is_metered=True, budget_bytes=29)

    assert isinstance(said, Failed)
    assert said.sentence == "the update takes 30 bytes, and 29 are left on this metered link"
    assert chosen(planned(PATCH, is_metered=True, budget_bytes=30)) is Form.ZSTD_PATCH
    assert chosen(planned(PATCH, budget_bytes=29)) is Form.ZSTD_PATCH


def test_what_the_disk_has_no_room_for_is_refused_before_anything_is_fetched():
    length = with_sources().image.length
    need = DISK_MARGIN_BYTES + 30 + length
    said = planned(PATCH, disk_free_bytes=need - 1)

    assert isinstance(said, Failed)
    assert said.fault is Fault.STORAGE
    assert f"needs {need} bytes" in said.sentence
    assert isinstance(planned(PATCH, disk_free_bytes=need), Order)


def test_what_failed_here_is_never_tried_again_and_elsewhere_it_is():
    image = with_sources().image
    bad = Bad("gateway", image.sha256, "2.0.0", "it was ill")

    said = planned(kept=Kept(bad=(bad,)))

    assert isinstance(said, Failed)
    assert "failed in gateway before (it was ill)" in said.sentence
    assert isinstance(planned(kept=Kept(bad=(replace(bad, serial="other"),))), Order)


def test_what_is_held_already_is_left_alone():
    plan = plan_of(2)
    held = {one.ecu.serial: one.image.sha256 for one in plan.assigned}

    assert isinstance(order_of(plan, held, Kept(), Means(), now_ns=0), Nothing)
    held["maps"] = OLD
    order = order_of(plan, held, Kept(), Means(), now_ns=0)
    assert isinstance(order, Order)
    assert [one.assigned.ecu.serial for one in order.tasks] == ["maps"]


def test_ecus_with_one_bank_come_last_and_the_declared_order_counts_before_them():
    orders = {"gateway": 2, "maps": 1, "apps": 3, "body": 1, "brake": 0}
    plan = Plan("a", tuple(assigned(name, 2, order=n) for name, n in orders.items()), 1)

    order = order_of(plan, HELD, Kept(), Means(single_bank=frozenset({"brake"})), now_ns=0)

    assert isinstance(order, Order)
    names = [one.assigned.ecu.serial for one in order.tasks]
    assert names == ["body", "maps", "gateway", "apps", "brake"]


def test_groups_of_the_same_order_stand_side_by_side():
    groups = {"gateway": "b", "maps": "a", "apps": "b", "body": "a"}
    plan = Plan("a", tuple(assigned(name, 2, group=one) for name, one in groups.items()), 1)

    order = order_of(plan, HELD, Kept(), Means(), now_ns=0)

    assert isinstance(order, Order)
    assert [one.assigned.image.install.group for one in order.tasks] == ["a", "a", "b", "b"]


def done(stage: Stage, fault: Fault | None, version: int = 1) -> Kept:
    return Kept(done=(Done("a", version, stage, 0, fault, "why"),))


@pytest.mark.parametrize(
    ("kept", "version", "is_tried"),
    [
        (done(Stage.COMMITTED, None), 1, False),
        (done(Stage.ROLLED_BACK, Fault.HEALTH), 1, False),
        (done(Stage.ROLLED_BACK, Fault.HEALTH), 2, False),
        (done(Stage.FAILED, Fault.CONSENT), 2, False),
        (done(Stage.FAILED, Fault.NETWORK), 1, False),
        (done(Stage.FAILED, Fault.NETWORK), 2, True),
        (done(Stage.FAILED, Fault.BUDGET), 2, True),
    ],
)
def test_an_order_that_is_over_comes_again_only_if_it_may_go_better_and_was_signed_anew(
    kept: Kept, version: int, *, is_tried: bool
):
    plan = Plan("a", (with_sources(),), version)

    said = order_of(plan, HELD, kept, Means(), now_ns=0)

    assert isinstance(said, Order) == is_tried


def test_the_same_order_signed_anew_has_the_same_name_and_another_image_another():
    plan = plan_of(2)

    assert token_of("a", plan) == token_of("a", replace(plan, director_version=9))
    assert token_of("a", plan) != token_of("b", plan)
    assert token_of("a", plan) != token_of("a", plan_of(3))
