"""What a dry run predicts is what the live run then sends: triggers exactly, bytes within 5 %."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import run
from tests.e2e.test_campaigns.stand import CampaignCloud, campaign_agent
from tests.shared_data import shared

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

BYTES_OFF_MAX = 0.05

STEERING = "$variable.`can0.STEER_ANGLE_SENSOR.STEER_ANGLE`"
WHEEL = "$variable.`can0.WHEEL_SPEEDS.WHEEL_SPEED_FL`"
SECONDS = "$variable.`can1.TD.Seconds`"
LINING = "$variable.`can1.EBC4.Brake_Lining_Remaining__Rear_Axl5`"


def condition(name: str, expression: str, *names: str, **more: Any) -> dict[str, Any]:
    scheme = {
        "expression": expression,
        "minimumTriggerIntervalMs": 1000,
        "triggerMode": more.pop("mode", "ALWAYS"),
    }
    return {
        "name": name,
        "collectionScheme": {"conditionBasedCollectionScheme": scheme},
        "signalsToCollect": [{"name": one, "maxSampleCount": 100} for one in names],
        **more,
    }


def beat(*names: str) -> dict[str, Any]:
    return {
        "name": "beat",
        "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 10_000}},
        "signalsToCollect": [{"name": one} for one in names],
        "fairway": {"batchMaxSamples": 20_000},
    }


@dataclass(frozen=True)
class Drive:
    """A recorded drive, and campaigns that have something to do on it."""

    log: str
    bus: str
    database: str
    campaigns: tuple[dict[str, Any], ...]


DRIVES = {
    "RAV4": Drive(
        "edge/rav4_comma2k19/rav4_2017_comma2k19_seg40.candump.log.xz",
        "can0",
        "can/dbc/opendbc/toyota_new_mc_pt_generated.dbc",
        (
            condition(
                "left-and-slower",
                f"{STEERING} < -1 && rate({WHEEL}) < 0",
                *("can0.WHEEL_SPEEDS.*", "can0.STEER_ANGLE_SENSOR.STEER_ANGLE"),
                mode="RISING_EDGE",
                postTriggerCollectionDuration=500,
            ),
            condition(
                "uneven",
                f"last_window_max({WHEEL}) - last_window_min({WHEEL}) > 0.5",
                "can0.WHEEL_SPEEDS.WHEEL_SPEED_FL",
                spoolingMode="TO_DISK",
            ),
            beat("can0.WHEEL_SPEEDS.*"),
        ),
    ),
    "TRUCK": Drive(
        "can/logs/css-electronics/j1939-truck-a.candump.log.xz",
        "can1",
        "can/dbc/canmatrix/j1939.dbc",
        (
            condition(
                "half-past",
                f"{SECONDS} >= 120 && {SECONDS} < 140",
                *("can1.TD.Seconds", "can1.AIR1.*"),
                mode="RISING_EDGE",
            ),
            condition(
                "worn",
                f"held({LINING} > 100, 2 s)",
                "can1.EBC4.*",
                postTriggerCollectionDuration=1500,
                fairway={"batchMaxSamples": 500},
            ),
            beat("can1.EEC2.*"),
        ),
    ),
}


@pytest.fixture
def cloud(tmp_path: Path, socket_enabled: None) -> Iterator[CampaignCloud]:
    one = CampaignCloud(tmp_path)
    one.start()
    yield one
    one.program.close()


def predicted(folder: Path, drive: Drive) -> dict[str, Any]:
    files: list[str | Path] = []
    for document in drive.campaigns:
        file = folder / f"{document['name']}.json"
        file.write_text(json.dumps(document))
        files += ["--campaign", file]
    done = run(
        *("edge-agent", "campaign", "dry-run", *files, "--log", shared(drive.log)),
        *("--dbc", f"{drive.bus}={shared(drive.database)}", "--json"),
    )
    return {one["campaign"]: one for one in json.loads(done.stdout)}


def lived(cloud: CampaignCloud, folder: Path, drive: Drive) -> None:
    """Have a vehicle hear of its campaigns while it is parked, and then drive."""
    parked_log = folder / "parked.log"
    parked_log.write_text(f"(0.000000) {drive.bus} 7FF#00\n")
    url, databases = f"grpcs://127.0.0.1:{cloud.grpc_port}", {drive.bus: shared(drive.database)}
    parked = campaign_agent(folder, url=url, log=parked_log, databases=databases).start()
    try:
        for document in drive.campaigns:
            cloud.until_running(document["name"], folder.name)
        assert parked.stop() == 0
    finally:
        parked.close()
    driving = campaign_agent(
        folder,
        url=url,
        log=shared(drive.log),
        databases=databases,
        arguments=("--until-drained",),
    )
    driving.start()
    try:
        assert driving.wait(120) == 0, driving.said()
    finally:
        driving.close()


@pytest.mark.parametrize("vehicle", DRIVES)
def test_a_vehicle_sends_what_was_predicted(cloud: CampaignCloud, tmp_path: Path, vehicle: str):
    drive = DRIVES[vehicle]
    promises = predicted(tmp_path, drive)
    folder = cloud.add_vehicle(vehicle)
    for document in drive.campaigns:
        cloud.run_campaign(document, vehicle)

    lived(cloud, folder, drive)

    for name, promise in promises.items():
        assert promise["triggers"] > 3, f"{name}: a drive without triggers proves nothing"
        told, brought = cloud.standing(name, vehicle), cloud.campaign(name)["progress"]
        assert (brought["events"], brought["samples"]) == (promise["triggers"], promise["samples"])
        assert (told["triggers"], told["samples"]) == (promise["triggers"], promise["samples"])
        for sent_bytes in (brought["received_bytes"], told["sent_bytes"]):
            assert sent_bytes == pytest.approx(promise["bytes"], rel=BYTES_OFF_MAX), name
        print(f"{vehicle} {name}: {promise['triggers']} triggers, {promise['samples']} samples,"
              f" {promise['bytes']} bytes predicted, {brought['received_bytes']} received")  # fmt: skip
