"""Bytes of an update through TLS: the device door and the fetcher, beside a plain TLS sender and reader.

peer       a process that does nothing but write a file into TLS, and a reader that throws away what comes
door       the device door from a folder of artifacts, to the same reader
fetcher    the plain sender (as a good HTTP server), to the vehicle's fetcher: verified, written, synced
both       the device door to the vehicle's fetcher

Each takes turns with the peer; the figures are the medians of the rounds.
"""

import asyncio
import contextlib
import hashlib
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.report import Row
from edge_agent.adapters.update_http import door_of, update_server
from edge_agent.adapters.uplink_tls import Address
from edge_agent.updates.fetching import Patience
from fairway.clock import SystemClock
from fleet_cloud.adapters.artifacts_fs import FileArtifacts
from ota.manifest import CHUNK_BYTES, Blob
from tests.certificates import Authority
from tests.update_place import update_place

ROUNDS = 3
MEGABYTES = int(os.environ.get("FAIRWAY_BENCH_MEGABYTES", "256"))
_READ_BYTES = 1 << 18


def run() -> list[Row]:
    """Measure all pairs."""
    with tempfile.TemporaryDirectory(prefix="fairway-bench-") as name:
        return _Bench(Path(name)).rows()


class _Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = os.urandom(1 << 20) * MEGABYTES
        self.hashes = b"".join(
            hashlib.sha256(self.data[at : at + CHUNK_BYTES]).digest()
            for at in range(0, len(self.data), CHUNK_BYTES)
        )
        sha256, listed = (hashlib.sha256(one).hexdigest() for one in (self.data, self.hashes))
        self.blob = Blob(sha256, len(self.data), CHUNK_BYTES, listed)
        self.authority = Authority(folder / "plain")
        self.vehicle = self.authority.vehicle("VIN1")
        for one in (self.data, self.hashes):
            (folder / hashlib.sha256(one).hexdigest()).write_bytes(one)

    def rows(self) -> list[Row]:
        with self._sender() as plain, self._door() as door:
            of_plain = Address(
                "https",
                "localhost",
                plain,
                self.authority.ca,
                self.vehicle.certificate,
                self.vehicle.key,
            )
            kinds = {
                "peer": lambda: self._read(of_plain),
                "door": lambda: self._read(door),
                "fetcher": lambda: self._fetch(of_plain),
                "both": lambda: self._fetch(door),
            }
            took: dict[str, list[float]] = {kind: [] for kind in kinds}
            for _ in range(ROUNDS):
                for kind, measure in kinds.items():
                    took[kind].append(measure())
        rates = {kind: len(self.data) / median(seconds) / 1e6 for kind, seconds in took.items()}
        peer = f"plain TLS {rates['peer']:.0f} MB/s"
        return [
            Row(what, f"{rates[kind]:.0f} MB/s", peer, rates[kind] / rates["peer"], goal)
            for kind, what, goal in (
                ("door", "updates: the device door, to a reader", ">= 0.3"),
                ("fetcher", "updates: a vehicle's fetcher, verified and synced", ">= 0.3"),
                ("both", "updates: door to fetcher", ">= 0.2"),
            )
        ]

    @contextlib.contextmanager
    def _sender(self) -> Iterator[int]:
        shown = self.authority.server()
        with _child("sender", str(self.folder), str(shown.certificate), str(shown.key)) as said:
            yield int(said[0])

    @contextlib.contextmanager
    def _door(self) -> Iterator[Address]:
        with _child("door", str(self.folder)) as said:
            port, ca, certificate, key = said
            paths = (Path(ca), Path(certificate), Path(key))
            yield Address("https", "localhost", int(port), *paths)

    def _read(self, target: Address) -> float:
        context = ssl.create_default_context(cafile=str(target.ca))
        context.load_cert_chain(str(target.certificate), str(target.key))
        began_s = time.perf_counter()
        with (
            socket.create_connection(("127.0.0.1", target.port)) as opened,
            context.wrap_socket(opened, server_hostname="localhost") as used,
        ):
            path = f"GET /blobs/{self.blob.sha256} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            used.sendall(path.encode())
            buffer, left = bytearray(_READ_BYTES), len(self.data)
            while left > 0:
                count = used.recv_into(buffer)
                assert count
                left -= count
        return time.perf_counter() - began_s

    def _fetch(self, target: Address) -> float:
        server = update_server(
            lambda: door_of(f"https://localhost:{target.port}", target), SystemClock(), Patience()
        )
        path = self.folder / "image"
        path.unlink(missing_ok=True)
        began_s = time.perf_counter()
        asyncio.run(server.content.fetch(self.blob, path, most_bytes=None))
        took_s = time.perf_counter() - began_s
        server.close()
        return took_s


@contextlib.contextmanager
def _child(*arguments: str) -> Iterator[list[str]]:
    """Run a server of this file in a process of its own, and give what it says of itself."""
    command = [sys.executable, "-m", "benchmarks.update_door", *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        yield child.stdout.readline().split()
    finally:
        child.terminate()
        child.communicate(timeout=20)


def _send(folder: Path, certificate: str, key: str) -> None:
    """Answer every request with a file, and do nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            opened, _ = listening.accept()
            with opened, contextlib.suppress(OSError):
                used = context.wrap_socket(opened, server_side=True)
                while asked := used.recv(65536):
                    name = asked.split(b" ")[1].rpartition(b"/")[2].decode()
                    path = folder / name
                    used.sendall(
                        f"HTTP/1.1 200 OK\r\nContent-Length: {path.stat().st_size}\r\n\r\n".encode()
                    )
                    with path.open("rb") as file:
                        while data := file.read(1 << 20):
                            used.sendall(data)


async def _open_door(folder: Path, blobs: list[Path]) -> None:
    artifacts = FileArtifacts(folder / "artifacts", room_kept_bytes=0)
    async with update_place(folder / "cloud", artifacts=artifacts) as place:
        for path in blobs:
            place.put(await asyncio.to_thread(path.read_bytes))
        port = place.url.rpartition(":")[2]
        print(port, place.keys.ca, place.keys.certificate, place.keys.key, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "sender":
        _send(Path(sys.argv[2]), *sys.argv[3:])
    else:
        here = Path(sys.argv[2])
        asyncio.run(_open_door(here, [path for path in here.iterdir() if len(path.name) == 64]))
