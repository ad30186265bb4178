"""Vehicles get their certificates: real programs, a real token's and a real TPM's software."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.fake_wall import FakeWall
from tests.e2e.programs import Program, run, until
from tests.e2e.scene import EMBEDDED_BROKER, Cloud
from tests.edge_agent.agents import DBC, drive, write_log
from tests.hardware_keys import softhsm, swtpm
from tests.ports import free_port

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

FRAMES = 3000  # 15 s in real time
DAY_S = 86_400

_AGENT = """\
[vehicle]
id = "{vehicle}"
[identity]
folder = "identity"
[[bus]]
name = "can0"
databases = ["car.dbc"]
[replay]
log = "drive.log"
speed = {speed}
[telemetry]
collect = "all"
interval_ms = 0
on_change = false
batch_max_samples = 100
[spool]
dir = "spool"
[uplink]
{url}
"""


class Line:
    """A cloud, a claim of a production line, and the head units that come from it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        broker = EMBEDDED_BROKER.format(port=free_port(), program="any")
        self.cloud = Cloud(folder, broker)
        stack.callback(self.cloud.program.close)
        self.cloud.start()
        self.claim = folder / "claim"
        self.command("claim", "create", "line-4", "--vehicles", "NOBODY", "--out", self.claim)

    def command(self, *words: str | Path) -> str:
        """Run a command of the operator."""
        return run("fleet-cloud", *words, *self.cloud.options).stdout

    def allow(self, vehicle: str) -> None:
        """Have the claim enrol a vehicle, once more."""
        self.command("claim", "allow", "line-4", "--vehicles", vehicle)

    def unit(self, vehicle: str, name: str = "") -> "Unit":
        """Return a head unit that came from the line."""
        return Unit(self, vehicle, self.folder / (name or vehicle), self._stack)

    def audited(self, action: str, vehicle: str) -> bool:
        """Whether an act was written down."""
        found = self.command(
            "audit", "list", "--action", action, "--object", f"vehicle:{vehicle}", "--json"
        )
        return bool(found.strip())

    def certificates(self, vehicle: str) -> list[str]:
        """Return the states of a vehicle's certificates, the newest first."""
        rows = json.loads(self.command("vehicle", "certificates", vehicle, "--json"))
        return [row["state"] for row in rows]


class Unit:
    """One head unit."""

    def __init__(self, line: Line, vehicle: str, folder: Path, stack: ExitStack) -> None:
        self.line, self.vehicle, self.folder, self._stack = line, vehicle, folder, stack
        folder.mkdir()
        (folder / "car.dbc").write_text(DBC)
        write_log(folder / "drive.log", drive(FRAMES))
        self.configure()

    def configure(self, *, speed: str = '"max"', url: str = "") -> None:
        """Write the agent's settings."""
        text = _AGENT.format(vehicle=self.vehicle, speed=speed, url=f'url = "{url}"' if url else "")
        (self.folder / "agent.toml").write_text(text)

    def enrol(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Ask for a certificate."""
        config = self.folder / "agent.toml"
        claim = self.line.claim
        return run(
            "edge-agent",
            "enroll",
            "--claim",
            claim,
            "--config",
            config,
            "--json",
            *more,
            check=False,
        )

    def agent(self) -> Program:
        """Return its agent, not started."""
        words = ("--config", self.folder / "agent.toml", "--until-drained", "--json")
        program = Program("edge-agent", "run", *words, log=self.folder / "agent.log")
        self._stack.callback(program.close)
        return program

    def delivers(self) -> dict[str, int]:
        """Run the agent until everything is stored, and return its summary."""
        agent = self.agent().start()
        assert agent.wait(60) == 0, agent.said()
        summary: dict[str, int] = json.loads(agent.said().splitlines()[-1])
        return summary


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with ExitStack() as stack:
        yield Line(tmp_path_factory.mktemp("line"), stack)


def assert_all_stored(summary: dict[str, int]) -> None:
    assert summary["stored"] == summary["batches"] > 0, summary
    assert summary["waiting_batches"] == summary["refused"] == 0


def test_a_claim_enrols_a_vehicle_and_its_telemetry_flows(line: Line):
    line.allow("VIN1")
    unit = line.unit("VIN1")

    done = unit.enrol()
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["vehicle"], facts["region"], facts["tenant"]) == ("VIN1", "local", "default")
    assert (unit.folder / "identity" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert_all_stored(unit.delivers())  # by MQTT, where the cloud said that it is
    assert line.audited("enrolment.issue", "VIN1")


def test_a_claim_is_good_once_and_for_its_list_only(line: Line):
    line.allow("VIN2")
    first, second, stranger = line.unit("VIN2"), line.unit("VIN2", "thief"), line.unit("VIN3")

    assert first.enrol().returncode == 0
    assert first.enrol().returncode == 0  # the answer may have been lost
    again = second.enrol()
    assert (again.returncode, len(again.stderr.splitlines())) == (1, 1)
    assert "used for this vehicle before" in again.stderr
    refused = stranger.enrol()
    assert (refused.returncode, "may not enrol this vehicle" in refused.stderr) == (1, True)
    assert line.audited("claim.reuse", "VIN2")
    assert line.audited("enrolment.deny", "VIN3")
    assert line.certificates("VIN2") == ["active"]


@pytest.mark.parametrize("keeper", ["softhsm", "swtpm"])
def test_a_key_in_hardware_enrols_and_delivers_by_grpc(line: Line, tmp_path: Path, keeper: str):
    vehicle = f"VIN-{keeper}"
    line.allow(vehicle)
    unit = line.unit(vehicle)
    with ExitStack() as stack:
        if keeper == "softhsm":
            key = stack.enter_context(softhsm(tmp_path))("vehicle")
        else:
            key = stack.enter_context(swtpm(tmp_path))(0x81000001)
        done = unit.enrol("--key", key)
        assert done.returncode == 0, done.stderr
        assert not (unit.folder / "identity" / "key.pem").exists()

        assert_all_stored(unit.delivers())  # the cloud's gRPC address was chosen by itself
        unit.configure(url=json.loads(done.stdout)["mqtt_url"])
        refused = run("edge-agent", "run", "--config", unit.folder / "agent.toml", check=False)
    assert refused.returncode == 1
    assert "token or TPM, which the TLS of MQTT cannot use" in refused.stderr


@pytest.mark.parametrize("uplink", ["mqtt_url", "grpc_url"])
def test_a_certificate_is_renewed_under_way_and_no_batch_is_lost(
    line: Line, tmp_path: Path, uplink: str
):
    vehicle = f"VIN-{uplink[:4]}"
    line.allow(vehicle)
    unit = line.unit(vehicle)
    url = json.loads(unit.enrol().stdout)[uplink]
    unit.configure(speed="1.0", url=url)
    before = (unit.folder / "identity" / "certificate.pem").read_bytes()
    wall = FakeWall(tmp_path / "wall")
    wall.set(70 * DAY_S)
    agent = unit.agent()
    agent.environment = wall.environment
    agent.start()

    until("the renewal", lambda: "certificate_renewed" in agent.said())
    assert agent.wait(60) == 0, agent.said()
    summary = json.loads(agent.said().splitlines()[-1])
    assert summary["connections"] == 2
    assert summary["stored"] + summary["duplicate"] >= summary["batches"] > 0
    assert summary["waiting_batches"] == summary["refused"] == summary["lost_samples"] == 0
    assert line.certificates(vehicle) == ["active", "superseded"]
    assert (unit.folder / "identity" / "certificate.pem").read_bytes() != before
    assert line.audited("enrolment.renew", vehicle)


def test_a_replaced_head_unit_waits_for_a_person_and_then_the_old_one_is_cut_off(line: Line):
    line.allow("VIN4")
    old = line.unit("VIN4")
    old.configure(speed="0.2", url=json.loads(old.enrol().stdout)["grpc_url"])
    agent = old.agent().start()
    until("the old one's connection", lambda: "uplink_connected" in agent.said())
    line.allow("VIN4")
    new = line.unit("VIN4", "replacement")

    waits = new.enrol("--hardware-serial", "HU-4711")
    assert (waits.returncode, "has to approve" in waits.stderr) == (1, True)
    (row,) = json.loads(line.command("enrolment", "list", "--state", "pending", "--json"))
    assert (row["vehicle"], row["hardware_serial"]) == ("VIN4", "HU-4711")
    assert line.certificates("VIN4") == ["active"]
    line.command("enrolment", "approve", "VIN4")
    until("the end of the old one", lambda: "uplink_denied" in agent.said(), within_s=30)
    agent.stop()

    assert new.enrol().returncode == 0
    assert_all_stored(new.delivers())
    assert line.certificates("VIN4") == ["active", "revoked"]
    assert "used for this vehicle before" in old.enrol().stderr
    assert line.audited("enrolment.request", "VIN4")


def test_a_rejected_head_unit_never_comes_in_and_a_withdrawn_claim_enrols_nobody(line: Line):
    line.allow("VIN5")
    first = line.unit("VIN5")
    assert first.enrol().returncode == 0
    line.allow("VIN5")
    second = line.unit("VIN5", "rejected")
    second.enrol()
    line.command("enrolment", "reject", "VIN5")

    assert "a person rejected" in second.enrol().stderr
    assert line.certificates("VIN5") == ["active"]
    other = line.folder / "claim-5"
    line.command("claim", "create", "line-5", "--vehicles", "VIN6", "--out", other)
    line.command("claim", "revoke", "line-5")
    unit = line.unit("VIN6")
    refused = run(
        "edge-agent",
        "enroll",
        "--claim",
        other,
        "--config",
        unit.folder / "agent.toml",
        check=False,
    )
    assert (refused.returncode, "withdrawn" in refused.stderr) == (1, True)


def test_a_factory_carries_a_request_and_a_certificate(line: Line):
    unit = line.unit("VIN7")
    config, carried = unit.folder / "agent.toml", unit.folder / "carried"
    enrol = ("edge-agent", "enroll", "--config", config)
    certificate = carried / "certificate.pem"

    run(*enrol, "--csr-out", unit.folder / "vehicle.csr")
    line.command("vehicle", "add", "VIN7", "--csr", unit.folder / "vehicle.csr", "--out", carried)
    assert not (carried / "key.pem").exists()
    run(*enrol, "--certificate", certificate)
    assert_all_stored(unit.delivers())
    line.command("vehicle", "sign", "VIN7", "--csr", unit.folder / "vehicle.csr", "--out", carried)
    run(*enrol, "--certificate", certificate)
    assert line.certificates("VIN7") == ["active", "superseded"]
    other = line.unit("VIN8")
    run("edge-agent", "enroll", "--config", other.folder / "agent.toml", "--csr-out",
        other.folder / "vehicle.csr")  # fmt: skip
    wrong = run(
        "edge-agent", "enroll", "--config", other.folder / "agent.toml", "--certificate",
        certificate, check=False,
    )  # fmt: skip
    assert (wrong.returncode, "for another key" in wrong.stderr) == (1, True)
