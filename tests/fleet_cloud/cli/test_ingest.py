"""Two `fleet-cloud ingest` share Mosquitto, PostgreSQL and two ClickHouse servers; one of each is killed."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import fleet_cloud.cli
from fairway.clock import SystemClock
from fairway.identity import DEFAULT_TENANT
from fairway.telemetry import Outcome
from fairway.topics import down_telemetry, up_telemetry
from fairway.wire.telemetry import receipts_from_bytes
from fleet_cloud.adapters.broker_child import find_program
from fleet_cloud.adapters.broker_mosquitto import access_rules, mosquitto_access, mosquitto_config
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.telemetry_store import open_store
from tests.clickhouse import clickhouse_servers
from tests.e2e.programs import Program, until
from tests.fleet_cloud.ingest.desk import DICTIONARY_BYTES, STREAM, batch_bytes
from tests.mqtt_client import MqttClient
from tests.ports import free_port
from tests.postgres import postgres_server

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled"), pytest.mark.timeout(300)]

VEHICLE = "VIN1"
PER_FAULT = 60
BATCHES = 5 * PER_FAULT


class Site:
    """Servers that somebody else runs, and two ingest processes between them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.postgres = stack.enter_context(postgres_server())
        self.stores = stack.enter_context(clickhouse_servers(2))
        self.port = free_port()
        self.pki = FilePki(folder / "data" / "pki")
        self.pki.ensure([], SystemClock().now_ns())
        self.start_broker()
        stack.callback(self.kill_broker)
        registry = self.postgres.url()
        self.ingests = []
        self.metrics = []
        config = folder / "none"
        for number in (1, 2):
            port = free_port()
            config = folder / f"ingest-{number}.toml"
            config.write_text(
                'data_dir = "data"\n'
                f'[metrics]\nlisten = "127.0.0.1:{port}"\n'
                '[grpc]\nlisten = "127.0.0.1:0"\n'
                f'[broker]\nmode = "external"\nurl = "mqtts://127.0.0.1:{self.port}"\n'
                'ca = "data/pki/ca.pem"\n'
                'certificate = "data/pki/cloud.pem"\nkey = "data/pki/cloud-key.pem"\n'
                f'[registry]\nurl = "{registry}"\n'
                f"[store]\nurl = {json.dumps([store.url for store in self.stores])}\n"
                f'[ingest]\nname = "ingest-{number}"\n'
            )
            program = Program("fleet-cloud", "ingest", "--config", config, log=folder / config.stem)
            stack.callback(program.close)
            self.ingests.append(program)
            self.metrics.append(port)
        for arguments in (
            ["vehicle", "add", VEHICLE, "--out", folder / VEHICLE],
            ["key", "create", "site", "--role", "admin", "--tenant", "*", "--out", folder / "key"],
        ):
            assert fleet_cloud.cli.main([*map(str, arguments), "--config", str(config)]) == 0
        self.key = (folder / "key").read_text().strip()

    def start_broker(self) -> None:
        """Start Mosquitto as an operator would, without our supervision."""
        access = self.folder / "access"
        access.write_text(mosquitto_access())
        pki = self.pki
        text = mosquitto_config(
            host="127.0.0.1",
            port=self.port,
            folder=self.folder,
            rules=access_rules(access),
            ca=pki.anchors,
            crl=pki.crl,
            certificate=pki.server,
            key=pki.server_key,
            user="root",
            one_client_a_name=False,  # two ingests under one certificate
        )
        (self.folder / "mosquitto.conf").write_text(text)
        self.broker = subprocess.Popen(
            [str(find_program("mosquitto")[1]), "-c", str(self.folder / "mosquitto.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill_broker(self) -> None:
        """End Mosquitto as a power cut would."""
        self.broker.kill()
        self.broker.wait(10)

    def vehicle(self) -> MqttClient:
        """Return the vehicle's own client."""
        keys = self.folder / VEHICLE
        return MqttClient(
            self.port,
            name=VEHICLE,
            ca=keys / "ca.pem",
            certificate=keys / "certificate.pem",
            key=keys / "key.pem",
        )

    def status(self, number: int) -> dict[str, Any]:
        try:
            answer = httpx.get(
                f"http://127.0.0.1:{self.metrics[number]}/v1/ingest",
                headers={"Authorization": f"Bearer {self.key}"},
                timeout=10,
            )
            return answer.json() if answer.status_code == 200 else {}
        except httpx.TransportError:
            return {}

    def start(self, number: int) -> None:
        self.ingests[number].start()

        def is_open() -> bool:
            assert self.ingests[number].is_running, self.ingests[number].said()
            return bool(self.status(number).get("mqtt_connected"))

        until(f"ingest {number}", is_open, within_s=60)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


class Sender:
    """The vehicle's spool, in small: what was not acknowledged is sent again."""

    def __init__(self, client: MqttClient) -> None:
        self.client = client
        self.waiting: dict[int, bytes] = {}

    def send(self, sequences: range) -> None:
        for sequence in sequences:
            self.waiting[sequence] = batch_bytes(sequence)
            self.client.publish(up_telemetry(VEHICLE), self.waiting[sequence])

    def listen(self) -> None:
        """Take the receipts that come."""
        while (heard := self.client.hears(0.3)) is not None:
            for receipt in receipts_from_bytes(heard[1]):
                if receipt.outcome in (Outcome.STORED, Outcome.DUPLICATE):
                    self.waiting.pop(receipt.sequence, None)

    def again(self) -> None:
        """Send what waits again."""
        if self.client.is_connected(10):
            self.client.subscribe(down_telemetry(VEHICLE))
            self.client.publish(up_telemetry(VEHICLE), DICTIONARY_BYTES)
            for data in list(self.waiting.values()):
                self.client.publish(up_telemetry(VEHICLE), data)
        self.listen()


@pytest.mark.slow
def test_every_batch_is_stored_once_by_one_of_two(site: Site):
    site.start(0)
    site.start(1)
    faults: list[list[Callable[[], None]]] = [
        [site.ingests[0].kill],
        [site.kill_broker, site.start_broker],
        [lambda: site.postgres.stop(how="immediate")],
        [site.postgres.start, site.stores[0].kill],
        [site.stores[0].start, lambda: site.start(0)],
    ]
    with site.vehicle() as vehicle:
        sender = Sender(vehicle)
        sender.again()
        sender.send(range(BATCHES + 1, BATCHES + 1 + PER_FAULT))
        sender.listen()
        shares = [site.status(number)["counts"]["batches"] for number in (0, 1)]
        for number, steps in enumerate(faults):
            first = number * PER_FAULT + 1
            sender.send(range(first, first + PER_FAULT // 2))
            for step in steps:
                step()
            sender.send(range(first + PER_FAULT // 2, first + PER_FAULT))
            sender.again()
        deadline = time.monotonic() + 120
        while sender.waiting and time.monotonic() < deadline:
            sender.again()

    assert min(shares) >= PER_FAULT // 4, shares
    said = "\n".join(program.said() for program in site.ingests)
    assert sender.waiting == {}, said
    assert "Traceback" not in said
    store = open_store([server.url for server in site.stores], site.folder)
    assert store.stored(DEFAULT_TENANT, VEHICLE, STREAM, range(1, BATCHES + PER_FAULT + 1)) == set(
        range(1, BATCHES + PER_FAULT + 1)
    )
    assert store.count("default", VEHICLE) == (BATCHES + PER_FAULT) * 3
    store.close()
    assert [site.ingests[number].stop() for number in (0, 1)] == [0, 0]
