"""A campaign goes to a quarter of a fleet, then to all of it; to nobody more when too many refuse it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

import fleet_cloud.cli
from fleet_cloud.campaigns.stages import turn_percent
from tests.e2e.programs import until
from tests.e2e.test_campaigns.control_line import ControlLine, Judge, refuses, runs
from tests.e2e.test_campaigns.stand import CampaignCloud

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

FLEET = [f"CAR-{number:02}" for number in range(20)]
BEAT: dict[str, Any] = {
    "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 10_000}},
    "signalsToCollect": [{"name": "Vehicle.Speed"}],
}
ALL = {"query": 'id != "somebody-else"'}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignCloud]:
    one = CampaignCloud(tmp_path_factory.mktemp("fleet"))
    try:
        one.start()
        for vehicle in FLEET:
            words = ["vehicle", "add", vehicle, "--out", str(one.folder / vehicle)]
            assert fleet_cloud.cli.main([*words, *map(str, one.options)]) == 0
        time.sleep(1.5)  # the promise: its doors know a vehicle within a second
        yield one
    finally:
        one.program.close()


def start(cloud: CampaignCloud, name: str, *, then_after_s: int) -> None:
    """Start a campaign for a quarter of the fleet, and for all of it so many seconds later."""
    stages = [{"percent": 25, "after_s": 0}, {"percent": 100, "after_s": then_after_s}]
    wish = {"campaign": {"name": name, **BEAT}, "target": ALL, "stages": stages}
    cloud.ask("POST", "/v1/campaigns", wish)
    cloud.ask("POST", f"/v1/campaigns/{name}/approve", key=cloud.approver)
    cloud.ask("POST", f"/v1/campaigns/{name}/start")


def first_of(name: str) -> set[str]:
    """Return the vehicles whose turn comes first."""
    first = {vehicle for vehicle in FLEET if turn_percent(name, vehicle) < 25}
    assert 3 <= len(first) <= 7, "another name: this one's dice are no quarter"
    return first


def told(cloud: CampaignCloud, name: str, state: str) -> int:
    return int(cloud.campaign(name)["vehicles"][state])


def test_a_quarter_of_the_fleet_runs_it_first_then_all_and_nobody_is_taken_out(
    cloud: CampaignCloud,
):
    name, first = "careful", first_of("careful")
    with ExitStack() as stack:
        lines = open_lines(cloud, stack, runs)
        start(cloud, name, then_after_s=15)  # enough for a busy machine to see the first

        until("the first quarter", lambda: told(cloud, name, "running") == len(first))
        assert {one for one in FLEET if name in lines[one].campaigns} == first
        assert cloud.campaign(name)["percent"] == 25
        until("the whole fleet", lambda: told(cloud, name, "running") == len(FLEET))

        assert cloud.campaign(name)["percent"] == 100
        assert all(name in line.campaigns for line in lines.values())
        for line in lines.values():
            had_it = [name in {one.campaign.name for one in said.campaigns} for said in line.lists]
            assert had_it == sorted(had_it), "it was taken out of a vehicle again"
        cloud.ask("DELETE", f"/v1/campaigns/{name}")
        until("nobody", lambda: not any(name in line.campaigns for line in lines.values()))


def test_it_goes_to_nobody_more_when_too_many_refuse_until_somebody_raises_it(
    cloud: CampaignCloud,
):
    name, first = "refused", first_of("refused")
    with ExitStack() as stack:
        lines = open_lines(cloud, stack, refuses)
        start(cloud, name, then_after_s=3)

        until("its end by itself", lambda: cloud.campaign(name)["halted"] is not None)
        halted = cloud.campaign(name)["halted"]
        assert "refuse it, more than 10 %" in halted
        until("all answers", lambda: told(cloud, name, "refused") == len(first))
        time.sleep(4)  # the second stage is due now
        assert cloud.campaign(name)["percent"] == 25
        assert {one for one in FLEET if name in lines[one].campaigns} == first
        statuses = cloud.ask("GET", f"/v1/campaigns/{name}/vehicles")["vehicles"]
        assert {one["vehicle"]: one["reason"] for one in statuses} == dict.fromkeys(
            first, "there is no such signal here"
        )

        cloud.ask("POST", f"/v1/campaigns/{name}/stage", {"percent": 100})

        until("the whole fleet", lambda: told(cloud, name, "refused") == len(FLEET))


def open_lines(cloud: CampaignCloud, stack: ExitStack, judge: Judge) -> Mapping[str, ControlLine]:
    lines = {
        vehicle: ControlLine(cloud.folder / vehicle, cloud.grpc_port, judge) for vehicle in FLEET
    }
    for line in lines.values():
        stack.callback(line.close)
    return lines
