"""The agent as a program with campaigns: what is ordered is enacted, and what is collected survives."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fairway.campaign.document import campaign_of, sync_id
from fairway.control import CampaignList, CampaignOrder, CheckIn
from fairway.telemetry import CampaignEvent, Outcome, SealedBatch
from tests.certificates import Authority
from tests.edge_agent.agents import VEHICLE, Agent, drive, end_all, write_log
from tests.grpc_cloud import GrpcCloud

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

OFTEN: dict[str, object] = {
    "name": "often",
    "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 500}},
    "signalsToCollect": [{"name": "can0.MOTION.Speed"}],
    "spoolingMode": "TO_DISK",
}
FAST: dict[str, object] = {
    "name": "fast",
    "collectionScheme": {
        "conditionBasedCollectionScheme": {
            "expression": "$variable.`can0.MOTION.Speed` > 300",
            "triggerMode": "RISING_EDGE",
        }
    },
    "signalsToCollect": [{"name": "can0.MOTION.*"}, {"name": "can0.BATTERY.Voltage"}],
}


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[GrpcCloud]:
    made = GrpcCloud(Authority(tmp_path / "pki"), has_control=True)
    await made.start()
    yield made
    await end_all()
    await made.stop()


def agent(
    folder: Path, cloud: GrpcCloud, *documents: dict[str, object], **settings: object
) -> Agent:
    car = Agent(folder / VEHICLE, cloud.authority, cloud.port, **settings)
    names = []
    for document in documents:
        path = car.folder / f"{document['name']}.json"
        path.write_text(json.dumps(document))
        names.append(path.name)
    with (car.folder / "agent.toml").open("a") as file:
        file.write(f"[campaigns]\nfiles = {json.dumps(names)}\n")
    return car


async def until(done, within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not done():
            await asyncio.sleep(0.01)


def events(cloud: GrpcCloud, document: dict[str, object]) -> list[CampaignEvent]:
    id_ = sync_id(campaign_of(document))
    return [
        event
        for sealed in cloud.sealed
        if sealed.campaign is not None and sealed.campaign.sync_id == id_
        for event in sealed.campaign.events
    ]


async def test_documents_of_its_own_run_over_a_log_without_any_order(
    tmp_path: Path, cloud: GrpcCloud
):
    car = agent(tmp_path, cloud, OFTEN, FAST)
    write_log(car.folder / "drive.log", drive(4000))  # 20 s

    await car.start("--until-drained")
    code, summary, said = await car.ended()

    assert code == 0, said
    often = events(cloud, OFTEN)
    assert len(often) == 39
    assert {b.time_ns - a.time_ns for a, b in itertools.pairwise(often)} == {500_000_000}
    assert sum(event.samples for event in often) > 1000
    assert len(events(cloud, FAST)) > 10
    assert summary["waiting_batches"] == 0


async def test_a_campaign_is_in_force_within_a_second_of_its_order(
    tmp_path: Path, cloud: GrpcCloud
):
    car = agent(tmp_path, cloud, replay='[replay]\nlog = "drive.log"\nspeed = 1.0')
    write_log(car.folder / "drive.log", drive(6000))
    await car.start()
    await until(lambda: any(isinstance(one, CheckIn) for one in cloud.said))
    await until(lambda: bool(cloud.batches))

    campaign = campaign_of(OFTEN)
    began_s = time.monotonic()
    cloud.orders.put_nowait(CampaignList(5, (CampaignOrder(sync_id(campaign), campaign),)))
    await until(
        lambda: any(isinstance(one, CheckIn) and one.campaigns_revision == 5 for one in cloud.said)
    )
    enacted_s = time.monotonic() - began_s
    await until(lambda: bool(events(cloud, OFTEN)))

    assert enacted_s < 1.0
    await car.kill()


async def test_what_was_collected_survives_kill_9_and_is_sent_in_order(
    tmp_path: Path, cloud: GrpcCloud
):
    cloud.judge = lambda sealed: None if sealed.campaign is not None else Outcome.STORED
    car = agent(tmp_path, cloud, OFTEN, replay='[replay]\nlog = "drive.log"\nspeed = 4.0')
    write_log(car.folder / "drive.log", drive(20_000))
    await car.start()
    folder = car.folder / "spool" / "campaigns"
    await until(lambda: sum(path.stat().st_size for path in folder.glob("*/_/*.seg")) > 20_000)
    await car.kill()

    cloud.judge = lambda _: Outcome.STORED
    await car.start()
    await until(lambda: len(events(cloud, OFTEN)) > 10)

    first = [sealed.name for sealed in cloud.sealed if sealed.campaign is not None]
    assert [name.sequence for name in first] == list(range(1, len(first) + 1))
    assert len({name.stream for name in first}) == 1
    await car.kill()


async def test_a_budget_holds_over_kill_9(tmp_path: Path, cloud: GrpcCloud):
    thrifty = OFTEN | {"name": "thrifty", "fairway": {"budget": {"maxBytes": 3000}}}
    car = agent(tmp_path, cloud, thrifty, replay='[replay]\nlog = "drive.log"\nspeed = 8.0')
    write_log(car.folder / "drive.log", drive(20_000))
    sent: list[int] = []

    def judge(sealed: SealedBatch) -> Outcome:
        if sealed.campaign is not None:
            sent.append(len(sealed.columns))
        return Outcome.STORED

    cloud.judge = judge
    for number in range(1, 4):
        await car.start()
        await until(lambda number=number: len(sent) >= number or _is_held_back(cloud))
        await car.kill()

    assert 0 < sum(sent) <= 3000


def _is_held_back(cloud: GrpcCloud) -> bool:
    last = [one for one in cloud.said if isinstance(one, CheckIn)][-1:]
    return any(status.held_back_bytes for one in last for status in one.campaigns)
