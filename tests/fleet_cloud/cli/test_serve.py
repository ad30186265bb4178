"""`fleet-cloud serve` as a program: vehicles send over both doors, and parts of it are killed."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

import fleet_cloud.cli
from fairway.telemetry import Outcome, Receipt
from fairway.topics import client_id, down_telemetry, up_telemetry
from fairway.wire.telemetry import receipts_from_bytes
from tests.e2e.programs import Program, children_of, run, until
from tests.fleet_cloud.ingest.desk import DICTIONARY_BYTES, batch_bytes
from tests.mqtt_client import MqttClient

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


class Cloud:
    """A cloud in a folder of its own, and what its vehicles need."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        config = folder / "cloud.toml"
        config.write_text(
            '[api]\nlisten = "127.0.0.1:0"\n[grpc]\nlisten = "127.0.0.1:0"\n'
            f'[broker]\nlisten = "127.0.0.1:0"\nprogram = "{broker}"\n'
        )
        self.args: list[str | Path] = ["--config", config, "--data", self.data]
        self.program = Program("fleet-cloud", "serve", *self.args, log=folder / "log")

    def start(self) -> None:
        self.program.start()
        until("the cloud", lambda: "metrics" in self._new_words() or not self.program.is_running)
        assert self.program.is_running, self.program.said()
        self.program.log.write_bytes(b"")

    def _new_words(self) -> str:
        return self.program.log.read_text()

    def url(self, name: str) -> str:
        return json.loads((self.data / "endpoints.json").read_text())[name]

    def port(self, name: str) -> int:
        return int(self.url(name).rpartition(":")[2])

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url("api") + path, headers=self.shown())

    def shown(self) -> dict[str, str]:
        """What an administrator shows."""
        return {"Authorization": f"Bearer {(self.data / 'admin-key').read_text().strip()}"}

    def counts(self) -> dict[str, int]:
        return self.get("/v1/ingest").json()["counts"]

    def rows(self) -> int:
        return self.get("/v1/ingest").json()["stored"]["rows"]

    def add(self, vehicle: str) -> None:
        assert self.command("vehicle", "add", vehicle, "--out", self.folder / vehicle) == 0
        time.sleep(1.0)  # the promise: within a second

    def command(self, *arguments: str | Path) -> int:
        """Run a command beside the running cloud: in this process, which has everything loaded."""
        return fleet_cloud.cli.main([*map(str, arguments), *map(str, self.args)])

    def mqtt(self, vehicle: str) -> MqttClient:
        keys = self.folder / vehicle
        return MqttClient(
            self.port("mqtt"),
            ca=keys / "ca.pem",
            certificate=keys / "certificate.pem",
            key=keys / "key.pem",
            name=client_id(vehicle),
        )

    def grpc_send(self, vehicle: str, *data: bytes) -> list[Receipt]:
        keys = self.folder / vehicle
        credentials = grpc.ssl_channel_credentials(
            *((keys / name).read_bytes() for name in ("ca.pem", "key.pem", "certificate.pem"))
        )
        with grpc.secure_channel(f"127.0.0.1:{self.port('grpc')}", credentials) as channel:
            call: Any = channel.stream_stream("/fairway.v1.IngestService/Telemetry")
            responses = call(iter(data), timeout=20)
            return [r for response in responses for r in receipts_from_bytes(response)]


@pytest.fixture(params=["mosquitto", "nats-server"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path, request.param)
    cloud.start()
    yield cloud
    cloud.program.close()


@pytest.fixture(scope="module")
def shared_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One cloud for the tests that leave it running."""
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), "mosquitto")
    cloud.start()
    yield cloud
    cloud.program.close()


def send(vehicle: MqttClient, name: str, *data: bytes, answers: int) -> list[Receipt]:
    """Publish `data` and return the receipts, `answers` of them."""
    vehicle.subscribe(down_telemetry(name))
    for item in data:
        vehicle.publish(up_telemetry(name), item)
    receipts: list[Receipt] = []
    while len(receipts) < answers:
        heard = vehicle.hears(20)
        assert heard is not None, f"only {receipts}"
        receipts += receipts_from_bytes(heard[1])
    return receipts


def outcomes(receipts: list[Receipt]) -> list[tuple[int, Outcome]]:
    return sorted((receipt.sequence, receipt.outcome) for receipt in receipts)


def test_batches_become_rows_once_although_everything_is_killed(cloud: Cloud):
    cloud.add("VIN1")
    with cloud.mqtt("VIN1") as vehicle:
        assert vehicle.is_connected()
        first = send(vehicle, "VIN1", DICTIONARY_BYTES, batch_bytes(1), batch_bytes(2), answers=2)
        assert outcomes(first) == [(1, Outcome.STORED), (2, Outcome.STORED)]

        broker = children_of(cloud.program.pid, cloud_broker(cloud))[0]
        os.kill(broker, signal.SIGKILL)
        until("the broker's death", lambda: not vehicle.is_connected(0))
        until("the new broker", lambda: vehicle.is_connected(1))
        until("the door", lambda: cloud.get("/v1/ingest").json()["mqtt_connected"])
        second = send(vehicle, "VIN1", batch_bytes(2), batch_bytes(3), answers=2)
        assert outcomes(second) == [(2, Outcome.DUPLICATE), (3, Outcome.STORED)]

        cloud.program.kill()
        cloud.start()
        until("the connection", lambda: vehicle.is_connected(1))
        until("the door", lambda: cloud.get("/v1/ingest").json()["mqtt_connected"])
        third = send(vehicle, "VIN1", batch_bytes(3), batch_bytes(4), answers=2)
        assert outcomes(third) == [(3, Outcome.DUPLICATE), (4, Outcome.STORED)]

    over_grpc = cloud.grpc_send("VIN1", batch_bytes(4), batch_bytes(5))
    assert outcomes(over_grpc) == [(4, Outcome.DUPLICATE), (5, Outcome.STORED)]
    assert cloud.rows() == 5 * 3
    assert cloud.program.stop() == 0


def cloud_broker(cloud: Cloud) -> str:
    return "nats-server" if "nats-server" in (cloud.folder / "cloud.toml").read_text() else "mosq"


def test_the_broker_ends_with_a_killed_cloud(tmp_path: Path):
    cloud = Cloud(tmp_path, "mosquitto")
    cloud.start()
    broker = children_of(cloud.program.pid, "mosq")[0]

    cloud.program.kill()

    until("the broker's end", lambda: not Path(f"/proc/{broker}").exists())


def test_ctrl_c_ends_everything_in_order_although_somebody_listens(tmp_path: Path):
    cloud = Cloud(tmp_path, "mosquitto")
    cloud.start()
    with httpx.stream("GET", cloud.url("api") + "/v1/live", headers=cloud.shown()) as feed:
        begun = time.monotonic()
        cloud.program.interrupt()
        told = b"".join(feed.iter_bytes())

    assert cloud.program.wait(20) == 0
    assert time.monotonic() - begun < 1.8  # uvicorn gives listeners two seconds
    assert told.startswith(b"retry: 5000\n\n")
    assert "child_died" not in cloud.program.said()
    assert "broker_lost" not in cloud.program.said()


def test_garbage_is_kept_counted_and_changes_nothing(shared_cloud: Cloud):
    shared_cloud.add("GARBAGE")
    before, rows = shared_cloud.counts(), shared_cloud.rows()
    with shared_cloud.mqtt("GARBAGE") as vehicle:
        assert vehicle.is_connected()
        own = batch_bytes(1, vehicle="GARBAGE")
        receipts = send(vehicle, "GARBAGE", b"\xffnonsense", DICTIONARY_BYTES, b"", own, answers=1)
    with pytest.raises(grpc.RpcError) as failed:
        shared_cloud.grpc_send("GARBAGE", b"\xff\xff\xff")

    assert outcomes(receipts) == [(1, Outcome.STORED)]
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert shared_cloud.counts()["unreadable"] == before["unreadable"] + 3
    listing = shared_cloud.get("/v1/quarantine").json()
    assert listing["kept"] == 3
    oldest = listing["entries"][-1]
    payload = shared_cloud.get(f"/v1/quarantine/{oldest['id']}/payload")
    assert payload.content == b"\xffnonsense"
    assert shared_cloud.rows() == rows + 3
    assert "Traceback" not in shared_cloud.program.said()


def test_only_registered_vehicles_get_in_and_removed_ones_are_out_at_once(shared_cloud: Cloud):
    shared_cloud.add("GONE")
    own = [batch_bytes(number, vehicle="GONE") for number in (1, 2)]
    assert outcomes(shared_cloud.grpc_send("GONE", DICTIONARY_BYTES, own[0]))
    rows = shared_cloud.rows()

    assert shared_cloud.command("vehicle", "remove", "GONE") == 0
    time.sleep(1.0)  # the promise: within a second

    with pytest.raises(grpc.RpcError) as denied:
        shared_cloud.grpc_send("GONE", own[1])
    assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED
    with shared_cloud.mqtt("GONE") as vehicle:
        vehicle.subscribe(down_telemetry("GONE"))
        vehicle.publish(up_telemetry("GONE"), own[1])
        assert vehicle.hears(1.0) is None
    assert shared_cloud.rows() == rows


def test_a_client_without_a_certificate_does_not_reach_the_grpc_door(shared_cloud: Cloud):
    ca = (shared_cloud.data / "pki" / "ca.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(ca)
    with grpc.secure_channel(f"127.0.0.1:{shared_cloud.port('grpc')}", credentials) as channel:
        call: Any = channel.stream_stream("/fairway.v1.IngestService/Telemetry")

        with pytest.raises(grpc.RpcError) as failed:
            list(call(iter([DICTIONARY_BYTES]), timeout=5))

    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_second_cloud_in_the_same_directory_is_refused(shared_cloud: Cloud):
    second = run("fleet-cloud", "serve", *shared_cloud.args, check=False)

    assert second.returncode == 1
    assert "another fleet-cloud serve runs" in second.stderr
    assert "Traceback" not in second.stderr


def test_the_fleet_is_listed_for_people_and_machines(
    shared_cloud: Cloud, capsys: pytest.CaptureFixture[str]
):
    shared_cloud.add("LISTED")
    assert shared_cloud.command("vehicle", "add", "LISTED") == 1
    assert "registered already" in capsys.readouterr().err
    assert shared_cloud.command("vehicle", "add", "fairway-cloud") == 1
    assert "reserved" in capsys.readouterr().err

    assert shared_cloud.command("vehicle", "list", "--json") == 0
    listed = {vehicle["id"]: vehicle["state"] for vehicle in json.loads(capsys.readouterr().out)}
    assert listed["LISTED"] == "active"
    assert shared_cloud.command("vehicle", "list") == 0
    assert "LISTED" in capsys.readouterr().out
    assert (shared_cloud.folder / "LISTED" / "key.pem").stat().st_mode & 0o777 == 0o600
