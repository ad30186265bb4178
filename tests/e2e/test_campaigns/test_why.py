"""Why a campaign brings nothing, nobody has to guess: the vehicle says it, at its own door and by the cloud."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import Program, run, until
from tests.e2e.test_campaigns.documents import BRAKE, TORQUE, Drive
from tests.e2e.test_campaigns.stand import CampaignCloud, campaign_agent

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

CAR = "PUZZLING"
# The bus has this signal, and nobody ever sends it.
SILENT = "Vehicle.Airbag.CollisionIntensity"
DRIVE_S = 300  # longer than anybody asks


def campaign(name: str, expression: str, *, interval_ms: int = 0, **more: Any) -> dict[str, Any]:
    scheme = {"expression": expression, "minimumTriggerIntervalMs": interval_ms}
    return {
        "name": name,
        "collectionScheme": {"conditionBasedCollectionScheme": scheme},
        "signalsToCollect": [{"name": TORQUE, "dataPartitionId": "later"}]
        if "dataPartitions" in more
        else [{"name": TORQUE}],
        **more,
    }


LATER = {
    "id": "later",
    "storageOptions": {
        "maximumSize": {"value": 1, "unit": "MB"},
        "storageLocation": "later",
        "minimumTimeToLive": {"value": 1, "unit": "DAYS"},
    },
    "uploadOptions": {"expression": f"$variable.`{BRAKE}` > 10000"},
}
CAMPAIGNS = (
    campaign("silent", f"$variable.`{SILENT}` > 1 && $variable.`{TORQUE}` > 0"),
    campaign("half-true", f"$variable.`{TORQUE}` > 0 && $variable.`{BRAKE}` > 9000"),
    campaign("patient", f"$variable.`{TORQUE}` > 0", interval_ms=3_600_000),
    campaign(
        "spent",
        f"$variable.`{TORQUE}` > 0",
        interval_ms=500,
        fairway={"budget": {"maxBytes": 600}},
    ),
    campaign("closed", f"$variable.`{TORQUE}` > 0", interval_ms=500, dataPartitions=[LATER]),
)


@dataclass(frozen=True)
class Car:
    """A vehicle that drives, and the cloud that has ordered its campaigns."""

    cloud: CampaignCloud
    agent: Program

    def cli(self, *words: str) -> str:
        config = self.agent.log.parent / "edge-agent.toml"
        return run("edge-agent", "campaign", *words, "--config", config).stdout

    def why(self, name: str) -> tuple[dict[str, Any], str]:
        """Return the facts that the vehicle tells, once both doors tell the same; and its sentences."""
        facts = json.loads(self.cli("why", name, "--json"))
        said = self.cloud.ask("GET", f"/v1/vehicles/{CAR}/campaigns/{name}/why")
        assert said["state"] == "succeeded", said
        assert shape(said["answer"]["sentences"]) == shape(facts["sentences"])
        text = self.cli("why", name)
        assert text.startswith(f"{name} ({name}@")
        assert shape(text.splitlines()[1:]) == shape(facts["sentences"])
        return facts, text


def shape(sentences: list[str]) -> list[str]:
    """Return sentences without the numbers, which go on while one asks twice."""
    return [re.sub(r"-?[\d.]+(e-\d+)?", "N", one.strip()) for one in sentences]


@pytest.fixture(scope="module")
def car(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Car]:
    folder = tmp_path_factory.mktemp("why")
    cloud = CampaignCloud(folder)
    agent: Program | None = None
    try:
        cloud.start()
        agent = drives(cloud, cloud.add_vehicle(CAR))
        for document in CAMPAIGNS:
            cloud.run_campaign(document, CAR)
        agent.start()
        for document in CAMPAIGNS:
            cloud.until_running(document["name"], CAR)
        yield Car(cloud, agent)
    finally:
        if agent is not None:
            agent.close()
        cloud.program.close()


def drives(cloud: CampaignCloud, folder: Path) -> Program:
    """Return the agent of a car with a steady torque and a foot on the brake."""
    drive = Drive(folder)
    for step in range(DRIVE_S * 10):
        drive.add(step * 100_000_000, TORQUE, 100)
        drive.add(step * 100_000_000 + 7_000_000, BRAKE, 7500)
    return campaign_agent(
        folder,
        url=f"grpcs://127.0.0.1:{cloud.grpc_port}",
        log=drive.write(folder / "drive.log"),
        databases=drive.databases,
        speed="1.0",
        more=f'[signals]\noverlays = ["{drive.overlay}"]\n[campaigns]\ncheck_in_interval_s = 1\n',
    )


def trigger(facts: dict[str, Any]) -> dict[str, Any]:
    (found,) = [one for one in facts["engine"]["conditions"] if one["purpose"] == "trigger"]
    assert isinstance(found, dict)
    return found


def test_it_names_the_signal_that_never_came(car: Car):
    facts, text = car.why("silent")

    assert facts["engine"]["missing"] == [SILENT]
    assert f"it asks for what has not come yet: {SILENT}" in text
    assert f"it waits for a first sample of {SILENT}" in text
    assert facts["status"]["triggers"] == 0


def test_it_names_the_part_of_the_condition_that_is_not_true(car: Car):
    facts, text = car.why("half-true")

    assert trigger(facts)["culprits"] == [f"$variable.`{BRAKE}` > 9000"]
    assert f"because of $variable.`{BRAKE}` > 9000" in text
    values = {one["name"]: one["value"] for one in trigger(facts)["inputs"]}
    assert values == {TORQUE: 100.0, BRAKE: 7500.0}
    assert f"{BRAKE} is 7500.0" in text
    assert "it waits for its condition to become true" in text


def test_it_names_the_interval_that_has_not_passed(car: Car):
    facts, text = car.why("patient")

    assert trigger(facts)["is_true"]
    left = re.search(r"it waits for its minimum interval: ([\d.]+) s more", text)
    assert left is not None, text
    assert 3_600 - DRIVE_S < float(left[1]) < 3_600
    assert facts["engine"]["next_trigger_ns"] - facts["engine"]["now_ns"] > 3_000 * 1_000_000_000
    assert facts["engine"]["would_send"][TORQUE] > 0  # and what it would send then


def test_it_names_the_budget_that_is_exhausted(car: Car):
    until("the end of the budget", lambda: "nothing of it is sent now" in car.cli("why", "spent"))

    facts, text = car.why("spent")

    spent, limit = facts["budget"]["campaign"]["total"]
    assert 0 < spent <= limit == 600
    assert f"the campaign may send 600 bytes in all and has sent {spent}" in text
    assert facts["status"]["held_back_bytes"] > 0
    held = car.cloud.standing("spent", CAR)
    until("word of it", lambda: car.cloud.standing("spent", CAR)["held_back_bytes"] > 0)
    assert held["sent_bytes"] <= 600


def test_it_names_the_partition_that_is_closed(car: Car):
    until("a partition with something", lambda: " 0 batches" not in car.cli("why", "closed"))

    _, text = car.why("closed")

    assert re.search(
        rf"partition later is closed: \d+ batches of \d+ bytes wait until \$variable.`{BRAKE}` > 10000 is true",
        text,
    )
    assert re.search(r"upload of later: .* was not true", text)
    assert f"because of $variable.`{BRAKE}` > 10000" in text


def test_a_campaign_that_nobody_has_is_answered_with_those_there_are(car: Car):
    said = run(
        *("edge-agent", "campaign", "why", "nobody", "--config"),
        car.agent.log.parent / "edge-agent.toml",
        check=False,
    )
    listed = car.cli("list")

    assert said.returncode != 0
    for document in CAMPAIGNS:
        assert document["name"] in said.stderr
        assert f"{document['name']}  RUNNING" in listed
