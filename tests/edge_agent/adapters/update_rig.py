"""A vehicle that fetches an image over HTTPS, from a server that misbehaves."""

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agent.adapters.update_http import UpdateServer, door_of, update_server
from edge_agent.adapters.uplink_tls import Address
from edge_agent.telemetry.guard import Guard
from edge_agent.updates.fetching import Patience
from fairway.clock import SystemClock
from ota.manifest import Blob
from tests.certificates import Authority
from tests.fault_server import Call, FaultServer, fault_server
from tests.update_place import QUICK, sha256

CHUNK = 64 * 1024
IMAGE = random.Random(7).randbytes(3 * 1024 * 1024 + 17)
HASHES = b"".join(
    bytes.fromhex(sha256(IMAGE[at : at + CHUNK])) for at in range(0, len(IMAGE), CHUNK)
)
CHUNKED = Blob(sha256(IMAGE), len(IMAGE), CHUNK, sha256(HASHES))
WHOLE = Blob(sha256(IMAGE), len(IMAGE))
LIST = f"/blobs/{CHUNKED.chunks_sha256}"

Act = Callable[[Call], None]


class Rig:
    """A vehicle, and a server that misbehaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "pki")
        self.server_keys = self.authority.server()
        self.vehicle = self.authority.vehicle("VIN1")
        self.stack = contextlib.ExitStack()
        self.durable: list[int] = []

    def serve(self, act: Act) -> FaultServer:
        def lists_too(call: Call) -> None:
            if call.path == LIST:
                call.send(200, HASHES)
            else:
                act(call)

        return self.stack.enter_context(
            fault_server(self.server_keys, self.authority.ca, lists_too)
        )

    def reach(
        self, server: FaultServer, patience: Patience = QUICK, guard: Guard | None = None
    ) -> UpdateServer:
        address = Address(
            "https",
            "-",
            0,
            self.authority.ca,
            self.vehicle.certificate,
            self.vehicle.key,
            guard=guard or Guard(),
        )
        made = update_server(
            lambda: door_of(server.url, address, storage_ca=self.authority.ca),
            SystemClock(),
            patience,
            lambda blob, size: self.durable.append(size) if blob.length == len(IMAGE) else None,
        )
        self.stack.callback(made.close)
        return made

    @property
    def image(self) -> Path:
        return self.folder / "store" / "image"

    def left(self) -> list[str]:
        folder = self.image.parent
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    async def fetch(
        self,
        act: Act,
        blob: Blob = CHUNKED,
        *,
        patience: Patience = QUICK,
        most_bytes: int | None = None,
    ) -> FaultServer:
        """Fetch the image from a server that does `act`."""
        server = self.serve(act)
        await self.reach(server, patience).content.fetch(blob, self.image, most_bytes=most_bytes)
        assert self.image.read_bytes() == IMAGE
        return server


@pytest.fixture(params=["chunks", "whole"])
def blob(request: pytest.FixtureRequest) -> Blob:
    return CHUNKED if request.param == "chunks" else WHOLE


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    with made.stack:
        yield made
