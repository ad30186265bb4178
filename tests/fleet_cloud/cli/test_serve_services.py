"""`fleet-cloud serve` with services: an image pushed, a list over both doors, bytes fetched, words shown."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge_agent.adapters.artifact_fetch import Artifacts
from edge_agent.adapters.artifact_grpc import GrpcArtifacts
from edge_agent.adapters.uplink_tls import address
from fairway.control import (
    FORBIDDEN_BY_VEHICLE,
    Answer,
    AnswerState,
    CheckIn,
    Command,
    ExecuteInService,
    FetchServiceLogs,
    ServiceList,
    ServiceStatus,
)
from fairway.services.manifest import service_from_json
from fairway.services.states import State, Sub
from tests.fleet_cloud.cli.test_serve import Cloud
from tests.fleet_cloud.cli.test_serve_campaigns import GrpcWay, MqttWay, ask
from tests.small_image import small_image, write_layout

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

IMAGE = small_image(b"#!/bin/sh\n" + bytes(700_000))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), "mosquitto")
    try:
        cloud.start()
        assert cloud.command("image", "push", write_layout(cloud.folder / "layout", IMAGE)) == 0
        yield cloud
    finally:
        cloud.program.close()


def fetched(cloud: Cloud, vehicle: str, url: str, digest: str, folder: Path) -> bytes:
    """Fetch an artifact as a vehicle does, from where the cloud said, with its own certificate."""
    keys = cloud.folder / vehicle
    where = address(
        url, ca=keys / "ca.pem", certificate=keys / "certificate.pem", key=keys / "key.pem"
    )
    artifacts = Artifacts(folder / "begun", lambda: GrpcArtifacts(where))
    asyncio.run(artifacts.fetch(digest, folder / digest[-9:], most_bytes=10**7))
    return (folder / digest[-9:]).read_bytes()


@pytest.mark.parametrize("way", [MqttWay, GrpcWay])
def test_a_service_reaches_its_vehicle_with_its_image_and_its_word_is_shown(
    cloud: Cloud, way: Any, tmp_path: Path
):
    vehicle = f"{way.__name__}1"
    cloud.add(vehicle)
    line = way(cloud, vehicle)
    manifest = {"name": "tyre-watch", "version": "1.0.0", "image": IMAGE.digest}
    wish = {"manifest": manifest, "vehicle": vehicle}
    line.say(CheckIn("0.5", 1))  # an agent of before: it is told nothing
    made = ask(cloud, "POST", "/v1/services", json=wish)
    line.say(CheckIn("1.0", 1, services_revision=0))
    told = line.hear()

    assert isinstance(told, ServiceList)
    (order,) = told.services
    assert order.sync_id == made["in_force"]["sync_id"]
    assert service_from_json(order.manifest).image == IMAGE.digest
    for digest, data in IMAGE.blobs.items():
        assert fetched(cloud, vehicle, told.artifacts_url, digest, tmp_path) == data

    status = ServiceStatus("tyre-watch", "1.0.0", State.RUNNING, Sub.OK, is_ready=True)
    line.say(CheckIn("1.0", 2, services_revision=told.revision, services=(status,)))
    until_shown(cloud, vehicle, told.revision, ["Running"])
    manifest["version"] = "1.1.0"
    ask(cloud, "POST", "/v1/services", json=wish)
    newer = line.hear()
    assert isinstance(newer, ServiceList)
    assert newer.revision > told.revision
    assert [service_from_json(one.manifest).version for one in newer.services] == ["1.1.0"]
    assert ask(cloud, "DELETE", f"/v1/services/{made['id']}") is None
    empty = line.hear()
    assert isinstance(empty, ServiceList)
    assert empty.services == ()
    line.close()


def test_logs_come_when_asked_and_a_command_inside_is_forbidden_by_the_vehicle(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
):
    cloud.add("VIN7")
    line = GrpcWay(cloud, "VIN7")
    line.say(CheckIn("1.0", 1, services_revision=0))
    where = line.hear()  # images are: releases bring services as well
    assert isinstance(where, ServiceList)
    assert (where.services, where.artifacts_url) == ((), cloud.url("grpc"))
    until_shown(cloud, "VIN7", 0, [])
    at = "/v1/vehicles/VIN7/services/tyre-watch"

    logs = answered(cloud, line, "GET", f"{at}/logs?lines=2", json_={"lines": ["a", "b"]})
    assert logs[0] == FetchServiceLogs("tyre-watch", 2)
    assert logs[1]["answer"] == {"lines": ["a", "b"]}

    refused = httpx.post(
        cloud.url("api") + f"{at}/execute", headers=cloud.shown(), json={"argv": ["/bin/sh"]}
    )
    assert refused.status_code == 403
    capsys.readouterr()
    assert cloud.command("key", "create", "hand", "--role", "service-executor") == 0
    key = next(word for word in capsys.readouterr().out.split() if word.startswith("fwk_"))
    forbidden = answered(
        cloud,
        line,
        "POST",
        f"{at}/execute",
        key=key,
        options={"json": {"argv": ["/bin/ls"]}},
        state=AnswerState.FAILED,
    )
    assert forbidden[0] == ExecuteInService("tyre-watch", ("/bin/ls",))
    assert (forbidden[1]["state"], forbidden[1]["sentence"]) == ("failed", "not here")
    acts = ask(cloud, "GET", "/v1/audit?tenant=default&limit=50")["acts"]
    found = {act["action"]: act for act in acts}
    assert found["vehicle.forbid"]["actor"] == "vehicle:VIN7"
    assert found["vehicle.forbid"]["outcome"] == "denied"
    line.close()


def answered(
    cloud: Cloud,
    line: GrpcWay,
    method: str,
    path: str,
    *,
    key: str = "",
    json_: Any = None,
    options: dict[str, Any] | None = None,
    state: AnswerState = AnswerState.SUCCEEDED,
) -> tuple[Any, Any]:
    """Ask over the API, answer as the vehicle, and return what was asked and what the API says of it."""
    shown = {"Authorization": f"Bearer {key}"} if key else cloud.shown()
    url, told = cloud.url("api"), list[Any]()

    def asking() -> None:
        answer = httpx.request(method, url + path, headers=shown, timeout=30, **(options or {}))
        told.append(answer.json())

    thread = threading.Thread(target=asking)
    thread.start()
    command = line.hear()
    assert isinstance(command, Command)
    code = FORBIDDEN_BY_VEHICLE if state is AnswerState.FAILED else 0
    line.say(Answer(command.id, state, code, "not here", json.dumps(json_) if json_ else ""))
    thread.join()
    deadline = time.monotonic() + 20
    while told[-1]["state"] == "open" and time.monotonic() < deadline:
        told.append(ask(cloud, "GET", f"/v1/commands/{command.id}"))
        time.sleep(0.05)
    return command.what, told[-1]


def until_shown(cloud: Cloud, vehicle: str, revision: int, states: list[str]) -> None:
    deadline = time.monotonic() + 20
    while True:
        shown = ask(cloud, "GET", f"/v1/vehicles/{vehicle}/services")
        found = [one["state"] for one in shown["services"]]
        if (shown["runs_services"], shown["revision"], found) == (True, revision, states):
            return
        assert time.monotonic() < deadline, shown
        time.sleep(0.02)
