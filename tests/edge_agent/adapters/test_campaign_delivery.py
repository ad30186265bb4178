"""What campaigns collected on its way: priorities, partitions, requests, budgets, restarts, clocks."""

from pathlib import Path
from typing import Any

from edge_agent.config_campaigns import Budget, Campaigns
from fairway.clock import NS_PER_S, SystemClock
from fairway.control import AnswerState, CampaignList, CampaignState, Command, UploadPartition
from tests.edge_agent.adapters.campaign_rig import (
    BRAKE,
    Cloud,
    Rig,
    config,
    every,
    order,
    rig,
    when,
)

FAST = "$variable.`Vehicle.Speed` > 90"
GATE = "$variable.`Vehicle.Brake` == true"


def stored(name: str, upload: str | None = None, **more: Any) -> dict[str, object]:
    """Return a campaign that keeps fast speeds in a partition."""
    partition = {
        "id": "bulk",
        "storageOptions": {
            "maximumSize": {"unit": "MB", "value": 10},
            "storageLocation": "bulk",
            "minimumTimeToLive": {"unit": "HOURS", "value": 1},
        },
    }
    if upload is not None:
        partition["uploadOptions"] = {"expression": upload, "conditionLanguageVersion": 1}
    signals = [{"name": "Vehicle.Speed", "dataPartitionId": "bulk"}]
    document = when(FAST, name, dataPartitions=[partition], signalsToCollect=signals)
    return document | {"spoolingMode": "TO_DISK"} | more


def waiting(agent: Rig) -> int:
    return sum(one.waiting for one in agent.parts.partitions.holdings())


def bulk(agent: Rig) -> dict[str, Any]:
    parts = agent.parts.statuses.why("asked")["partitions"]
    (found,) = [one for one in parts if one["partition"] == "bulk"]
    return dict(found)


async def collected(agent: Rig, *speeds: float) -> None:
    """Collect an event for each speed, and wait until it is in its partition."""
    for speed in speeds:
        before = waiting(agent)
        agent.drive(speed)
        await agent.until(lambda before=before: waiting(agent) > before)


async def test_a_closed_partition_keeps_what_it_has_and_sends_it_in_order_once_it_is_open(
    tmp_path: Path,
):
    gated = order(stored("gated", GATE))
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(gated)
        await collected(agent, 100.0, 101.0, 102.0)
        assert agent.cloud.events() == []

        agent.drive(1.0, signal=BRAKE)
        await agent.until(lambda: len(agent.cloud.events()) == 3)

    values = [value for _, block in agent.cloud.batches for _, _, value in block.rows()]
    assert values == [100.0, 101.0, 102.0]
    assert {sealed.campaign.partition for sealed, _ in agent.cloud.batches if sealed.campaign} == {
        "bulk"
    }


async def test_what_waits_is_sent_on_request_and_what_comes_later_is_not(tmp_path: Path):
    asked = order(stored("asked"))
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(asked)
        await collected(agent, 100.0, 101.0)

        later = agent.clock.now_ns() + 60 * NS_PER_S
        agent.say(Command("c1", later, UploadPartition("asked", "bulk")))
        await agent.until(lambda: len(agent.cloud.events()) == 2)
        await agent.until(lambda: waiting(agent) == 0)
        await collected(agent, 102.0)

    assert len(agent.cloud.events()) == 2
    assert [one.state for one in agent.cloud.answers()] == [AnswerState.SUCCEEDED]


async def test_a_request_with_an_end_time_sends_what_was_collected_until_then(tmp_path: Path):
    asked = order(stored("asked"))
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(asked)
        await collected(agent, 100.0)
        end_ns = agent.clock.now_ns()
        await collected(agent, 101.0)

        command = UploadPartition(asked.sync_id, "", end_ns)
        agent.say(Command("c1", end_ns + 60 * NS_PER_S, command))
        await agent.until(lambda: bool(agent.cloud.events()))
        await agent.until(lambda: waiting(agent) == 1)
        # The partition finds at its next turn that nothing before the end is left.
        await agent.until(lambda: not bulk(agent)["is_asked_for"])

        assert [one.samples for one in agent.cloud.events()] == [1]
        assert not bulk(agent)["is_open"]


async def test_a_request_for_nothing_is_refused_with_a_sentence(tmp_path: Path):
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        later = agent.clock.now_ns() + 60 * NS_PER_S
        agent.say(Command("c1", later, UploadPartition("nobody", "bulk")))
        await agent.until(lambda: bool(agent.cloud.answers()))

    (answer,) = agent.cloud.answers()
    assert (answer.state, answer.sentence) == (
        AnswerState.FAILED,
        "nothing waits in the partition bulk of nobody",
    )


async def test_after_an_outage_the_more_important_campaign_is_drained_first(tmp_path: Path):
    low = order(when(FAST, "low", priority=9, spoolingMode="TO_DISK"))
    high = order(when(FAST, "high", priority=1, spoolingMode="TO_DISK"))
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(low, high)
        agent.uplink.is_reachable = False
        agent.uplink.cut()
        for speed in range(100, 140):
            before = waiting(agent)
            agent.drive(float(speed))
            await agent.until(lambda before=before: waiting(agent) >= before + 2)
        agent.uplink.is_reachable = True
        await agent.until(lambda: len(agent.cloud.events()) == 80)

    names = [sealed.campaign.sync_id for sealed, _ in agent.cloud.batches if sealed.campaign]
    assert names == [high.sync_id] * 40 + [low.sync_id] * 40
    for campaign in (high, low):
        sequences = [
            sealed.name.sequence
            for sealed, _ in agent.cloud.batches
            if sealed.campaign and sealed.campaign.sync_id == campaign.sync_id
        ]
        assert sequences == list(range(1, 41))


async def test_a_campaign_that_is_gone_sends_what_it_has_and_leaves_nothing_behind(tmp_path: Path):
    gone = order(when(FAST, "gone", spoolingMode="TO_DISK"))
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(gone)
        agent.uplink.is_reachable = False
        agent.uplink.cut()
        await collected(agent, 100.0)
        await agent.parts.campaigns.order(CampaignList(2, ()))
        agent.drive(120.0)
        agent.uplink.is_reachable = True
        await agent.until(lambda: len(agent.cloud.events(gone.sync_id)) == 1)
        await agent.until(lambda: not list((tmp_path / "spool/campaigns").glob("*/*/terms.json")))

    assert agent.parts.partitions.lanes()[0].rank == 1 << 32


async def test_the_condition_of_a_gone_campaigns_partition_is_still_looked_at(tmp_path: Path):
    gone = order(stored("gone", GATE))
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(gone)
        await collected(agent, 100.0)
        await agent.run_campaigns(revision=2)
        assert waiting(agent) == 1

        agent.drive(1.0, signal=BRAKE)
        await agent.until(lambda: len(agent.cloud.events(gone.sync_id)) == 1)


async def test_a_suspended_campaign_collects_nothing_and_sends_what_waits(tmp_path: Path):
    document = stored("paused", GATE)
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(order(document))
        await collected(agent, 100.0)
        await agent.run_campaigns(order(document, is_suspended=True), revision=2)
        agent.drive(120.0)
        agent.drive(1.0, signal=BRAKE)
        await agent.until(lambda: len(agent.cloud.events()) == 1)

    assert agent.cloud.check_ins()[-1].campaigns[0].state is CampaignState.SUSPENDED


async def test_a_budget_is_never_exceeded_and_what_it_holds_back_is_told(tmp_path: Path):
    thrifty = order(
        when(FAST, "thrifty", spoolingMode="TO_DISK", fairway={"budget": {"maxBytes": 500}})
    )
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(thrifty)
        for speed in range(100, 120):
            agent.drive(float(speed))
        await agent.until(lambda: agent.cloud.check_ins()[-1].campaigns[0].held_back_bytes > 0)
        why = agent.parts.statuses.why("thrifty")

    sent = sum(
        len(sealed.columns) for sealed, _ in agent.cloud.batches if sealed.campaign is not None
    )
    assert 0 < sent <= 500
    status = agent.cloud.check_ins()[-1].campaigns[0]
    assert 0 < status.sent_bytes <= 500
    assert any("may send 500 bytes in all" in text for text in status.warnings)
    assert "may send 500 bytes in all" in why["budget"]["held_back"]
    assert any(text.startswith("nothing of it is sent now") for text in why["sentences"])


async def test_a_lower_campaign_goes_on_while_a_budget_holds_the_higher_one_back(tmp_path: Path):
    high = order(when(FAST, "high", priority=1, fairway={"budget": {"maxBytes": 1}}))
    low = order(when(FAST, "low", priority=9))
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(high, low)
        agent.drive(100.0)
        await agent.until(lambda: len(agent.cloud.events(low.sync_id)) == 1)

    assert agent.cloud.events(high.sync_id) == []


async def test_a_new_day_lets_go_what_the_day_before_held_back(tmp_path: Path):
    clock = _DayClock()
    limit = {"budget": {"maxBytesPerDay": 180}}
    daily = order(when(FAST, "daily", spoolingMode="TO_DISK", fairway=limit))
    async with rig(config(tmp_path), clock=clock) as agent:
        await agent.connected()
        await agent.run_campaigns(daily)
        for speed in range(100, 104):
            agent.drive(float(speed))
        await agent.until(lambda: agent.cloud.check_ins()[-1].campaigns[0].held_back_bytes > 0)
        today = len(agent.cloud.events())

        clock.jump_ns += 86_400 * NS_PER_S
        await agent.until(lambda: len(agent.cloud.events()) > today)


async def test_the_vehicles_own_budget_counts_for_all_of_them(tmp_path: Path):
    settings = config(tmp_path, budget=Budget(max_bytes_per_day=300))
    async with rig(settings) as agent:
        await agent.connected()
        await agent.run_campaigns(order(when(FAST, "one")), order(when(FAST, "two")))
        for speed in range(100, 130):
            agent.drive(float(speed))
        await agent.until(lambda: "" in agent.parts.purse.exhausted or agent.parts.purse.exhausted)

    assert agent.cloud.request_bytes <= 300


async def test_the_budget_outlives_a_restart(tmp_path: Path):
    cloud, limit = Cloud(), {"budget": {"maxBytes": 250}}
    thrifty = order(when(FAST, "thrifty", spoolingMode="TO_DISK", fairway=limit))
    for _ in range(3):
        async with rig(config(tmp_path), cloud) as agent:
            said = len(cloud.check_ins())
            await agent.until(lambda said=said: len(cloud.check_ins()) > said)
            await agent.run_campaigns(thrifty)
            for speed in range(100, 110):
                agent.drive(float(speed))
            await agent.until(lambda: bool(agent.parts.purse.exhausted))

    assert cloud.check_ins()[-1].campaigns[0].sent_bytes <= 250


async def test_too_much_for_the_disk_costs_the_least_important_campaign(tmp_path: Path):
    settings = config(tmp_path, campaigns=Campaigns(max_bytes=1 << 20))
    wide = [{"name": "Vehicle.Speed", "maxSampleCount": 40_000, "dataPartitionId": "bulk"}]
    edge = {"conditionBasedCollectionScheme": {"expression": FAST, "triggerMode": "RISING_EDGE"}}
    more: dict[str, Any] = {"signalsToCollect": wide, "collectionScheme": edge}
    low = order(stored("low", priority=9, **more))
    high = order(stored("high", priority=1, **more))
    async with rig(settings) as agent:
        await agent.connected()
        await agent.run_campaigns(low, high)
        for number in range(12):
            noise = [(n * n * 7919 + number * 104_729) % 99_991 / 1111 for n in range(12_000)]
            agent.drive(*noise, 100.0)
            await agent.parts.partitions.flush()
        held = {one.key.campaign: one for one in agent.parts.partitions.holdings()}
        dropped = {one.sync_id: one.dropped_samples for one in agent.parts.statuses.all()}

    assert held[high.sync_id].waiting > 0
    assert dropped[low.sync_id] > 0
    assert dropped[low.sync_id] >= dropped[high.sync_id]
    assert sum(one.size_bytes for one in held.values()) <= (1 << 20) + (1 << 18)


async def test_a_period_is_kept_in_drive_time_while_the_clock_jumps(tmp_path: Path):
    clock = _DayClock()
    async with rig(config(tmp_path), clock=clock) as agent:
        await agent.connected()
        await agent.run_campaigns(order(every(100)))
        for jump_s in (0, 86_400 * 365, -86_400 * 365, -3600):
            clock.jump_ns += jump_s * NS_PER_S
            before = len(agent.cloud.events())
            for _ in range(3):
                agent.drive(50.0)
                seen = len(agent.cloud.events())
                await agent.until(lambda seen=seen: len(agent.cloud.events()) > seen, within_s=5)
            assert len(agent.cloud.events()) - before < 20


class _DayClock:
    """A clock that runs, and can be set."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self.jump_ns = 0

    def now_ns(self) -> int:
        return self._real.now_ns() + self.jump_ns

    def monotonic_ns(self) -> int:
        return self._real.monotonic_ns()
