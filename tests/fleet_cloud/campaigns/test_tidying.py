"""What is forgotten of campaigns, and when."""

from dataclasses import replace

from fairway.control import ExplainCampaign
from fairway.telemetry import CampaignEvent
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.campaigns import tidying
from fleet_cloud.campaigns.plan import Plan
from fleet_cloud.campaigns.tidying import COMMANDS_KEPT_S, TIDY_NS, Tidying
from fleet_cloud.control.aims import Fleets
from fleet_cloud.control.ports import (
    Order,
    Vehicle,
)
from tests.contracts.test_progress import brought, key, store
from tests.fleet_cloud.campaigns.test_staging import KEPT

S = 1_000_000_000
NOW = 1_780_000_000 * S


def test_events_beyond_a_number_and_commands_of_last_month_are_forgotten(monkeypatch):
    monkeypatch.setattr(tidying, "EVENTS_KEPT", 2)
    registry = memory_registry()
    plan = Plan(Fleets(dict))
    plan.put(replace(KEPT, sync_id="c@1"))
    tidy = Tidying(plan, registry.progress, registry.commands)
    why = ExplainCampaign("c")
    expired = NOW - COMMANDS_KEPT_S * S
    for name, expires_ns in (("old", expired - 1), ("new", expired)):
        registry.commands.add_command(
            Order(name, Vehicle("acme", "VIN1"), why, "user:x", 1, expires_ns)
        )
    tidy.tick(NOW)
    assert registry.commands.command(None, "old") is None
    assert registry.commands.command(None, "new") is not None

    for number in range(1, 5):
        event = CampaignEvent(number, NOW + number * S, 1)
        store(registry, {key(number): brought(event)})
    tidy.tick(NOW + TIDY_NS - 1)
    assert len(registry.progress.events("acme", "c@1")) == 4
    tidy.tick(NOW + TIDY_NS)
    assert [one.id for one in registry.progress.events("acme", "c@1")] == [4, 3]
