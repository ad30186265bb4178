"""A cloud and one vehicle as an operator sets them up, in a folder of their own."""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.e2e.programs import Program, run, until
from tests.ports import free_port

VEHICLE = "JTMRFREV8HJ000001"

_CLOUD = """\
[api]
listen = "127.0.0.1:{api}"
[grpc]
listen = "127.0.0.1:{grpc}"
{more}
"""

_AGENT = """\
[vehicle]
id = "{vehicle}"
{buses}
[replay]
log = "{log}"
speed = {speed}

[telemetry]
collect = "all"
interval_ms = 0
on_change = false
batch_max_samples = {batch}

[spool]
dir = "spool"

[uplink]
url = "{url}"
ca = "ca.pem"
certificate = "certificate.pem"
key = "key.pem"
{more}
"""

EMBEDDED_BROKER = '[broker]\nlisten = "127.0.0.1:{port}"\nprogram = "{program}"\n'


def asked(url: str, key: str = "") -> urllib.request.Request:
    """Return the request for `url` of whoever holds `key`."""
    return urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})


def get(url: str, key: str = "") -> object:
    """Return the JSON that `url` answers with, or None while it does not answer."""
    try:
        with urllib.request.urlopen(asked(url, key), timeout=10) as answer:
            return json.loads(answer.read())
    except (OSError, urllib.error.URLError):
        return None


def status_of(url: str, key: str = "") -> int:
    """Return the HTTP status that `url` answers with."""
    try:
        with urllib.request.urlopen(asked(url, key), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


class Cloud:
    """A `fleet-cloud serve` (or `ingest`) with its settings."""

    def __init__(
        self, folder: Path, more: str, *, name: str = "cloud", command: str = "serve"
    ) -> None:
        self.folder = folder
        self.name = name
        self.grpc_port = free_port()
        api_port = free_port()
        self.api = f"http://127.0.0.1:{api_port}"
        config = folder / f"{name}.toml"
        config.write_text(_CLOUD.format(api=api_port, grpc=self.grpc_port, more=more))
        self.options: Sequence[str | Path] = ("--config", config, "--data", folder / name)
        self.program = Program("fleet-cloud", command, *self.options, log=folder / f"{name}.log")

    @property
    def key(self) -> str:
        """The key of the first administrator."""
        return (self.folder / self.name / "admin-key").read_text().strip()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.program.start()
        until("the cloud's answer", self.answers, within_s=60)

    def answers(self) -> bool:
        """Whether the API is there."""
        assert self.program.is_running, self.program.said()
        return get(f"{self.api}/healthz") is not None

    def ingest(self) -> dict[str, Any]:
        """Return how ingest is doing; zeros while it does not answer."""
        status = get(f"{self.api}/v1/ingest", self.key)
        return status if isinstance(status, dict) else {"stored": {"rows": 0}, "counts": {}}

    def rows(self) -> int:
        """Return how many samples are stored."""
        stored = self.ingest()["stored"]  # null while the store does not answer
        return int(stored["rows"]) if stored else 0

    def add_vehicle(self, vehicle: str = VEHICLE) -> Path:
        """Register a vehicle and return the folder with its certificate."""
        out = self.folder / vehicle
        run("fleet-cloud", "vehicle", "add", vehicle, *self.options, "--out", out)
        return out


def agent_program(
    folder: Path,
    *,
    url: str,
    log: Path,
    databases: dict[str, Path],
    speed: str = '"max"',
    batch_max_samples: int = 1000,
    more: str = "",
    arguments: Sequence[str] = ("--until-drained",),
) -> Program:
    """Write an agent's settings into its folder and return the program, not started."""
    buses = "\n".join(
        f'[[bus]]\nname = "{name}"\ndatabases = ["{path}"]' for name, path in databases.items()
    )
    config = folder / "edge-agent.toml"
    config.write_text(
        _AGENT.format(
            vehicle=folder.name,
            buses=buses,
            log=log,
            speed=speed,
            batch=batch_max_samples,
            url=url,
            more=more,
        )
    )
    return Program(
        "edge-agent", "run", "--config", config, *arguments, log=folder / "edge-agent.log"
    )
