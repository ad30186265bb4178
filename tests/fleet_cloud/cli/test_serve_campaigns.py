"""`fleet-cloud serve` with campaigns: documents go to vehicles over both doors, and what they say is shown."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import grpc
import httpx
import pytest

from fairway.control import (
    Answer,
    AnswerState,
    CampaignList,
    CampaignState,
    CampaignStatus,
    Catalogue,
    CatalogueWanted,
    CheckIn,
    Command,
    ExplainCampaign,
    FromVehicle,
    ToVehicle,
)
from fairway.samples import Signal, SignalTable
from fairway.topics import down_control, up_control
from fairway.wire.control import from_vehicle_to_bytes, to_vehicle_from_bytes
from fairway.wire.telemetry import dictionary_of
from tests.fleet_cloud.cli.test_serve import Cloud

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

CONTROL = "/fairway.v1.ControlService/Control"
DOCUMENT = {
    "name": "speed",
    "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 10_000}},
    "signalsToCollect": [{"name": "Vehicle.Speed"}],
}


class MqttWay:
    """A vehicle at the broker."""

    def __init__(self, cloud: Cloud, vehicle: str) -> None:
        self._vehicle = vehicle
        self._client = cloud.mqtt(vehicle)
        self._client.__enter__()
        assert self._client.is_connected(20)
        assert self._client.subscribe(down_control(vehicle))

    def say(self, noun: FromVehicle) -> None:
        self._client.publish(up_control(self._vehicle), from_vehicle_to_bytes(noun))

    def hear(self, within_s: float = 20.0) -> ToVehicle | None:
        heard = self._client.hears(within_s)
        return None if heard is None else to_vehicle_from_bytes(heard[1])

    def close(self) -> None:
        self._client.__exit__()


class GrpcWay:
    """A vehicle with a stream of its own."""

    def __init__(self, cloud: Cloud, vehicle: str) -> None:
        keys = cloud.folder / vehicle
        credentials = grpc.ssl_channel_credentials(
            *((keys / name).read_bytes() for name in ("ca.pem", "key.pem", "certificate.pem"))
        )
        self._said: Queue[bytes | None] = Queue()
        self._heard: Queue[bytes] = Queue()
        self._channel = grpc.secure_channel(f"127.0.0.1:{cloud.port('grpc')}", credentials)
        stream: Any = self._channel.stream_stream(CONTROL)
        self._call = stream(iter(self._said.get, None))
        self._call.add_done_callback(lambda _: self._said.put(None))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for data in self._call:
                self._heard.put(data)
        except grpc.RpcError:
            return

    def say(self, noun: FromVehicle) -> None:
        self._said.put(from_vehicle_to_bytes(noun))

    def hear(self, within_s: float = 20.0) -> ToVehicle | None:
        try:
            return to_vehicle_from_bytes(self._heard.get(timeout=within_s))
        except Empty:
            return None

    def close(self) -> None:
        self._call.cancel()
        self._channel.close()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder: Path = tmp_path_factory.mktemp("cloud")
    cloud = Cloud(folder, "mosquitto")
    config = folder / "cloud.toml"
    config.write_text(config.read_text() + "[campaigns]\nself_approval = true\n")
    try:
        cloud.start()
        yield cloud
    finally:
        cloud.program.close()


def ask(cloud: Cloud, method: str, path: str, **options: Any) -> Any:
    answer = httpx.request(method, cloud.url("api") + path, headers=cloud.shown(), **options)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


@pytest.mark.parametrize("way", [MqttWay, GrpcWay])
def test_a_started_campaign_reaches_its_vehicle_at_once_and_its_word_is_shown(
    cloud: Cloud, way: Any
):
    vehicle = f"{way.__name__}1"
    cloud.add(vehicle)
    line = way(cloud, vehicle)
    name = f"speed-{vehicle}"
    catalogue = dictionary_of(SignalTable((Signal("Vehicle.Speed"), Signal(vehicle))))
    line.say(CheckIn("1.0", 1, catalogue_id=catalogue.id))
    assert line.hear() == CatalogueWanted()
    line.say(Catalogue(catalogue))
    wish = {"campaign": {**DOCUMENT, "name": name}, "target": {"vehicle": vehicle}}
    ask(cloud, "POST", "/v1/campaigns", json=wish)
    ask(cloud, "POST", f"/v1/campaigns/{name}/approve")

    started = ask(cloud, "POST", f"/v1/campaigns/{name}/start")
    told = line.hear()

    assert isinstance(told, CampaignList)
    (order,) = told.campaigns
    assert (order.sync_id, order.campaign.name) == (started["sync_id"], name)
    status = CampaignStatus(order.sync_id, CampaignState.RUNNING, triggers=3)
    line.say(CheckIn("1.0", 2, told.revision, (status,), catalogue.id))
    until_shown(cloud, name, {"running": 1})
    ask(cloud, "POST", f"/v1/campaigns/{name}/suspend")
    paused = line.hear()
    assert isinstance(paused, CampaignList)
    assert paused.revision > told.revision
    assert [order.is_suspended for order in paused.campaigns] == [True]
    assert why(cloud, line, vehicle, name) == {"waits_for": "resume"}
    line.close()


def why(cloud: Cloud, line: MqttWay | GrpcWay, vehicle: str, name: str) -> Any:
    """Ask a vehicle over the API, answer as the vehicle, and return what the API says."""
    told: list[Any] = []
    path = f"/v1/vehicles/{vehicle}/campaigns/{name}/why"
    asking = threading.Thread(target=lambda: told.append(ask(cloud, "GET", path, timeout=30)))
    asking.start()
    command = line.hear()
    assert isinstance(command, Command)
    assert command.what == ExplainCampaign(name)
    because = json.dumps({"waits_for": "resume"})
    line.say(Answer(command.id, AnswerState.SUCCEEDED, 0, "it is suspended", because))
    asking.join()
    if told[0]["state"] == "open":  # this machine was too busy for the answer to come in time
        deadline = time.monotonic() + 20
        while told[-1]["state"] == "open" and time.monotonic() < deadline:
            told.append(ask(cloud, "GET", f"/v1/commands/{command.id}"))
    return told[-1]["answer"]


def until_shown(cloud: Cloud, name: str, states: dict[str, int]) -> None:
    deadline = time.monotonic() + 20
    while True:
        shown = ask(cloud, "GET", f"/v1/campaigns/{name}")["vehicles"]
        if {state: count for state, count in shown.items() if count} == states:
            return
        assert time.monotonic() < deadline, shown
        time.sleep(0.02)
