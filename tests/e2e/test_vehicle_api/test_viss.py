"""VISS before a real agent that replays a real Tesla drive: TLS, both versions, one set of tokens with gRPC."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.certificates import Authority
from tests.e2e.test_vehicle_api.cars import Car, car_of

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture
def pki(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
def car(tmp_path: Path, pki: Authority) -> Iterator[Car]:
    """Start an agent with a socket for gRPC and TLS for VISS."""
    server = pki.server()
    door = f'viss = "127.0.0.1:{{viss_port}}"\ncertificate = "{server.certificate}"\nkey = "{server.key}"'
    with car_of(tmp_path, door=door) as made:
        yield made


@contextmanager
def connected(car: Car, pki: Authority, version: str, scope: str) -> Iterator[Any]:
    with connect(
        f"wss://localhost:{car.viss_port}",
        ssl=ssl.create_default_context(cafile=pki.ca),
        subprotocols=[version],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Bearer {car.issuer.token(scope, seconds=600)}"},
        proxy=None,
    ) as socket:
        yield socket


def ask(socket: Any, action: str, **more: Any) -> Any:
    socket.send(json.dumps({"action": action, "requestId": action} | more))
    while (said := json.loads(socket.recv(20)))["action"] == "subscription":
        pass
    return said


def test_a_drive_is_told_by_every_filter(car: Car, pki: Authority):
    with connected(car, pki, "VISSv3", "read:Vehicle.Speed") as socket:
        change = {"variant": "change", "parameter": {"logic-op": "ne", "diff": "0"}}
        opened = ask(socket, "subscribe", path="Vehicle.Speed", filter=change)
        told = [json.loads(socket.recv(20)) for _ in range(5)]
        assert {one["subscriptionId"] for one in told} == {opened["subscriptionId"]}
        speeds = [float(one["data"]["dp"]["value"]) for one in told]
        assert all(a != b for a, b in pairwise(speeds))
        assert "error" not in ask(socket, "unsubscribe", subscriptionId=opened["subscriptionId"])
        past = ask(
            socket, "get", path="Vehicle.Speed", filter={"variant": "history", "parameter": "PT1M"}
        )
        remembered = [float(point["value"]) for point in past["data"]["dp"]]
        assert set(speeds[:-1]) <= set(remembered)
        curve = {"variant": "curvelog", "parameter": {"maxerr": "1", "bufsize": "20"}}
        ask(socket, "subscribe", path="Vehicle.Speed", filter=curve)
        points = json.loads(socket.recv(30))["data"]["dp"]
        assert 2 <= len(points) <= 20
        speed = ask(socket, "get", path="Vehicle", filter={"variant": "metadata", "parameter": "0"})
        assert speed["metadata"]["Vehicle"]["children"]["Speed"]["unit"] == "km/h"
        assert ask(socket, "get", path="Vehicle.Cabin.DogMode")["error"]["number"] == "403"


def test_version_2_and_its_refusals(car: Car, pki: Authority):
    with connected(car, pki, "VISSv2", "read actuate") as socket:
        refused = ask(socket, "set", path="Vehicle.Speed", value="1")["error"]
        assert (refused["number"], refused["reason"]) == (401, "read_only")
        nobody = ask(socket, "set", path="Vehicle.Body.Mirrors.DriverSide.Tilt", value="5")["error"]
        assert (nobody["number"], nobody["reason"]) == (503, "service_unavailable")
        ask(socket, "subscribe", path="Vehicle.Speed")
        assert json.loads(socket.recv(20))["data"]["path"] == "Vehicle.Speed"
    with (
        pytest.raises((ssl.SSLError, OSError)),
        connect(f"wss://localhost:{car.viss_port}", ssl=ssl.create_default_context(), proxy=None),
    ):
        pass
