"""Velocitas' SDK 0.15, unmodified, before a real agent that replays a Tesla drive: queries and targets."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairway.foreign.kuksa.val.v1 import types_pb2, val_pb2, val_pb2_grpc
from tests.e2e.programs import Program, until
from tests.e2e.test_vehicle_api.cars import Car, car_of
from tests.onboard_apps import bearer, channel
from tests.ports import free_port
from tests.shared_data import ROOT, missing

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

APP = Path(__file__).with_name("velocitas_app.py")
PYTHON = ROOT / ".velocitas" / "bin" / "python"
TILT = "Vehicle.Body.Mirrors.DriverSide.Tilt"


@pytest.fixture
def car(tmp_path: Path) -> Iterator[Car]:
    """Start an agent whose apps connect without TLS, as this SDK does."""
    with car_of(tmp_path, door='listen = "tcp://127.0.0.1:{port}"\nplain = true') as made:
        yield made


@pytest.fixture
def mqtt_port(tmp_path: Path) -> Iterator[int]:
    """Start the broker that the SDK wants to see, whether or not its app says anything there."""
    mosquitto = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if mosquitto is None:
        missing("mosquitto is not installed")
    port, config = free_port(), tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    broker = Program("mosquitto", log=tmp_path / "mosquitto.log")
    broker.arguments = [str(mosquitto), "-c", str(config)]
    broker.start()
    until("the broker", lambda: "running" in broker.said())
    yield port
    broker.close()


def test_an_app_of_velocitas_reads_subscribes_by_queries_and_sets(car: Car, mqtt_port: int):
    if not PYTHON.parents[1].joinpath("ready").exists():
        missing("velocitas-sdk is not here: make .velocitas/ready")
    token = car.issuer.token("read actuate", seconds=600, subject="velocitas")
    done = subprocess.run(
        [PYTHON, APP, token],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ
        | {
            "SDV_VEHICLEDATABROKER_ADDRESS": f"grpc://127.0.0.1:{car.port}",
            "SDV_MQTT_ADDRESS": f"mqtt://127.0.0.1:{mqtt_port}",
        },
    )
    assert done.returncode == 0, done.stderr + car.agent.said()
    seen = json.loads(done.stdout.splitlines()[-1])

    assert len(seen["speeds"]) == 20
    assert 0 <= seen["speed"] <= 200
    assert all(1 <= speed <= 30 for speed in seen["slow"])
    assert all(a != b for a, b in zip(seen["slow"], seen["slow"][1:], strict=False))
    assert seen["fast"] == []
    assert "non-actuator Vehicle.Speed" in seen["sensor"]
    assert "Vehicle.Boat" in seen["nowhere"]
    assert seen["metadata"][0][0] == "Vehicle.Speed"
    with channel(f"tcp://127.0.0.1:{car.port}") as opened:
        entry = val_pb2.EntryRequest(path=TILT, view=types_pb2.VIEW_TARGET_VALUE)
        answer = val_pb2_grpc.VALStub(opened).Get(
            val_pb2.GetRequest(entries=[entry]), metadata=bearer(token)
        )
    assert answer.entries[0].actuator_target.int32 == 17
