"""What campaigns promise to the FleetWise door: over plans in memory, SQLite and PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fairway.control import CampaignState, CampaignStatus, CheckIn
from fairway.errors import BadInput, Denied
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.fleetwise_campaigns import ServiceCampaigns
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.adapters.registry import Registry, open_registry
from fleet_cloud.campaigns.ports import (
    CheckedIn,
)
from fleet_cloud.campaigns.service import Service
from fleet_cloud.control.ports import (
    Vehicle,
)
from fleet_cloud.models.campaigns import Asker, Campaigns, KeptCampaign, Move
from fleet_cloud.models.refusals import InTheWay, NotThere
from tests.postgres import postgres  # noqa: F401 - a fixture

ANN, BOB = Asker("acme", "key:1", 1_000), Asker("acme", "key:2", 2_000)
EVA = Asker("other", "key:3", 3_000)
ARN = "arn:aws:iotfleetwise:eu:123456789012"


@dataclass
class Kept:
    """Campaigns, and what stands behind them."""

    campaigns: Campaigns
    registry: Registry
    audit: MemoryAudit
    poked: list[int]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    if request.param == "memory":
        registry = memory_registry()
    else:
        is_file = request.param == "sqlite"
        url = (
            sqlite_url(tmp_path / "r.sqlite")
            if is_file
            else request.getfixturevalue("postgres").url()
        )
        registry = open_registry(url, "eu")
    audit, poked = MemoryAudit(), list[int]()
    service = Service(registry.plan, audit)
    made = ServiceCampaigns(service, registry.plan, registry.said, lambda: poked.append(1))
    yield Kept(made, registry, audit, poked)
    registry.close()


@pytest.fixture
def campaigns(kept: Kept) -> Campaigns:
    return kept.campaigns


def document(name: str, target: str = "fleet/all") -> dict[str, Any]:
    return {
        "name": name,
        "targetArn": f"{ARN}:{target}",
        "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 10_000}},
        "compression": "SNAPPY",
    }


def found(campaigns: Campaigns, name: str) -> KeptCampaign:
    one = campaigns.campaign("acme", name)
    assert one is not None
    return one


def test_a_campaign_is_kept_as_it_was_said_and_waits_for_approval(campaigns: Campaigns):
    campaigns.create(ANN, document("hot"))

    hot = found(campaigns, "hot")
    assert (hot.document, hot.status) == (document("hot"), "WAITING_FOR_APPROVAL")
    assert (hot.created_time_ns, hot.changed_time_ns) == (1_000, 1_000)
    with pytest.raises(InTheWay, match="already"):
        campaigns.create(BOB, document("hot"))


def test_what_its_language_does_not_know_is_refused_by_name(campaigns: Campaigns):
    scheme = {"conditionBasedCollectionScheme": {"expression": "1 >"}}
    with pytest.raises(BadInput, match="expression"):
        campaigns.create(ANN, {**document("hot"), "collectionScheme": scheme})
    assert campaigns.campaign("acme", "hot") is None


def test_it_is_approved_suspended_and_resumed_and_nothing_else_in_between(kept: Kept):
    campaigns = kept.campaigns
    campaigns.create(ANN, document("hot"))
    for move, status in (
        (Move.APPROVE, "RUNNING"),
        (Move.SUSPEND, "SUSPENDED"),
        (Move.RESUME, "RUNNING"),
    ):
        assert campaigns.move(BOB, "hot", move, {}).status == status
    for move in (Move.APPROVE, Move.RESUME):
        with pytest.raises(InTheWay, match="RUNNING"):
            campaigns.move(BOB, "hot", move, {})

    assert found(campaigns, "hot").changed_time_ns == 2_000
    assert len(kept.poked) == 3
    assert [act.action for act in kept.audit.acts] == [
        "campaign.create", "campaign.approve", "campaign.start", "campaign.suspend", "campaign.resume",
    ]  # fmt: skip


def test_who_made_it_does_not_approve_it(campaigns: Campaigns):
    campaigns.create(ANN, document("hot"))

    with pytest.raises(Denied, match="somebody else approves it"):
        campaigns.move(ANN, "hot", Move.APPROVE, {})


def test_what_was_approved_elsewhere_waits_until_it_is_started(kept: Kept):
    kept.campaigns.create(ANN, document("hot"))
    plan = kept.registry.plan
    hot = plan.campaign("acme", "hot")
    assert hot is not None
    Service(plan, kept.audit).approve(hot, actor="key:2", now_ns=5)

    assert found(kept.campaigns, "hot").status == "WAITING_FOR_APPROVAL"
    assert kept.campaigns.move(ANN, "hot", Move.APPROVE, {}).status == "RUNNING"


def test_an_update_changes_the_document_and_not_the_status(campaigns: Campaigns):
    campaigns.create(ANN, document("hot"))
    campaigns.move(BOB, "hot", Move.UPDATE, {"description": "warm"})

    hot = found(campaigns, "hot")
    assert hot.document == {**document("hot"), "description": "warm"}
    assert hot.status == "WAITING_FOR_APPROVAL"


def test_campaigns_are_listed_in_order_of_name_by_status(campaigns: Campaigns):
    for name in ("c", "a", "b"):
        campaigns.create(ANN, document(name))
    campaigns.move(BOB, "b", Move.APPROVE, {})

    assert [one.name for one in campaigns.listed("acme", limit=2)] == ["a", "b"]
    assert [one.name for one in campaigns.listed("acme", after="b", limit=2)] == ["c"]
    assert [one.name for one in campaigns.listed("acme", limit=9, status="RUNNING")] == ["b"]


def test_a_vehicle_has_those_that_it_or_its_fleet_is_the_target_of(campaigns: Campaigns):
    campaigns.create(ANN, document("a"))
    campaigns.create(ANN, document("b", "vehicle/VIN1"))
    campaigns.create(ANN, document("c", "vehicle/VIN2"))
    assert campaigns.of_vehicle("acme", "VIN1", limit=9) == [("b", "CREATED")]

    campaigns.belongs("acme", "VIN1", {"all": True, "none": True})
    campaigns.belongs("acme", "VIN1", {"none": False})
    both = [("a", "CREATED"), ("b", "CREATED")]
    assert campaigns.of_vehicle("acme", "VIN1", limit=9) == both
    assert campaigns.of_vehicle("acme", "VIN1", after="a", limit=9) == both[1:]
    assert campaigns.of_vehicle("acme", "VIN1", limit=1) == both[:1]
    campaigns.belongs("acme", "VIN1", {"all": False})
    assert campaigns.of_vehicle("acme", "VIN1", limit=9) == both[1:]


def test_a_vehicle_is_healthy_once_it_says_that_it_runs_the_campaign(kept: Kept):
    campaigns = kept.campaigns
    campaigns.create(ANN, document("hot", "vehicle/VIN1"))
    campaigns.move(BOB, "hot", Move.APPROVE, {})
    assert campaigns.of_vehicle("acme", "VIN1", limit=9) == [("hot", "READY")]

    hot = kept.registry.plan.campaign("acme", "hot")
    assert hot is not None
    for state, told in ((CampaignState.RUNNING, "HEALTHY"), (CampaignState.REFUSED, "READY")):
        said = CheckIn("1.0", 5, campaigns=(CampaignStatus(hot.sync_id, state),))
        kept.registry.said.note([CheckedIn(Vehicle("acme", "VIN1"), said, 6)])
        assert campaigns.of_vehicle("acme", "VIN1", limit=9) == [("hot", told)]
    campaigns.move(BOB, "hot", Move.SUSPEND, {})
    assert campaigns.of_vehicle("acme", "VIN1", limit=9) == [("hot", "SUSPENDED")]


def test_what_is_removed_is_gone_and_what_is_unknown_is_said_to_be(campaigns: Campaigns):
    campaigns.create(ANN, document("hot"))
    campaigns.remove(BOB, "hot")

    assert campaigns.campaign("acme", "hot") is None
    with pytest.raises(NotThere):
        campaigns.remove(BOB, "hot")
    with pytest.raises(NotThere):
        campaigns.move(BOB, "hot", Move.APPROVE, {})
    campaigns.create(BOB, document("hot"))


def test_another_tenant_sees_nothing(campaigns: Campaigns):
    campaigns.create(ANN, document("hot"))

    assert campaigns.campaign("other", "hot") is None
    assert campaigns.listed("other", limit=9) == []
    assert campaigns.of_vehicle("other", "VIN1", limit=9) == []
    for act in (
        lambda: campaigns.move(EVA, "hot", Move.APPROVE, {}),
        lambda: campaigns.remove(EVA, "hot"),
    ):
        with pytest.raises(NotThere):
            act()
