"""The real boto3 in front of the API: over memory in this process, and of `fleet-cloud serve` as a program."""

import asyncio
import configparser
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import httpx
import pytest
import pytest_socket
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from fairway.clock import SystemClock
from fleet_cloud.access.aws_keys import fresh_aws_key
from fleet_cloud.access.grants import Grant
from fleet_cloud.access.roles import Role
from fleet_cloud.adapters.data_dir import listening
from fleet_cloud.api.server import serving
from fleet_cloud.api.service import make_api
from fleet_cloud.models.accounts import Account
from tests.e2e.programs import until
from tests.fleet_cloud.api.compat import small
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
        self._http = httpx.Client(base_url=url)

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

    def ask(
        self, keys: tuple[str, str], operation: str, request: Any = None, **headers: str
    ) -> httpx.Response:
        """Ask as boto3 does, and return the answer as it came; headers are added to what was signed."""
        body = request if isinstance(request, bytes) else json.dumps(request or {}).encode()
        found = signed_headers(self.url, keys, operation, body)
        found |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self._http.post("/", content=body, headers=found)

    def close(self) -> None:
        self._http.close()

    def small_account(self, tenant: str, vehicle: str = "VIN1") -> tuple[tuple[str, str], Account]:
        """Make one of everything in a tenant, and return a key of somebody else there and how it is called."""
        keys, account = self.keys("admin", tenant), Account("local", tenant)
        for operation, request in small.MADE:
            answer = self.ask(keys, operation, small.filled(request, account, vehicle))
            assert answer.status_code == 200, (operation, answer.text)
        return self.keys("admin", tenant), account


def signed_headers(url: str, keys: tuple[str, str], operation: str, body: bytes) -> dict[str, str]:
    """The headers with which botocore signs a request."""
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"IoTAutobahnControlPlane.{operation}",
    }
    request = AWSRequest("POST", f"{url}/", headers, body)
    SigV4Auth(Credentials(*keys), "iotfleetwise", REGION).add_auth(request)
    return {name.lower(): str(value) for name, value in request.headers.items()}


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
    door = Door(cloud, url)
    try:
        yield door
    finally:
        door.close()
        loop.call_soon_threadsafe(ends.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    pytest_socket.enable_socket()
    try:
        with listening_door() as door:
            yield door
    finally:
        pytest_socket.disable_socket(allow_unix_socket=True)


_numbers = itertools.count(1)


@pytest.fixture
def tenant() -> str:
    """A tenant of the test's own."""
    return f"tenant-{next(_numbers)}"


@pytest.fixture
def fleetwise(door: Door, tenant: str) -> Any:
    """A client of a tenant that has nothing yet."""
    return door.client("admin", tenant)


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
