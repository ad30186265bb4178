"""The sending side of the ingest benchmark: vehicles that cost next to nothing.

They speak just enough MQTT 3.1.1, and just enough HTTP/2 for gRPC, to send what was made before in large
writes, and to count receipts: in a fleet every vehicle has a processor of its own, here all share the cloud's.
"""

import json
import select
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from fairway.telemetry import Outcome
from fairway.topics import down_telemetry, up_telemetry
from fairway.wire.telemetry import receipts_from_bytes

_WRITE_BYTES = 256 * 1024
_SILENCE_MAX_S = 60.0

# HTTP/2: types of frames, and a flag.
_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
_RESET = 3
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_INITIAL_WINDOW_SIZE = 4
_WINDOW_MAX = (1 << 31) - 1
_FRAME_BYTES = 16_384


def main() -> None:
    """Send what lies in the folder named second over the door named first; print how many seconds it took."""
    door, folder = sys.argv[1], Path(sys.argv[2])
    endpoints = json.loads((folder / "data" / "endpoints.json").read_text())
    port = int(endpoints[door].rpartition(":")[2])
    send = {"mqtt": _send_mqtt, "grpc": _send_grpc}[door]
    vehicles = sorted(folder.glob("*.messages"))
    ready = threading.Barrier(len(vehicles) + 1)
    threads = [
        threading.Thread(target=send, args=(folder, path.stem, port, ready.wait))
        for path in vehicles
    ]
    for thread in threads:
        thread.start()
    ready.wait(_SILENCE_MAX_S)
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    print(time.perf_counter() - begun)


def _messages(folder: Path, vehicle: str) -> list[bytes]:
    data = (folder / f"{vehicle}.messages").read_bytes()
    found = []
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


class _Line:
    """A TLS connection that is read and written by one thread, without blocking."""

    def __init__(self, folder: Path, vehicle: str, port: int, protocol: str) -> None:
        keys = folder / vehicle
        context = ssl.create_default_context(cafile=keys / "ca.pem")
        context.load_cert_chain(keys / "certificate.pem", keys / "key.pem")
        context.set_alpn_protocols([protocol])
        plain = socket.create_connection(("127.0.0.1", port))
        self._tls = context.wrap_socket(plain, server_hostname="127.0.0.1")
        self._tls.settimeout(0.0)
        self._out = memoryview(b"")
        self.incoming = bytearray()

    @property
    def is_sent(self) -> bool:
        """Whether all that was to be sent has been."""
        return not self._out

    def send(self, data: bytes) -> None:
        """Have `data` sent after what waits."""
        self._out = memoryview(bytes(self._out) + data) if self._out else memoryview(data)

    def turn(self) -> None:
        """Send some and receive some, as soon as one of them can be done."""
        writers = [self._tls] if self._out else []
        if not self._tls.pending():
            able = select.select([self._tls], writers, [], _SILENCE_MAX_S)
            assert any(able), "the cloud has fallen silent"
        try:
            while self._out:
                self._out = self._out[self._tls.send(self._out[:_WRITE_BYTES]) :]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            while more := self._tls.recv(65_536):
                self.incoming += more
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        raise AssertionError("the cloud closed the connection")


def _send_mqtt(folder: Path, vehicle: str, port: int, wait: Callable[[], object]) -> None:
    messages = _messages(folder, vehicle)
    topic = _text(up_telemetry(vehicle))
    packets = b"".join(
        _packet(0x32, topic + struct.pack(">H", number % 65_535 + 1) + data)
        for number, data in enumerate(messages)
    )
    line = _Line(folder, vehicle, port, "mqtt")
    line.send(_packet(0x10, _text("MQTT") + b"\x04\x02\x00\x3c" + _text(vehicle)))
    _await(line, 2)
    line.send(_packet(0x82, b"\x00\x01" + _text(down_telemetry(vehicle)) + b"\x01"))
    _await(line, 9)
    wait()
    line.send(packets)
    stored = 0
    while stored < len(messages) - 1:
        line.turn()
        for kind, body in _packets(line):
            if kind == 3:
                stored += _stored(body[2 + int.from_bytes(body[:2], "big") + 2 :])


def _await(line: _Line, wanted: int) -> None:
    while not (packets := _packets(line)):
        line.turn()
    assert packets[0][0] == wanted, packets


def _packets(line: _Line) -> list[tuple[int, bytes]]:
    """Remove and return the MQTT packets that have come whole, as their types and bodies."""
    packets = []
    data, done = line.incoming, 0
    while True:
        size, at = 0, done + 1
        while at < len(data) and data[at] & 128:
            size |= (data[at] & 127) << 7 * (at - done - 1)
            at += 1
        if at >= len(data):
            break
        size |= data[at] << 7 * (at - done - 1)
        if len(data) < at + 1 + size:
            break
        packets.append((data[done] >> 4, bytes(data[at + 1 : at + 1 + size])))
        done = at + 1 + size
    del data[:done]
    return packets


def _packet(head: int, body: bytes) -> bytes:
    size = len(body)
    length = bytearray()
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (128 if size else 0))
        if not size:
            return bytes([head]) + bytes(length) + body


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


class _Call:
    """One gRPC call on a connection of its own: what it may send, and what has come."""

    def __init__(self, line: _Line, path: str) -> None:
        self._line = line
        self._connection_window = self._stream_window = self._first_window = 65_535
        self._answers = bytearray()
        # The other side may send as much as it likes.
        settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, _WINDOW_MAX)
        window = struct.pack(">I", _WINDOW_MAX - 65_535)
        head = (
            b"\x83\x87"  # POST, https
            + _header(b"\x04", path)
            + _header(b"\x01", "127.0.0.1")
            + _header(b"\x0f\x10", "application/grpc")
            + _header(b"\x00\x02te", "trailers")
        )
        line.send(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(_SETTINGS, 0, 0, settings)
            + _frame(_WINDOW_UPDATE, 0, 0, window)
            + _frame(_HEADERS, _END_HEADERS, 1, head)
        )

    def send(self, data: memoryview) -> memoryview:
        """Send as much of `data` as may be sent now, and return the rest."""
        size = min(len(data), self._connection_window, self._stream_window)
        if size <= 0 or not self._line.is_sent:
            return data
        self._connection_window -= size
        self._stream_window -= size
        frames = [
            _frame(_DATA, 0, 1, data[start : min(start + _FRAME_BYTES, size)])
            for start in range(0, size, _FRAME_BYTES)
        ]
        self._line.send(b"".join(frames))
        return data[size:]

    def received(self) -> list[bytes]:
        """Deal with what has come, and remove and return the messages among it that are whole."""
        data, done = self._line.incoming, 0
        while len(data) >= done + 9 + (size := int.from_bytes(data[done : done + 3], "big")):
            kind, flags, stream = struct.unpack_from(">BBI", data, done + 3)
            self._take(kind, flags, stream, bytes(data[done + 9 : done + 9 + size]))
            done += 9 + size
        del data[:done]
        messages = []
        answers, done = self._answers, 0
        while len(answers) >= done + 5:
            (size,) = struct.unpack_from(">I", answers, done + 1)
            if len(answers) < done + 5 + size:
                break
            messages.append(bytes(answers[done + 5 : done + 5 + size]))
            done += 5 + size
        del answers[:done]
        return messages

    def _take(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        assert kind not in (_RESET, _GOAWAY), body
        assert not (kind == _HEADERS and flags & _END_STREAM), "the cloud ended the call"
        if kind == _DATA:
            self._answers += body
        elif kind == _SETTINGS and not flags & _ACK:
            for at in range(0, len(body), 6):
                name, value = struct.unpack_from(">HI", body, at)
                if name == _INITIAL_WINDOW_SIZE:
                    self._stream_window += value - self._first_window
                    self._first_window = value
            self._line.send(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._line.send(_frame(_PING, _ACK, 0, body))
        elif kind == _WINDOW_UPDATE:
            (more,) = struct.unpack(">I", body)
            if stream:
                self._stream_window += more
            else:
                self._connection_window += more


def _frame(kind: int, flags: int, stream: int, body: bytes | memoryview) -> bytes:
    return len(body).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + body


def _header(name: bytes, value: str) -> bytes:
    """Return a header as HPACK writes one that is not to be remembered."""
    return name + bytes([len(value)]) + value.encode()


def _send_grpc(folder: Path, vehicle: str, port: int, wait: Callable[[], object]) -> None:
    messages = _messages(folder, vehicle)
    left = memoryview(b"".join(b"\0" + struct.pack(">I", len(data)) + data for data in messages))
    line = _Line(folder, vehicle, port, "h2")
    wait()
    call = _Call(line, "/fairway.v1.IngestService/Telemetry")
    stored = 0
    while stored < len(messages) - 1:
        left = call.send(left)
        line.turn()
        stored += sum(_stored(answer) for answer in call.received())


def _stored(response: bytes) -> int:
    receipts = receipts_from_bytes(response)
    failed = [receipt for receipt in receipts if receipt.outcome is not Outcome.STORED]
    assert not failed, failed[0]
    return len(receipts)


if __name__ == "__main__":
    main()
