"""The sample services as plain programs before a real agent that replays a drive: no runtime between them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from edge_agent.samples.front import ask
from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2, val_pb2_grpc
from tests.e2e.drives_with_faults import drive
from tests.e2e.programs import Program, until
from tests.shared_data import ROOT

SAMPLES = ROOT / "edge_agent" / "samples"
SETTINGS = """\
[vehicle]
id = "CAR-1"
[[bus]]
name = "can0"
databases = ["{dbc}/fairway_ev.dbc"]
[signals]
catalogs = ["{dbc}/fairway_vss.json"]
overlays = ["{dbc}/fairway_ev.vspec", "{samples}/battery_health/signals.vspec",
            "{samples}/tyre_pressure/signals.vspec", "{samples}/tyre_pressure/fairway_ev.vspec"]
[telemetry]
collect = "none"
[replay]
log = "drive.log"
speed = 40
[spool]
dir = "data/spool"
[onboard]
listen = "unix:{folder}/battery/agent.sock"
trust_socket = true
"""


@dataclass(frozen=True, slots=True)
class Site:
    """An agent, and a socket folder for each service; one's socket is linked to the other's as a door would."""

    folder: Path
    agent: Program

    def service(self, name: str, sockets: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-u", "-m", f"edge_agent.samples.{name}"],
                env=os.environ
                | {
                    "FAIRWAY_SOCKETS": str(self.folder / sockets),
                    "BATTERY_DATA": str(self.folder),
                    "PYTHONPATH": str(ROOT),
                },
                stdout=log,
                stderr=log,
            )

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def value(self, path: str) -> object:
        with grpc.insecure_channel(
            f"unix:{self.folder}/battery/agent.sock",
            options=[("grpc.default_authority", "localhost")],
        ) as channel:
            request = val_pb2.GetValueRequest(signal_id=types_pb2.SignalID(path=path))
            value = val_pb2_grpc.VALStub(channel).GetValue(request, timeout=10).data_point.value
        kind = value.WhichOneof("typed_value")
        return None if kind is None else getattr(value, kind)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("samples")
    drive(folder / "drive.log", seconds=300, leaks_kpa_per_h={"Row2.Right": 400.0})
    (folder / "battery").mkdir(mode=0o700)
    (folder / "tyres" / "uses" / "battery.health").mkdir(parents=True)
    config = folder / "agent.toml"
    config.write_text(SETTINGS.format(dbc=ROOT / "dbc", samples=SAMPLES, folder=folder))
    agent = Program("edge-agent", "run", "--config", config, log=folder / "agent.log").start()
    made = Site(folder, agent)
    services = list[subprocess.Popen[bytes]]()
    try:
        until("the door", lambda: "onboard_listen" in agent.said() or not agent.is_running)
        services.append(made.service("battery_health", "battery"))
        until("the offer", (folder / "battery" / "battery.health").exists)
        uses = folder / "tyres" / "uses" / "battery.health"
        os.link(folder / "battery" / "battery.health", uses / "sock")
        (uses / "token").write_text("a.b.c")
        os.link(folder / "battery" / "agent.sock", folder / "tyres" / "agent.sock")
        services.append(made.service("tyre_pressure", "tyres"))
        yield made
        for service, name in zip(services, ("battery_health", "tyre_pressure"), strict=True):
            service.terminate()
            assert service.wait(20) == 0, made.said(name)
        assert (folder / "learned.json").exists()
    finally:
        for service in services:
            service.kill()
            service.wait(10)
        agent.close()


def test_the_resistance_of_the_simulated_battery_is_found_on_the_bus(site: Site):
    path = "Vehicle.Private.BatteryHealth.InternalResistance"
    until("a resistance", lambda: site.value(path) is not None, within_s=90)

    until("85 mOhm", lambda: abs(float(str(site.value(path))) - 85.0) < 6.0, within_s=90)
    assert site.value("Vehicle.Private.BatteryHealth.IsLearning") is True
    assert site.value("Vehicle.Private.BatteryHealth.StateOfHealth") is None


def test_the_tyre_that_loses_air_is_found_before_it_is_low(site: Site):
    until(
        "the alarm", lambda: site.value("Vehicle.Private.TyreWatch.IsLeaking") is True, within_s=90
    )

    assert site.value("Vehicle.Private.TyreWatch.Wheel") == "Row2.Right"
    assert 200.0 < float(str(site.value("Vehicle.Private.TyreWatch.LeakRate"))) < 600.0
    assert site.value("Vehicle.Private.TyreWatch.IsLow") is False


def test_one_service_asks_another_over_its_socket(site: Site):
    until("the answer", lambda: "battery.health: parked for" in site.said("tyre_pressure"))

    told = ask(site.folder / "tyres", "battery.health", "/v1/health")
    assert told["parked_s"] >= 0.0
    assert ask(site.folder / "tyres", "battery.health", "/ready") == {"ready": True}
    assert ask(site.folder / "tyres", "battery.health", "/nothing") is None
    assert ask(site.folder / "tyres", "nobody.offers", "/v1/health") is None


def test_an_agent_that_is_killed_and_comes_back_is_waited_for(site: Site):
    path = "Vehicle.Private.BatteryHealth.IsLearning"
    until("a first value", lambda: site.value(path) is not None, within_s=90)

    site.agent.kill()
    site.agent.start()
    (site.folder / "tyres" / "agent.sock").unlink()

    def again() -> bool:
        try:
            return site.value(path) is not None
        except grpc.RpcError:
            return False

    until("a value after the restart", again, within_s=90)
    assert "Traceback" not in site.said("battery_health")
