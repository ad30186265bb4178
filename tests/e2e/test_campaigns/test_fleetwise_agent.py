"""An agent of AWS IoT FleetWise at our cloud: a real broker, the door, ingest, and a stand-in for the agent."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fairway.campaign.model import (
    Budget,
    Campaign,
    Extensions,
    TimeBased,
)
from fairway.control import (
    ActivateState,
    Answer,
    AnswerState,
    CampaignState,
    CampaignStatus,
    Command,
    ExplainCampaign,
    StateReport,
    StateTemplate,
    StateTemplateList,
    StateValue,
)
from fairway.errors import BadInput, Unavailable
from fairway.samples import Kind
from fleet_cloud.adapters import fleetwise_mqtt
from tests.e2e.fleetwise_site import BRAKE, BRAKE_ID, CLOCK, VIN, Site, manifest, order
from tests.issued import members_by

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    await site.broker.start(members_by(site.keys))
    site.worker.start()
    site.door.start()
    assert await asyncio.to_thread(site.door.wait_connected, 20)
    yield site
    await asyncio.to_thread(site.worker.stop)
    await asyncio.to_thread(site.door.stop)
    await site.broker.stop()
    assert site.died == []


async def test_an_agent_checks_in_is_given_its_documents_and_its_events_become_rows(site: Site):
    site.manifests.give(VIN, manifest())
    site.campaigns.order(VIN, order(BRAKE))

    def act():
        with site.agent() as agent:
            agent.until(lambda one: BRAKE_ID in one.schemes)
            both = agent.schemes[BRAKE_ID].condition_based.condition_tree.node_operator
            assert both.left_child.node_operator.left_child.node_signal_id == 7
            assert [one.signal_id for one in agent.manifest.can_signals] == [7, 9]
            agent.check_in()
            agent.collect(
                BRAKE_ID,
                [(7, -20, 61.5), (8, 5, "REVERSE"), (7, 0, 60.0)],
                dtcs=["P0300"],
                event_time_ms=1_700_000_000_000,
            )
            site.until(lambda: len(site.rows()) == 3)
            site.until(lambda: site.noted().campaigns)
        return site.noted(), site.campaigns.check_in(VIN)[1]  # type: ignore[index] # it is there

    check_in, catalogue = await asyncio.to_thread(act)

    assert sorted(site.rows(), key=lambda row: row[1]) == [
        ("Vehicle.Speed", 1_699_999_999_980_000_000, 61.5),
        ("Vehicle.Speed", 1_700_000_000_000_000_000, 60.0),
        ("Vehicle.Gear", 1_700_000_000_005_000_000, "REVERSE"),
    ]
    assert check_in.campaigns == (CampaignStatus(BRAKE_ID, CampaignState.RUNNING),)
    assert {one.name: one.kind for one in catalogue.table} == {
        "Vehicle.Speed": Kind.NUMBER,
        "Vehicle.Gear": Kind.TEXT,
        "Vehicle.Brake": Kind.BOOL,
    }


async def test_an_event_that_comes_twice_is_stored_once(site: Site):
    site.manifests.give(VIN, manifest())
    site.campaigns.order(VIN, order(BRAKE))

    def act():
        with site.agent() as agent:
            agent.until(lambda one: BRAKE_ID in one.schemes)
            payload = agent.collect(BRAKE_ID, [(7, 0, 1.0)])
            agent.send(payload)
            agent.collect(BRAKE_ID, [(7, 0, 2.0)])
            site.until(lambda: len(site.rows()) == 2)
            agent.send(payload)
            agent.collect(BRAKE_ID, [(7, 0, 3.0)])
            site.until(lambda: len(site.rows()) == 3)

    await asyncio.to_thread(act)

    assert sorted(value for _, _, value in site.rows()) == [1.0, 2.0, 3.0]
    assert len(site.desk.store.inserted) == 3


async def test_an_event_that_the_broker_has_survives_the_end_of_the_door(site: Site):
    site.manifests.give(VIN, manifest())
    site.campaigns.order(VIN, order(BRAKE))

    def act():
        with site.agent() as agent:
            agent.until(lambda one: BRAKE_ID in one.schemes)
            site.door.stop()
            agent.collect(BRAKE_ID, [(7, 0, 42.0)])  # its receipt is the broker's
            time.sleep(0.2)
            assert site.rows() == []
            site.door = site.made_door()
            site.door.start()
            site.until(lambda: len(site.rows()) == 1)

    await asyncio.to_thread(act)

    assert [value for _, _, value in site.rows()] == [42.0]


async def test_an_event_is_not_acknowledged_before_it_is_stored(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    site.manifests.give(VIN, manifest())
    site.campaigns.order(VIN, order(BRAKE))
    append = site.desk.store.append
    is_down = True

    def failing(batches):
        if is_down:
            raise Unavailable("the disk is full")
        append(batches)

    monkeypatch.setattr(site.desk.store, "append", failing)

    def act():
        nonlocal is_down
        with site.agent() as agent:
            agent.until(lambda one: BRAKE_ID in one.schemes)
            agent.collect(BRAKE_ID, [(7, 0, 42.0)])
            time.sleep(1.0)
            # A door that dies now has not said that it is done: the broker sends it again.
            site.door.stop()
            is_down = False
            site.door = site.made_door()
            site.door.start()
            site.until(lambda: len(site.rows()) == 1)

    await asyncio.to_thread(act)

    assert [value for _, _, value in site.rows()] == [42.0]


async def test_what_ingest_is_too_busy_for_is_offered_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fleetwise_mqtt, "STALL_S", 0.05)
    monkeypatch.setattr(fleetwise_mqtt, "AGAIN_NS", 100_000_000)
    site.manifests.give(VIN, manifest())
    site.campaigns.order(VIN, order(BRAKE))
    offers = 0
    offer = site.intake.offer

    def full_at_first(message, *, wait_s=0.0):
        nonlocal offers
        offers += 1
        return offers > 3 and offer(message, wait_s=wait_s)

    monkeypatch.setattr(site.intake, "offer", full_at_first)

    def act():
        with site.agent() as agent:
            agent.until(lambda one: BRAKE_ID in one.schemes)
            agent.collect(BRAKE_ID, [(7, 0, 42.0)])
            site.until(lambda: len(site.rows()) == 1)

    await asyncio.to_thread(act)

    assert offers > 3


async def test_what_cannot_be_read_is_kept_with_the_reason(site: Site):
    site.manifests.give(VIN, manifest())
    site.campaigns.order(VIN, order(BRAKE))
    quarantine = site.desk.registry.quarantine

    def act():
        with site.agent() as agent:
            agent.until(lambda one: BRAKE_ID in one.schemes)
            agent.send(b"\x0a\x05brake")
            agent.schemes["other@1"] = agent.schemes[BRAKE_ID]
            agent.collect(BRAKE_ID, [(7, 0, 1.0), (99, 0, 2.0), (7, 0, "a text")])
            agent.schemes[BRAKE_ID].decoder_manifest_sync_id = "nobody's"
            agent.collect(BRAKE_ID, [(7, 0, 1.0)])
            site.until(lambda: quarantine.count() == 3)
            site.until(lambda: len(site.rows()) == 1)

    await asyncio.to_thread(act)

    reasons = [entry.reason for entry in reversed(quarantine.entries())]
    assert "no sync id of a decoder manifest" in reasons[0]
    assert (
        "1 samples are of signals that the decoder manifest does not have, such as 99" in reasons[1]
    )
    assert "1 samples are no values of their signals, such as one of 7" in reasons[1]
    assert 'the decoder manifest "nobody\'s", which nobody knows' in reasons[2]


async def test_a_campaign_that_agents_cannot_run_is_refused_and_a_suspended_one_is_taken_away(
    site: Site,
):
    dear = Campaign("dear", TimeBased(500), extensions=Extensions(budget=Budget(max_bytes=9)))
    site.manifests.give(VIN, manifest())
    site.campaigns.order(VIN, order(BRAKE), order(dear))

    def act():
        with site.agent() as agent:
            agent.until(lambda one: list(one.schemes) == [BRAKE_ID])
            site.campaigns.order(VIN, order(BRAKE, is_suspended=True), order(dear))
            agent.check_in()
            agent.until(lambda one: not one.schemes)
            agent.check_in()
            site.until(
                lambda: (
                    {one.state for one in site.noted().campaigns}
                    == {CampaignState.SUSPENDED, CampaignState.REFUSED}
                )
            )
        return site.noted()

    check_in = await asyncio.to_thread(act)

    refused = next(one for one in check_in.campaigns if one.state is CampaignState.REFUSED)
    assert "have no budget" in refused.reason


async def test_a_change_reaches_an_agent_at_once_and_a_new_manifest_with_it(site: Site):
    site.manifests.give(VIN, manifest())
    site.campaigns.order(VIN, order(BRAKE))

    def act():
        with site.agent() as agent:
            agent.until(lambda one: BRAKE_ID in one.schemes)
            agent.check_in()
            site.until(lambda: site.noted().campaigns)
            site.manifests.give(VIN, manifest("manifest-2"))
            site.door.changed([VIN, "a vehicle that was never heard of"])
            agent.until(
                lambda one: one.manifest.sync_id == "manifest-2" and BRAKE_ID in one.schemes, 5
            )
            return agent.schemes[BRAKE_ID].decoder_manifest_sync_id

    assert await asyncio.to_thread(act) == "manifest-2"


async def test_state_templates_are_given_activated_reported_and_taken_away(site: Site):
    site.manifests.give(VIN, manifest())
    doors = StateTemplate("drive", ("Vehicle.Speed", "Vehicle.Brake", "Vehicle.None"), 1000)
    site.states.give(VIN, StateTemplateList(1, (doors,)))
    expires_ns = CLOCK.now_ns() + 60_000_000_000

    def act():
        with site.agent() as agent:
            agent.until(lambda one: len(one.templates) == 1)
            (template,) = agent.templates.values()
            assert list(template.signal_ids) == [7, 9]
            assert template.periodic.period_ms == 1000
            site.door.command(VIN, Command("c1", expires_ns, ActivateState("drive", 30)))
            request = agent.requests.get(timeout=10)
            (told,) = request.last_known_state_command.state_template_information
            assert told.activate_operation.deactivate_after_seconds == 30
            assert told.state_template_sync_id == template.state_template_sync_id
            agent.answer("c1", status=1, reason_code=0)
            agent.report(
                template.state_template_sync_id,
                double_value=(7, 12.5),
                boolean_value=(9, True),
                uint8_value=(99, 1),
            )
            site.until(lambda: len(site.states.said(VIN)) == 2)
            agent.check_in()
            site.states.give(VIN, StateTemplateList(2, ()))
            agent.check_in()
            agent.until(lambda one: not one.templates)

    await asyncio.to_thread(act)

    time_ns = 1_700_000_000_000_000_000
    assert site.states.said(VIN) == [
        Answer("c1", AnswerState.SUCCEEDED),
        StateReport(
            "drive",
            (
                StateValue("Vehicle.Speed", time_ns, 12.5),
                StateValue("Vehicle.Brake", time_ns, value=True),
            ),
        ),
    ]


async def test_commands_that_agents_cannot_do_are_refused_with_a_sentence(site: Site):
    later_ns = CLOCK.now_ns() + 60_000_000_000

    with pytest.raises(BadInput, match="do nothing but activate"):
        site.door.command(VIN, Command("c1", later_ns, ExplainCampaign("brake")))
    with pytest.raises(BadInput, match="has no state template drive"):
        site.door.command(VIN, Command("c1", later_ns, ActivateState("drive")))


async def test_a_vehicle_that_is_not_registered_is_told_nothing(site: Site):
    site.manifests.give(VIN, manifest())
    site.tenants.clear()

    def act():
        with site.agent() as agent:
            time.sleep(0.5)
            return agent.manifest

    assert await asyncio.to_thread(act) is None
    assert site.campaigns.check_in(VIN) is None
