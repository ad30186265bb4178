"""All uplinks against real TLS servers that are not to be talked to: nothing is sent to them."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from edge_agent.adapters.uplink_fleetwise import FleetWiseUplink
from edge_agent.adapters.uplink_tls import Address, address, guarded
from edge_agent.adapters.uplinks import CloudUplink, open_uplink
from fairway.clock import SystemClock
from fairway.errors import BadInput, Denied, FairwayError, Unavailable
from fairway.fleetwise.topics import Prefixes
from fleet_cloud.adapters.pki_files import FilePki
from tests.certificates import Authority
from tests.issued import Keys, keys_of

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

NOW = SystemClock().now_ns()
SCHEMES = {"our MQTT": "mqtts", "our gRPC": "grpcs", "fleetwise": "mqtts"}


class Regions:
    """Two regions of one fleet, and a vehicle of the first that by mistake trusts the servers of both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.eu, self.us = (FilePki(folder / name, region=name) for name in ("eu", "us"))
        for pki in (self.eu, self.us):
            pki.ensure([], NOW)
        self.foreign = Authority(folder / "foreign")
        self.ca = folder / "all.pem"
        self.ca.write_bytes(
            b"".join(path.read_bytes() for path in (self.eu.ca, self.us.ca, self.foreign.ca))
        )
        self.keys: Keys = keys_of(self.eu, folder, "CAR-1")

    def server(self, name: str) -> tuple[Path, Path]:
        if name == "foreign":
            signed = self.foreign.server()
            return signed.certificate, signed.key
        pki = {"eu": self.eu, "us": self.us}[name]
        return pki.server, pki.server_key

    def target(self, door: str, port: int, **told: Any) -> Address:
        asked: dict[str, Any] = {"region": "", "hosts": (), "tls_min": "1.3"} | told
        url = f"{SCHEMES.get(door, door)}://localhost:{port}"
        keys = self.keys
        return guarded(
            address(url, ca=self.ca, certificate=keys.certificate, key=keys.key), **asked
        )


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Regions:
    return Regions(tmp_path_factory.mktemp("regions"))


class Listening:
    """A TLS server that answers nothing and keeps what it is told."""

    def __init__(self, files: tuple[Path, Path], most: ssl.TLSVersion) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*files)
        self._context.maximum_version = most
        self._context.set_alpn_protocols(["h2"])
        self._listener = socket.create_server(("localhost", 0))
        self.port = int(self._listener.getsockname()[1])
        self.heard = bytearray()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):  # closed
            while True:
                plain, _ = self._listener.accept()
                with suppress(OSError), plain:
                    plain.settimeout(5)
                    with self._context.wrap_socket(plain, server_side=True) as tls:
                        while data := tls.recv(1000):
                            self.heard += data

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def listening(
    files: tuple[Path, Path], *, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> Iterator[Listening]:
    server = Listening(files, most)
    try:
        yield server
    finally:
        server.close()


def uplink_of(door: str, target: Address) -> CloudUplink:
    if door == "fleetwise":
        clock = SystemClock()
        return FleetWiseUplink(
            target, name="CAR-1", prefixes=Prefixes(), clock=clock, keep=lambda _: None
        )
    return open_uplink(target, vehicle="CAR-1")


async def refusal(door: str, target: Address) -> FairwayError:
    uplink = uplink_of(door, target)
    try:
        with pytest.raises((Denied, Unavailable)) as refused:
            async with asyncio.timeout(20):
                await uplink.connect()
    finally:
        await uplink.close()
    return refused.value


@pytest.mark.parametrize("door", SCHEMES)
@pytest.mark.parametrize(
    ("server", "told", "says"),
    [
        ("us", {}, "is of region us, and this vehicle is of eu"),
        ("us", {"region": "eu", "hosts": ("localhost",)}, "is of region us"),
        ("foreign", {"region": "eu"}, "says no region, and this vehicle is of eu"),
    ],
)
async def test_a_server_of_another_region_hears_nothing(
    regions: Regions, door: str, server: str, told: dict[str, Any], says: str
):
    with listening(regions.server(server)) as there:
        error = await refusal(door, regions.target(door, there.port, **told))

        assert isinstance(error, Denied)
        assert says in str(error)
        assert there.heard == b""


@pytest.mark.parametrize("door", SCHEMES)
async def test_a_server_without_tls_1_3_hears_nothing_unless_that_was_allowed(
    regions: Regions, door: str
):
    with listening(regions.server("eu"), most=ssl.TLSVersion.TLSv1_2) as there:
        error = await refusal(door, regions.target(door, there.port))
        assert "it speaks no TLS 1.3: see uplink.tls_min" in str(error)
        assert there.heard == b""

        uplink = uplink_of(door, regions.target(door, there.port, tls_min="1.2"))
        connecting = asyncio.create_task(uplink.connect())
        async with asyncio.timeout(10):
            while not there.heard:
                await asyncio.sleep(0.01)
        connecting.cancel()
        await asyncio.wait([connecting])
        await uplink.close()


def test_a_host_or_a_scheme_that_cannot_be_of_the_region_is_told_at_the_start(regions: Regions):
    with pytest.raises(BadInput, match=r"localhost is not a host of this vehicle's region eu"):
        regions.target("mqtts", 8883, hosts=("*.eu.example",))
    with pytest.raises(BadInput, match="has no certificate that could say its region"):
        regions.target("mqtt", 1883, region="eu")
