"""The real boto3 in front of the API: over memory in this process, and of `fleet-cloud serve` as a program."""

import asyncio
import configparser
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
import pytest_socket
from botocore.config import Config

from fairway.clock import SystemClock
from fleet_cloud.access.aws_keys import fresh_aws_key
from fleet_cloud.access.grants import Grant
from fleet_cloud.access.roles import Role
from fleet_cloud.adapters.data_dir import listening
from fleet_cloud.api.server import serving
from fleet_cloud.api.service import make_api
from tests.e2e.programs import until
from tests.fleet_cloud.api.conftest import ROOT
from tests.fleet_cloud.api.conftest import Cloud as MemoryCloud
from tests.fleet_cloud.cli.test_serve import Cloud

REGION = "eu-west-1"


def client_of(url: str, key: str, secret: str) -> Any:
    """A client of boto3 that asks once, and leaves the checks of values to whom it asks."""
    return boto3.client(
        "iotfleetwise",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}, parameter_validation=False),
    )


class Door:
    """An API over memory that listens on loopback."""

    def __init__(self, cloud: MemoryCloud, url: str) -> None:
        self.cloud = cloud
        self.url = url

    def keys(
        self, role: str = "admin", tenant: str = "default", *, days: int | None = None
    ) -> tuple[str, str]:
        """Make an AWS key, and return both of its halves."""
        now_ns = self.cloud.clock.now_ns()
        expires_ns = None if days is None else now_ns + days * 86_400 * 10**9
        grant = Grant(Role(role), tenant)
        kept, pair = fresh_aws_key(ROOT, "test", grant, now_ns, expires_time_ns=expires_ns)
        self.cloud.keys.add(kept)
        return pair.access_key_id, pair.secret_access_key

    def client(self, role: str = "admin", tenant: str = "default") -> Any:
        """A client of boto3 with a new key."""
        return client_of(self.url, *self.keys(role, tenant))


@contextmanager
def listening_door() -> Iterator[Door]:
    cloud = MemoryCloud(clock=SystemClock())
    opened = listening("127.0.0.1", 0)
    url = f"http://127.0.0.1:{opened.getsockname()[1]}"
    ends, loop = asyncio.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        api = make_api(cloud.ports())
        async with serving(api, opened, tls=None, proxies=(), ended=lambda: None):
            await ends.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        yield Door(cloud, url)
    finally:
        loop.call_soon_threadsafe(ends.set)
        thread.join()
        loop.close()


@pytest.fixture
def door(socket_enabled: None) -> Iterator[Door]:
    with listening_door() as door:
        yield door


@pytest.fixture
def fleetwise(door: Door) -> Any:
    """A client of a tenant that has nothing yet."""
    return door.client()


class Served(Cloud):
    """A cloud without a broker as a program, and clients with keys of its own."""

    def start(self) -> None:
        self.program.start()
        until("the cloud", lambda: "gRPC door" in self.program.said(), within_s=120)

    def keys(self, role: str = "admin", tenant: str = "default") -> tuple[str, str]:
        """Make an AWS key, and return both of its halves."""
        path = self.folder / "credentials"
        arguments = ("key", "create", "test", "--aws", "--role", role, "--tenant", tenant)
        assert self.command(*arguments, "--out", path) == 0
        found = configparser.ConfigParser()
        found.read(path)
        pair = found["default"]
        return pair["aws_access_key_id"], pair["aws_secret_access_key"]

    def client(self, role: str = "admin", tenant: str = "default") -> Any:
        """A client of boto3 with a new key."""
        return client_of(self.url("api"), *self.keys(role, tenant))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One program for a module; sockets for what is made before a test asks for its own."""
    cloud = Served(tmp_path_factory.mktemp("fleetwise"), "mosquitto")
    config = cloud.folder / "cloud.toml"
    config.write_text(config.read_text().replace('program = "mosquitto"', 'mode = "none"'))
    pytest_socket.enable_socket()
    try:
        cloud.start()
        yield cloud
    finally:
        if cloud.program.is_running:
            cloud.program.stop()
        pytest_socket.disable_socket(allow_unix_socket=True)
