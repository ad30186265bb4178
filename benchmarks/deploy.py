"""From a campaign's start to the vehicle's word that it runs: the whole way, with both programs, on loopback.

    POST /v1/campaigns/NAME/start > plan > door > agent: durable, in force > check-in > registry > GET: healthy

It is a time for people, so it has no peer: the goal is a second.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.report import Row
from tests.e2e.test_campaigns.stand import CampaignCloud, campaign_agent
from tests.edge_agent.agents import DBC

DOORS = {"mqtt": "MQTT", "grpc": "gRPC"}
GOAL_S = 1
# As often as it is asked whether it runs: the figure is that much too large at most.
LOOK_S = 0.005
VEHICLE = "BENCH"


def run() -> list[Row]:
    """Deploy over both doors, one campaign after the other."""
    times = int(os.environ.get("FAIRWAY_BENCH_DEPLOYS", "20"))
    rows = []
    for door, words in DOORS.items():
        with tempfile.TemporaryDirectory(prefix="fairway-bench-") as name:
            took_s = _deploys(Path(name), door, times)
        for what, result in (("median", statistics.median(took_s)), ("worst", max(took_s))):
            ours = f"{result * 1000:.0f} ms"
            rows.append(
                Row(
                    f"deploy to enacted, {words}, {what} of {times}",
                    ours,
                    "-",
                    result,
                    f"<= {GOAL_S}",
                    "s",
                )
            )
    return rows


def _deploys(folder: Path, door: str, times: int) -> list[float]:
    cloud = CampaignCloud(folder)
    try:
        cloud.start()
        url = (
            f"mqtts://localhost:{cloud.mqtt_port}"
            if door == "mqtt"
            else f"grpcs://localhost:{cloud.grpc_port}"
        )
        car = cloud.add_vehicle(VEHICLE)
        (car / "car.dbc").write_text(DBC)
        (car / "parked.log").write_text("(0.000000) can0 100#0000000000000000\n")
        agent = campaign_agent(
            car, url=url, log=car / "parked.log", databases={"can0": car / "car.dbc"}
        )
        agent.start()
        try:
            _deploy(cloud, "warm-up")
            return [_deploy(cloud, f"deploy-{number}") for number in range(times)]
        finally:
            agent.close()
    finally:
        cloud.program.close()


def _deploy(cloud: CampaignCloud, name: str) -> float:
    """Return how long it took from a campaign's start until its vehicle runs it, and take it away again."""
    document = {
        "name": name,
        "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 10_000}},
        "signalsToCollect": [{"name": "can0.MOTION.Speed"}],
    }
    cloud.ask("POST", "/v1/campaigns", {"campaign": document, "target": {"vehicle": VEHICLE}})
    cloud.ask("POST", f"/v1/campaigns/{name}/approve", key=cloud.approver)
    begun_s = time.perf_counter()
    cloud.ask("POST", f"/v1/campaigns/{name}/start")
    while cloud.standing(name, VEHICLE).get("status") != "healthy":
        assert time.perf_counter() - begun_s < 60, "the vehicle does not run it"
        time.sleep(LOOK_S)
    took_s = time.perf_counter() - begun_s
    cloud.ask("DELETE", f"/v1/campaigns/{name}")
    return took_s
