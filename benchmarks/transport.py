"""What mutual TLS costs: the same messages over the same door with certificates on both sides, and without.

MQTT    a vehicle's batches through Mosquitto to a reader, both over TLS 1.3, beside both over plain TCP
gRPC    a vehicle's stream of batches to a server in another process, beside the same without TLS
connect a connection from nothing to the first byte back, certificates of P-256 on both sides, beside plain TCP

Each pair takes turns; the figures are the medians of the rounds.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import grpc.aio

from benchmarks.report import Row
from fairway.clock import SystemClock
from fleet_cloud.adapters.broker_child import find_program
from fleet_cloud.adapters.pki_files import FilePki

ROUNDS = 5
MESSAGES = 4_000
CONNECTIONS = 100
# A batch of 1,000 samples of the RAV4 drive is 1.1 kB on the wire.
MESSAGE = os.urandom(1_100)
TOPIC = b"bench/up"
METHOD = "/bench.Door/Telemetry"


def run() -> list[Row]:
    """Measure every door with TLS and without."""
    with tempfile.TemporaryDirectory(prefix="fairway-bench-") as name:
        pki = FilePki(Path(name) / "pki")
        pki.ensure([], SystemClock().now_ns())
        return [*_mqtt_rows(Path(name), pki), _grpc_row(pki)]


def _in_turn(secure: Callable[[], float], plain: Callable[[], float]) -> tuple[float, float]:
    """Return the median seconds of both."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        took[0].append(secure())
        took[1].append(plain())
    return median(took[0]), median(took[1])


def _rate_row(what: str, secure_s: float, plain_s: float) -> Row:
    return Row(
        f"mutual TLS: {what}, {len(MESSAGE)} bytes a message",
        f"{MESSAGES / secure_s / 1e3:.1f} k messages/s",
        f"without TLS {MESSAGES / plain_s / 1e3:.1f} k messages/s",
        plain_s / secure_s,
        ">= 0.5",
    )


def _context(pki: FilePki) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(pki.cloud, pki.cloud_key)
    return context


def _mqtt_rows(folder: Path, pki: FilePki) -> list[Row]:
    program, path = find_program("mosquitto")
    assert program == "mosquitto"
    secure_port, plain_port = _free_port(), _free_port()
    (folder / "mosquitto.conf").write_text(
        f"listener {plain_port} 127.0.0.1\nlistener {secure_port} 127.0.0.1\n"
        f"cafile {pki.anchors}\ncertfile {pki.server}\nkeyfile {pki.server_key}\n"
        "require_certificate true\ntls_version tlsv1.3\n"
        "allow_anonymous true\nset_tcp_nodelay true\nmax_inflight_messages 0\nmax_queued_messages 0\n"
        f"user {'root' if os.getuid() == 0 else 'mosquitto'}\nlog_dest none\n"
    )
    with _running([str(path), "-c", str(folder / "mosquitto.conf")], plain_port):
        context = _context(pki)
        through_s = _in_turn(lambda: _through(secure_port, context), lambda: _through(plain_port))
        connect_s = _in_turn(lambda: _connects(secure_port, context), lambda: _connects(plain_port))
    each_ms = [seconds / CONNECTIONS * 1e3 for seconds in connect_s]
    return [
        _rate_row("vehicle to reader through Mosquitto", *through_s),
        Row(
            "mutual TLS: a new connection, to its first answer",
            f"{each_ms[0]:.2f} ms",
            f"without TLS {each_ms[1]:.2f} ms",
            each_ms[0],
            "<= 20",
            "ms",
        ),
    ]


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield
    finally:
        child.terminate()
        child.wait(20)


def _opened(port: int, context: ssl.SSLContext | None, name: bytes) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port), 10)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened = plain if context is None else context.wrap_socket(plain, server_hostname="127.0.0.1")
    opened.sendall(_packet(0x10, _text(b"MQTT") + b"\x04\x02\x00\x3c" + _text(name)))
    assert opened.recv(4)[0] >> 4 == 2
    return opened


def _connects(port: int, context: ssl.SSLContext | None = None) -> float:
    begun = time.perf_counter()
    for number in range(CONNECTIONS):
        _opened(port, context, b"c%d" % number).close()
    return time.perf_counter() - begun


def _through(port: int, context: ssl.SSLContext | None = None) -> float:
    publish = _packet(0x30, _text(TOPIC) + MESSAGE)
    wanted = MESSAGES * len(publish)
    with _opened(port, context, b"reader") as reader, _opened(port, context, b"vehicle") as vehicle:
        reader.sendall(_packet(0x82, b"\x00\x01" + _text(TOPIC) + b"\x00"))
        assert reader.recv(5)[0] >> 4 == 9
        begun = time.perf_counter()
        sending = threading.Thread(target=_send, args=(vehicle, publish))
        sending.start()
        heard = 0
        while heard < wanted:
            piece = len(reader.recv(65_536))
            assert piece
            heard += piece
        took = time.perf_counter() - begun
        sending.join()
    return took


def _send(vehicle: socket.socket, publish: bytes) -> None:
    for _ in range(MESSAGES):
        vehicle.sendall(publish)


def _packet(head: int, body: bytes) -> bytes:
    size, length = len(body), bytearray()
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (128 if size else 0))
        if not size:
            return bytes([head]) + bytes(length) + body


def _text(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text


def _grpc_row(pki: FilePki) -> Row:
    secure_port, plain_port = _free_port(), _free_port()
    command = [sys.executable, "-m", "benchmarks.transport"]
    files = [str(path) for path in (pki.anchors, pki.server, pki.server_key)]
    with _running([*command, str(secure_port), str(plain_port), *files], plain_port):
        keys = [path.read_bytes() for path in (pki.ca, pki.cloud_key, pki.cloud)]
        credentials = grpc.ssl_channel_credentials(*keys)
        with (
            grpc.secure_channel(f"127.0.0.1:{secure_port}", credentials) as secure,
            grpc.insecure_channel(f"127.0.0.1:{plain_port}") as plain,
        ):
            took_s = _in_turn(lambda: _streamed(secure), lambda: _streamed(plain))
    return _rate_row("one gRPC stream", *took_s)


def _streamed(channel: grpc.Channel) -> float:
    call: Any = channel.stream_stream(METHOD)
    begun = time.perf_counter()
    answers = [int.from_bytes(answer, "big") for answer in call(iter([MESSAGE] * MESSAGES))]
    assert answers == [MESSAGES]
    return time.perf_counter() - begun


async def _serve(secure_port: int, plain_port: int, files: list[Path]) -> None:
    async def count(requests: Any, _context: Any) -> Any:
        heard = 0
        async for _ in requests:
            heard += 1
        yield heard.to_bytes(4, "big")

    anchors, certificate, key = (path.read_bytes() for path in files)
    server = grpc.aio.server()
    handler: Any = grpc.stream_stream_rpc_method_handler(count)
    service = grpc.method_handlers_generic_handler("bench.Door", {"Telemetry": handler})
    server.add_generic_rpc_handlers((service,))
    credentials = grpc.ssl_server_credentials(
        [(key, certificate)], root_certificates=anchors, require_client_auth=True
    )
    server.add_secure_port(f"127.0.0.1:{secure_port}", credentials)
    server.add_insecure_port(f"127.0.0.1:{plain_port}")
    await server.start()
    await server.wait_for_termination()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), [Path(name) for name in sys.argv[3:]]))
