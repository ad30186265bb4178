"""KUKSA's own client 0.6, unmodified, before a real agent that replays a real Tesla drive: library and CLI."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from tests.e2e.programs import Program, until
from tests.onboard_apps import Issuer
from tests.ports import free_port
from tests.shared_data import ROOT, missing, shared

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

APP = Path(__file__).with_name("kuksa_app.py")
SETTINGS = """\
[vehicle]
id = "CAR-1"
[[bus]]
name = "vcan0"
databases = ["{data}/it-can.dbc"]
[signals]
catalogs = ["{data}/it-vss_4.0-dogmode.json"]
overlays = ["{data}/it-mapping.vspec"]
[replay]
log = "{data}/it-candump0.log"
speed = 1
[spool]
dir = "data/spool"
[onboard]
keys = ["issuer/apps.pub"]
listen = "tls://127.0.0.1:{port}"
certificate = "{certificate}"
key = "{key}"
"""


@dataclass(frozen=True, slots=True)
class Car:
    folder: Path
    port: int
    ca: Path
    issuer: Issuer
    agent: Program

    def token(self, scope: str) -> Path:
        path = self.folder / "app.token"
        path.write_text(self.issuer.token(scope, seconds=600))
        return path


@pytest.fixture
def car(tmp_path: Path) -> Iterator[Car]:
    """Start an agent that replays the drive in real time, 40 s of it."""
    authority, port = Authority(tmp_path / "pki"), free_port()
    server, issuer = authority.server(), Issuer(tmp_path / "issuer")
    config = tmp_path / "agent.toml"
    config.write_text(
        SETTINGS.format(
            data=shared("edge/tesla_model3"),
            port=port,
            certificate=server.certificate,
            key=server.key,
        )
    )
    agent = Program("edge-agent", "run", "--config", config, log=tmp_path / "agent.log").start()
    until("the door", lambda: not agent.is_running or "onboard_listen" in agent.said())
    yield Car(tmp_path, port, authority.ca, issuer, agent)
    agent.close()


def client(name: str) -> str:
    path = ROOT / ".kuksa" / "bin" / name
    if not path.exists():
        missing("kuksa-client is not here: make .kuksa/ready")
    return str(path)


def used(car: Car, mode: str) -> dict[str, Any]:
    token = car.token("read actuate provide")
    done = subprocess.run(
        [client("python"), APP, mode, str(car.port), token, car.ca],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        cwd=car.folder,
    )
    assert done.returncode == 0, done.stderr + car.agent.said()
    return json.loads(done.stdout.splitlines()[-1])


def test_the_library_gets_sets_subscribes_and_actuates(car: Car):
    seen = used(car, "sync")

    assert seen["server"] == "fairway-edge-agent"
    assert (seen["unit"], seen["types"]) == ("km/h", ["FLOAT", "INT8"])
    assert seen["kinds"] == ["SENSOR", "ACTUATOR"]
    assert len(seen["speeds"]) == 5
    assert all(0 <= speed <= 200 for speed in seen["speeds"])
    assert seen["vin"] == "WVWZZZ1JZXW000001"
    assert (seen["wrong type"], seen["nowhere"]) == (3, 404)
    assert seen["branch"] > 2
    assert (seen["asked"], seen["target"]) == (17, 17)


def test_the_asynchronous_library_does_too(car: Car):
    seen = used(car, "async")

    assert seen["vin"] == "ASYNC"
    assert seen["speed"] is None or 0 <= seen["speed"] <= 200
    assert seen["first"] == ["Vehicle.Speed", "Vehicle.VehicleIdentification.VIN"]
    assert seen["asked"] == -3
    assert "speed" in seen["metadata"].lower()


def test_the_command_line_does_too_and_is_refused_what_its_token_lacks(car: Car):
    token = car.token("read provide:Vehicle.VehicleIdentification")
    commands = """\
getValue Vehicle.Speed
setValue Vehicle.VehicleIdentification.VIN CLI4711
getValue Vehicle.VehicleIdentification.VIN
getMetaData Vehicle.Speed
setTargetValue Vehicle.Body.Mirrors.DriverSide.Tilt 5
subscribe Vehicle.Speed
quit
"""
    done = subprocess.run(
        [
            *(client("kuksa-client"), "--token_or_tokenfile", str(token)),
            *("--cacertificate", str(car.ca), f"grpcs://localhost:{car.port}"),
        ],
        input=commands,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=car.folder,  # it leaves a history behind
    )
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)

    assert "CLI4711" in said, said
    assert "km/h" in said, said
    assert '"code": 403' in said, said
    assert "Traceback" not in said, said
