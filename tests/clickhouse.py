"""Telemetry stores for tests: one embedded engine a file, and real ClickHouse servers in scratch folders.

The servers are Debian's (18.16, of 2018): the oldest that must work.  `current_server` is today's engine behind
a small HTTP front: no current server can be had from a package registry.
"""

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from fleet_cloud.adapters.telemetry_store import Store, open_store
from tests.ports import free_ports
from tests.shared_data import missing

# Debian puts it where only root looks.
SERVER = shutil.which("clickhouse-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""

# A server starts in about one second; a machine under load may need ten.
START_S = 60.0

_CONFIG = """<yandex>
  <logger><level>warning</level><log>{folder}/log</log><errorlog>{folder}/errors</errorlog></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><interserver_http_port>{inter}</interserver_http_port>
  <path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path>
  <user_files_path>{folder}/files/</user_files_path><format_schema_path>{folder}/schemas/</format_schema_path>
  <users_config>{folder}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <mark_cache_size>67108864</mark_cache_size>
</yandex>
"""

_USERS = """<yandex>
  <profiles><default/></profiles>
  <users><default>
    <password>{password}</password><networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile><quota>default</quota>
  </default></users>
  <quotas><default/></quotas>
</yandex>
"""


class ClickHouseServer:
    """Debian's server over a folder; it may be killed and started again."""

    def __init__(self, folder: Path, *, password: str = "") -> None:
        if not SERVER:
            missing(
                "clickhouse-server is not here: apt-get install clickhouse-server (.ci/packages)"
            )
        enable_socket()
        self.folder = folder
        self.port, tcp, inter = free_ports(3)
        folder.mkdir(parents=True, exist_ok=True)
        config = _CONFIG.format(folder=folder, http=self.port, tcp=tcp, inter=inter)
        (folder / "config.xml").write_text(config)
        (folder / "users.xml").write_text(_USERS.format(password=password))
        self._user = f"default:{password}@" if password else ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self._user}127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [SERVER, f"--config-file={self.folder}/config.xml"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
            )
        wait_for(self.port, self._process, self.folder / "out")

    def pause(self) -> None:
        """Stop it where it stands, as a machine that swaps or a hypervisor would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self._process.pid}/task")
        while any(") T " not in (one / "stat").read_text() for one in threads.iterdir()):
            time.sleep(0.005)

    def go_on(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once an HTTP server answers at `port`; fail with its log when it does not."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", "/ping")
            connection.getresponse().read()
            return
        time.sleep(0.05)
    process.kill()
    process.wait(timeout=30)
    pytest.fail(f"no server at port {port}: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Lend a folder, and take it away whatever a killed server left in it."""
    folder = Path(tempfile.mkdtemp(prefix="fairway-ch-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def clickhouse_servers(count: int) -> Iterator[list[ClickHouseServer]]:
    """Lend `count` running servers."""
    with scratch() as folder:
        servers = [ClickHouseServer(folder / str(number)) for number in range(count)]
        try:
            for server in servers:
                server.start()
            yield servers
        finally:
            for server in servers:
                server.kill()


@contextlib.contextmanager
def current_server() -> Iterator[str]:
    """Lend the URL of today's engine behind HTTP."""
    enable_socket()
    (port,) = free_ports(1)
    with scratch() as folder, (folder / "out").open("wb") as out:
        front = Path(__file__).parent / "chdb_http_front.py"
        process = subprocess.Popen(
            [sys.executable, str(front), str(folder / "engine"), str(port)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        try:
            wait_for(port, process, folder / "out")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait(timeout=30)


@pytest.fixture(scope="module")
def embedded_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The embedded store of a test file: a process can have one at a time, and it opens in 0.2 s."""
    store = open_store((), tmp_path_factory.mktemp("telemetry"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def sharded_store() -> Iterator[Store]:
    """A store over two real servers."""
    with clickhouse_servers(2) as servers:
        store = open_store([server.url for server in servers], Path())
        yield store
        store.close()


@pytest.fixture(scope="module")
def current_server_store() -> Iterator[Store]:
    """A store over today's engine behind HTTP."""
    with current_server() as url:
        store = open_store([url], Path())
        yield store
        store.close()
