"""Staged campaigns by themselves: raised when it is time, stopped when many refuse; over memory stores."""

from fairway.campaign.document import campaign_of, sync_id
from fairway.control import CampaignState, CampaignStatus, CheckIn
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.campaigns.plan import Plan
from fleet_cloud.campaigns.ports import (
    CheckedIn,
)
from fleet_cloud.campaigns.service import Service
from fleet_cloud.campaigns.stages import Stage
from fleet_cloud.campaigns.staging import Staging
from fleet_cloud.control.aims import Fleets
from fleet_cloud.control.ports import (
    Vehicle,
)
from fleet_cloud.control.targets import (
    Target,
    TargetKind,
)

S = 1_000_000_000
NOW = 1_780_000_000 * S
SCHEME = {"timeBasedCollectionScheme": {"periodMs": 1000}}
CAMPAIGN = campaign_of({"name": "c", "collectionScheme": SCHEME})
KEPT = Kept(
    "acme",
    CAMPAIGN,
    sync_id(CAMPAIGN),
    Target(TargetKind.QUERY, 'not id == ""'),
    State.RUNNING,
    "user:x",
    NOW,
    NOW,
    started_time_ns=NOW,
    stages=(Stage(5), Stage(50, 60), Stage(100, 3600)),
    percent=5,
)


class Scene:
    """A registry with one campaign, and what looks after it."""

    def __init__(self, kept: Kept = KEPT) -> None:
        self.registry = memory_registry()
        self.audit = MemoryAudit()
        self.registry.plan.add(kept)
        self.plan = Plan(Fleets(dict))
        self.staging = Staging(
            self.plan, self.registry.said, Service(self.registry.plan, self.audit)
        )

    def tick(self, after_s: float) -> Kept:
        for kept in self.registry.plan.changes(0).campaigns:
            self.plan.put(kept)
        self.staging.tick(NOW + int(after_s * S))
        found = self.registry.plan.campaign("acme", "c")
        assert found is not None
        return found

    def answer(self, running: int, refused: int) -> None:
        states = [CampaignState.RUNNING] * running + [CampaignState.REFUSED] * refused
        self.registry.said.note(
            [
                CheckedIn(
                    Vehicle("acme", f"VIN{number}"),
                    CheckIn("1.0", NOW, campaigns=(CampaignStatus(KEPT.sync_id, state),)),
                    NOW,
                )
                for number, state in enumerate(states)
            ]
        )


def test_a_share_is_raised_when_its_time_has_come_and_once():
    scene = Scene()

    assert [scene.tick(at).percent for at in (0, 59, 60, 61, 3599, 3600)] == [5, 5, 50, 50, 50, 100]
    acts = [(act.action, act.actor, act.details["percent"]) for act in scene.audit.acts]
    assert acts == [("campaign.stage", "system", "50"), ("campaign.stage", "system", "100")]


def test_a_stage_stops_by_itself_when_too_many_refuse():
    scene = Scene()
    scene.answer(running=8, refused=1)
    halted = scene.tick(60)

    assert halted.percent == 5
    assert halted.state is State.RUNNING
    assert halted.halted.startswith("1 of 9 vehicles refuse it, more than 10 %")
    assert scene.tick(3600).percent == 5
    assert [act.action for act in scene.audit.acts] == ["campaign.halt"]


def test_few_refusals_stop_nothing():
    scene = Scene()
    scene.answer(running=9, refused=1)

    assert scene.tick(60).percent == 50


def test_whoever_was_quicker_is_not_undone():
    scene = Scene()
    for kept in scene.registry.plan.changes(0).campaigns:
        scene.plan.put(kept)
    service = Service(scene.registry.plan, scene.audit)
    service.stage(KEPT, 70, actor="user:boss", now_ns=NOW)

    scene.staging.tick(NOW + 60 * S)  # from what it knew before

    found = scene.registry.plan.campaign("acme", "c")
    assert found is not None
    assert found.percent == 70
