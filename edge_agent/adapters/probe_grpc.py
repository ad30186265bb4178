"""One gRPC health check over a connection that is there already: the few frames of HTTP/2 that it takes.

    preface, SETTINGS, HEADERS, DATA  >    < SETTINGS, HEADERS, DATA (the status), HEADERS (trailers)

The gRPC library opens its connections itself, in the agent's own network; a service has a network of its own.

Rule 1: the answer is the first message; without one there is no status, whatever the trailers say.
Rule 2: what is larger than any answer of this call is refused unread (RFC 9113, grpc.health.v1).
"""

import struct
from collections.abc import Iterator

from google.protobuf.message import DecodeError
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from fairway.errors import BadInput

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 0x1, 0x1, 0x4, 0x8
_STREAM = 1
_PATH = b"/grpc.health.v1.Health/Check"
# HPACK: fields of the static table by number; literals without indexing and without Huffman coding.
_POST, _HTTP, _NAME_PATH, _NAME_AUTHORITY = b"\x83", b"\x86", b"\x04", b"\x01"
_NAME_CONTENT_TYPE = b"\x0f\x10"
_TRAILERS = b"\x00\x02te\x08trailers"  # a name that the table does not have
_FRAME_HEAD = struct.Struct("!BHBBI")
_FRAME_HEAD_BYTES = 9
# The largest frame that a peer may send before it was allowed more.
_FRAME_MAX_BYTES = 16_384
_ANSWER_MAX_BYTES = 64 * 1024
_MESSAGE_HEAD_BYTES = 5
SERVICE_MAX_BYTES = 100  # one byte of length in HPACK, and longer than any name


def request(service: str) -> bytes:
    """Return what a client says to ask for the health of `service`.  Raises BadInput."""
    message = HealthCheckRequest(service=service).SerializeToString()
    if len(message) > SERVICE_MAX_BYTES:
        raise BadInput(f"the service {service[:40]!r} has a longer name than a health check takes")
    fields = b"".join(
        (
            _POST,
            _HTTP,
            _NAME_PATH + _literal(_PATH),
            _NAME_AUTHORITY + _literal(b"localhost"),
            _NAME_CONTENT_TYPE + _literal(b"application/grpc"),
            _TRAILERS,
        )
    )
    return b"".join(
        (
            _PREFACE,
            frame(_SETTINGS, 0, 0, b""),
            frame(_HEADERS, _END_HEADERS, _STREAM, fields),
            frame(_DATA, _END_STREAM, _STREAM, struct.pack("!BI", 0, len(message)) + message),
        )
    )


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return one frame of HTTP/2."""
    size = len(payload)
    return _FRAME_HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


class Answer:
    """What a server says, as it comes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._message = bytearray()
        self._received_bytes = 0
        self.status: str | None = None  # "SERVING", ..., once it is known
        self.problem = ""  # why there will be none

    @property
    def is_over(self) -> bool:
        """Whether no more is needed."""
        return self.status is not None or bool(self.problem)

    def receive(self, data: bytes) -> bytes:
        """Take what came ("": the end), and return what the protocol wants said to it."""
        self._received_bytes += len(data)
        self._buffer += data
        if not data:
            self._fail("it hung up without an answer")
        elif self._received_bytes > _ANSWER_MAX_BYTES:
            self._fail("it says more than any health status")
        replies = b"".join(self._reply(*one) for one in self._frames())
        return b"" if self.is_over else replies

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        while not self.is_over and len(self._buffer) >= _FRAME_HEAD_BYTES:
            high, low, kind, flags, stream = _FRAME_HEAD.unpack_from(self._buffer)
            size = high << 16 | low
            if size > _FRAME_MAX_BYTES:
                self._fail("it does not speak HTTP/2")
                return
            end = _FRAME_HEAD_BYTES + size
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_FRAME_HEAD_BYTES:end])
            del self._buffer[:end]
            yield kind, flags, stream & 0x7FFF_FFFF, payload

    def _reply(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        if kind == _SETTINGS and not flags & _ACK:
            return frame(_SETTINGS, _ACK, 0, b"")
        if kind == _PING and not flags & _ACK:
            return frame(_PING, _ACK, 0, payload)
        if kind == _GOAWAY or (kind == _RESET and stream == _STREAM):
            self._fail("it refused the call")
        elif kind == _DATA and stream == _STREAM:
            self._take(flags, payload)
        if kind in (_DATA, _HEADERS) and stream == _STREAM and flags & _END_STREAM:
            self._fail(
                "it gave no health status: it has no health service, or does not know this one"
            )
        return b""

    def _take(self, flags: int, payload: bytes) -> None:
        if flags & _PADDED:
            if not payload or payload[0] >= len(payload):
                self._fail("it does not speak HTTP/2")
                return
            payload = payload[1 : len(payload) - payload[0]]
        self._message += payload
        if len(self._message) < _MESSAGE_HEAD_BYTES:
            return
        is_compressed, size = struct.unpack_from("!BI", self._message)
        if is_compressed or size > _ANSWER_MAX_BYTES:
            self._fail("its health status cannot be read")
        elif len(self._message) >= _MESSAGE_HEAD_BYTES + size:
            message = bytes(self._message[_MESSAGE_HEAD_BYTES : _MESSAGE_HEAD_BYTES + size])
            try:
                status = HealthCheckResponse.FromString(message).status
                self.status = HealthCheckResponse.ServingStatus.Name(status)
            except (DecodeError, ValueError):
                self._fail("its health status cannot be read")

    def _fail(self, why: str) -> None:
        if not self.is_over:
            self.problem = why


def _literal(text: bytes) -> bytes:
    return bytes((len(text),)) + text
