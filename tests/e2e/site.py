"""A site as a large operator runs it: Mosquitto, PostgreSQL, two ClickHouse shards, two ingest processes."""

import json
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fairway.clock import SystemClock
from fleet_cloud.adapters.broker_child import find_program
from fleet_cloud.adapters.broker_mosquitto import access_rules, mosquitto_access, mosquitto_config
from fleet_cloud.adapters.pki_files import FilePki
from tests.clickhouse import clickhouse_servers
from tests.e2e.programs import Program, kill_pid, run, until
from tests.e2e.scene import get
from tests.ports import free_port
from tests.postgres import postgres_server
from tests.shared_data import missing

_CLOUD = """\
data_dir = "data"
[api]
listen = "127.0.0.1:{api}"
[metrics]
listen = "127.0.0.1:{metrics}"
[grpc]
enabled = false
[broker]
{broker}
[registry]
url = "{registry}"
[store]
url = {stores}
[ingest]
name = "{name}"
"""

_MOSQUITTO = """\
mode = "external"
url = "mqtts://127.0.0.1:{port}"
ca = "data/pki/ca.pem"
certificate = "data/pki/cloud.pem"
key = "data/pki/cloud-key.pem"
"""


class Site:
    """Servers that somebody else runs, two ingest processes between them, and a process that answers."""

    def __init__(self, folder: Path, stack: ExitStack, vehicles: list[str]) -> None:
        if find_program("mosquitto") is None:
            missing("mosquitto is not here: apt-get install mosquitto (.ci/packages)")
        self.folder = folder
        self.postgres = stack.enter_context(postgres_server())
        self.stores = stack.enter_context(clickhouse_servers(2))
        self._registry = self.postgres.url()
        self._stack = stack
        self.mqtt_port = free_port()
        self._pki = FilePki(folder / "data" / "pki")
        self._pki.ensure([], SystemClock().now_ns())
        self.start_broker()
        stack.callback(self.kill_broker)
        self.metrics = [free_port(), free_port()]
        self.ingests = [self._program(f"ingest-{n + 1}", metrics=self.metrics[n]) for n in (0, 1)]
        api = free_port()
        self.api = f"http://127.0.0.1:{api}"
        self.reader = self._program("reader", api=api)
        made = run("fleet-cloud", "key", "create", "site", "--role", "admin", "--tenant", "*",
                   "--config", folder / "ingest-1.toml")  # fmt: skip
        self.key = made.stdout.strip()
        for vehicle in vehicles:
            run("fleet-cloud", "vehicle", "add", vehicle, "--out", folder / vehicle,
                "--config", folder / "ingest-1.toml")  # fmt: skip

    def _program(self, name: str, *, api: int = 0, metrics: int = 0) -> Program:
        config = self.folder / f"{name}.toml"
        is_reader = api != 0
        config.write_text(
            _CLOUD.format(
                api=api,
                metrics=metrics,
                broker='mode = "none"' if is_reader else _MOSQUITTO.format(port=self.mqtt_port),
                registry=self._registry,
                stores=json.dumps([store.url for store in self.stores]),
                name=name,
            )
        )
        command = "serve" if is_reader else "ingest"
        program = Program(
            "fleet-cloud", command, "--config", config, log=self.folder / f"{name}.log", name=name
        )
        self._stack.callback(program.close)
        return program

    def start_broker(self) -> None:
        """Start Mosquitto as an operator would, without our supervision."""
        access = self.folder / "access"
        access.write_text(mosquitto_access())
        text = mosquitto_config(
            host="127.0.0.1",
            port=self.mqtt_port,
            folder=self.folder,
            rules=access_rules(access),
            ca=self._pki.anchors,
            crl=self._pki.crl,
            certificate=self._pki.server,
            key=self._pki.server_key,
            user="root",
            one_client_a_name=False,  # two ingests under one certificate
        )
        (self.folder / "mosquitto.conf").write_text(text)
        found = find_program("mosquitto")
        assert found is not None
        with (self.folder / "mosquitto.log").open("ab") as out:
            self.broker = subprocess.Popen(
                [str(found[1]), "-c", str(self.folder / "mosquitto.conf")], stdout=out, stderr=out
            )

    def kill_broker(self) -> None:
        """End Mosquitto as a power cut would."""
        self.broker.kill()
        self.broker.wait(10)

    def kill_postgres(self) -> None:
        """End PostgreSQL's postmaster as a crash would, and start it once its orphans are gone."""
        kill_pid(self.postgres.pid)

        def started() -> bool:
            try:
                self.postgres.start()
            except subprocess.CalledProcessError:
                # An unreaped process still bears the number in the lock file of the dead one.
                (self.postgres.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
                return False
            return True

        until("PostgreSQL's return", started, within_s=60)

    def start_ingest(self, number: int) -> None:
        """Start an ingest process and wait until it hears the broker."""
        program = self.ingests[number]
        program.start()

        def hears() -> bool:
            assert program.is_running, program.said()
            return bool(self.status(number).get("mqtt_connected"))

        until(f"ingest {number}", hears, within_s=60)

    def start_reader(self) -> None:
        """Start the process that answers at the API."""
        self.reader.start()
        until("the API", lambda: get(f"{self.api}/healthz") is not None, within_s=60)

    def status(self, number: int) -> dict[str, Any]:
        """Return how an ingest process is doing; nothing while it does not answer."""
        found = get(f"http://127.0.0.1:{self.metrics[number]}/v1/ingest", self.key)
        return found if isinstance(found, dict) else {}

    def shard_vehicles(self) -> list[str]:
        """Return which vehicles each shard holds, asked behind our back."""
        return [
            urllib.request.urlopen(
                f"{store.url}/?query=SELECT+DISTINCT+vehicle+FROM+fairway.samples+ORDER+BY+vehicle"
            )
            .read()
            .decode()
            .strip()
            for store in self.stores
        ]

    def rows(self) -> int:
        """Return how many rows both shards hold; 0 while one does not answer."""
        found = get(f"{self.api}/v1/ingest", self.key)
        return int(found["stored"]["rows"]) if isinstance(found, dict) and found["stored"] else 0
