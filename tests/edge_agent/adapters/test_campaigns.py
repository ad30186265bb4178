"""Campaigns in a running agent: from the list to the events in the cloud."""

from pathlib import Path

from fairway.control import CampaignList, CampaignState, CatalogueWanted
from tests.edge_agent.adapters.campaign_rig import (
    BRAKE,
    TABLE,
    Cloud,
    config,
    every,
    order,
    rig,
    when,
)


async def test_a_campaign_from_the_cloud_runs_and_its_events_arrive(tmp_path: Path):
    braking = order(when("$variable.`Vehicle.Brake` == true"))
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(braking)

        agent.drive(50.0, 49.0)
        agent.drive(1.0, signal=BRAKE)
        agent.drive(48.0)
        await agent.until(lambda: bool(agent.cloud.events()))

    (sealed, block), *_ = agent.cloud.batches
    assert sealed.campaign is not None
    assert sealed.campaign.sync_id == braking.sync_id
    assert [value for _, _, value in block.rows()] == [50.0, 49.0]


async def test_the_vehicle_checks_in_when_it_connects_and_when_what_it_runs_has_changed(
    tmp_path: Path,
):
    often = order(every(1000))
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        (first,) = agent.cloud.check_ins()
        await agent.run_campaigns(often)

    assert (first.campaigns_revision, first.campaigns) == (0, ())
    (status,) = agent.cloud.check_ins()[-1].campaigns
    assert (status.sync_id, status.state) == (often.sync_id, CampaignState.RUNNING)


async def test_a_campaign_that_cannot_run_here_is_refused_with_a_sentence(tmp_path: Path):
    odd = order(when("custom_function('nobody_knows', 1) == 2"))
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        agent.say(CampaignList(7, (odd,)))
        await agent.until(lambda: agent.cloud.check_ins()[-1].campaigns_revision == 7)

    (status,) = agent.cloud.check_ins()[-1].campaigns
    assert status.state is CampaignState.REFUSED
    assert "nobody_knows" in status.reason


async def test_the_catalogue_is_sent_when_the_cloud_wants_it(tmp_path: Path):
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        agent.say(CatalogueWanted())
        await agent.until(lambda: bool(agent.cloud.catalogues()))

    (catalogue,) = agent.cloud.catalogues()
    assert catalogue.dictionary.table == TABLE
    assert catalogue.dictionary.id == agent.cloud.check_ins()[0].catalogue_id


async def test_an_older_cloud_without_the_door_is_served_without_campaigns(tmp_path: Path, caplog):
    async with rig(config(tmp_path), has_door=False) as agent:
        await agent.until(lambda: agent.delivery.is_connected)
        await agent.until(
            lambda: "no_campaigns_from_this_cloud" in {one.getMessage() for one in caplog.records}
        )

        assert agent.delivery.is_connected
    assert agent.cloud.check_ins() == []


async def test_campaigns_run_right_after_a_restart_without_a_cloud(tmp_path: Path):
    cloud = Cloud()
    braking = order(when("$variable.`Vehicle.Speed` > 90", spoolingMode="TO_DISK"))
    async with rig(config(tmp_path), cloud) as agent:
        await agent.connected()
        await agent.run_campaigns(braking)

    async with rig(config(tmp_path), cloud) as agent:
        agent.uplink.is_reachable = False
        agent.uplink.cut()
        agent.drive(100.0, 101.0)
        assert agent.parts.statuses.listed()[0]["state"] == "RUNNING"

    async with rig(config(tmp_path), cloud) as agent:
        await agent.until(lambda: bool(cloud.events(braking.sync_id)))
        assert cloud.check_ins()[-1].campaigns[0].triggers >= 1


async def test_a_function_of_the_campaigns_own_decides_and_says_more(tmp_path: Path):
    source = "def invoke(x):\n    return (x > 90, {'Vehicle.Note': f'fast {x:.0f}'})\n"
    noted = order(
        when(
            "custom_function('python', 'note', $variable.`Vehicle.Speed`)",
            fairway={"functions": [{"name": "note", "source": source}]},
            signalsToCollect=[{"name": "Vehicle.Note"}],
        )
    )
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(noted)

        def driven() -> bool:
            agent.drive(100.0)  # its process may not have started yet
            return bool(agent.cloud.batches)

        await agent.until(driven)
        numbers = agent.parts.statuses.numbers()

    rows = list(agent.cloud.batches[0][1].rows())
    assert [(name, value) for name, _, value in rows] == [("Vehicle.Note", "fast 100")]
    assert numbers.function_calls > 0
    assert numbers.states["running"] == 1


async def test_a_campaign_that_comes_with_a_new_text_leaves_the_others_running(tmp_path: Path):
    braking = order(when("$variable.`Vehicle.Brake` == true"))
    fetch = {
        "fullyQualifiedName": "Vehicle.ECU1.DTC_INFO",
        "signalFetchConfig": {"timeBased": {"executionFrequencyMs": 1000}},
        "actions": ['custom_function("DTC_QUERY", -1, 2, -1)'],
    }
    asking = order(every(60_000, "asking", signalsToFetch=[fetch]))
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(braking)
        first = agent.cloud.check_ins()[-1].catalogue_id
        await agent.run_campaigns(braking, asking, revision=2)
        agent.drive(50.0)
        agent.drive(1.0, signal=BRAKE)
        await agent.until(lambda: bool(agent.cloud.events(braking.sync_id)))

    assert agent.cloud.check_ins()[-1].catalogue_id != first
    assert len(agent.cloud.dictionaries) == 1
