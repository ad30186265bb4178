"""`fleet-cloud serve` with an agent of AWS IoT FleetWise: campaigns by REST, a real broker, a stand-in."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.fleetwise_agent import FleetWiseAgent
from tests.fleet_cloud.cli.test_serve import Cloud

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

VIN = "VIN1"
DECODERS = [
    {
        "fullyQualifiedName": "Vehicle.Speed",
        "interfaceId": "1",
        "type": "CAN_SIGNAL",
        "canSignal": {
            "messageId": 291,
            "isBigEndian": True,
            "isSigned": False,
            "startBit": 8,
            "offset": 0.0,
            "factor": 0.01,
            "length": 16,
        },
    },
    {
        "fullyQualifiedName": "Vehicle.Gear",
        "interfaceId": "NAMED",
        "type": "CUSTOM_DECODING_SIGNAL",
        "customDecodingSignal": {"id": "Vehicle.Gear"},
    },
]
NODES = [
    {"sensor": {"fullyQualifiedName": "Vehicle.Speed", "dataType": "DOUBLE"}},
    {"sensor": {"fullyQualifiedName": "Vehicle.Gear", "dataType": "STRING"}},
]
CAMPAIGN = {
    "name": "fast",
    "collectionScheme": {
        "conditionBasedCollectionScheme": {"expression": "$variable.`Vehicle.Speed` > 50"}
    },
    "signalsToCollect": [{"name": "Vehicle.Speed"}, {"name": "Vehicle.Gear"}],
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), "mosquitto")
    config = cloud.folder / "cloud.toml"
    config.write_text(
        config.read_text() + "[campaigns]\nself_approval = true\n[fleetwise]\nenabled = true\n"
    )
    models = cloud.data / "fleetwise"
    models.mkdir(parents=True)
    document = {"name": "car", "decoders": DECODERS, "nodes": NODES}
    (models / "default.json").write_text(json.dumps(document))
    try:
        cloud.start()
        cloud.add(VIN)
        yield cloud
    finally:
        cloud.program.close()


@pytest.fixture
def agent(cloud: Cloud) -> Iterator[FleetWiseAgent]:
    keys: Path = cloud.folder / VIN
    with FleetWiseAgent(
        cloud.port("mqtt"),
        vehicle=VIN,
        ca=keys / "ca.pem",
        certificate=keys / "certificate.pem",
        key=keys / "key.pem",
    ) as agent:
        yield agent


def ask(cloud: Cloud, method: str, path: str, **options: Any) -> Any:
    answer = httpx.request(method, cloud.url("api") + path, headers=cloud.shown(), **options)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


def until(is_so, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_campaign_of_the_api_reaches_an_agent_and_its_events_are_that_campaigns(
    cloud: Cloud, agent: FleetWiseAgent
):
    agent.until(lambda one: one.manifest is not None)
    ask(cloud, "POST", "/v1/campaigns", json={"campaign": CAMPAIGN, "target": {"vehicle": VIN}})
    ask(cloud, "POST", "/v1/campaigns/fast/approve")
    started = ask(cloud, "POST", "/v1/campaigns/fast/start")
    begun = time.monotonic()
    agent.until(lambda one: started["sync_id"] in one.schemes)
    enacted_s = time.monotonic() - begun

    agent.check_in()
    until(lambda: ask(cloud, "GET", "/v1/campaigns/fast")["vehicles"]["running"] == 1)
    rows = cloud.rows()
    # Numbers go by names: Vehicle.Gear is 1, Vehicle.Speed is 2.
    agent.collect(started["sync_id"], [(2, -10, 61.5), (2, 0, 60.0), (1, 0, "D")], dtcs=["P0300"])
    until(lambda: cloud.rows() == rows + 3)
    until(lambda: len(ask(cloud, "GET", "/v1/campaigns/fast/events")["events"]) == 1)

    (event,) = ask(cloud, "GET", "/v1/campaigns/fast/events")["events"]
    assert event["vehicle"] == VIN
    assert event["samples"] == 3
    assert event["dtcs"] == ["P0300"]
    assert enacted_s < 5.0

    ask(cloud, "POST", "/v1/campaigns/fast/suspend")
    agent.until(lambda one: not one.schemes)


def test_a_state_template_of_the_api_is_activated_and_its_values_are_the_vehicles_twin(
    cloud: Cloud, agent: FleetWiseAgent
):
    ask(
        cloud,
        "PUT",
        "/v1/state-templates/drive",
        json={"signals": ["Vehicle.Speed"], "period_ms": 1000},
    )
    agent.until(lambda one: len(one.templates) == 1)
    (template,) = agent.templates.values()
    ask(cloud, "POST", f"/v1/vehicles/{VIN}/state-templates/drive/activate?wait=0", json={})
    request = agent.requests.get(timeout=20)
    agent.answer(request.command_id, status=1)
    agent.report(template.state_template_sync_id, double_value=(2, 33.5))

    until(lambda: ask(cloud, "GET", f"/v1/vehicles/{VIN}/twin")["values"])
    (value,) = ask(cloud, "GET", f"/v1/vehicles/{VIN}/twin")["values"]
    assert (value["signal"], value["value"]) == ("Vehicle.Speed", 33.5)
    until(lambda: ask(cloud, "GET", f"/v1/commands/{request.command_id}")["state"] == "succeeded")
