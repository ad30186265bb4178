"""The gRPC door: fairway.v1.IngestService, the bulk door for telemetry; other services may stand behind it.

    vehicle ==Telemetry==> one stream: read a message, hand it in, read the next; receipts go out as they come

Rule 1: whose message it is comes from the client certificate, which TLS has checked and the registry knows; one
that is revoked is cut off at the next look at the fleet.
Rule 2: the next message is read when the intake took this one and the stream has few unanswered: HTTP/2's
flow control then stops the sender.
Rule 3: bytes pass through unparsed; they are read where MQTT's are.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio

from fairway import log as logs
from fairway.clock import Clock
from fairway.errors import Unavailable
from fairway.telemetry import Receipt
from fairway.wire.telemetry import receipts_to_bytes
from fleet_cloud.adapters.grpc_admission import Admission, Context, removed
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.ingest.accept import MESSAGE_MAX_BYTES
from fleet_cloud.ingest.ports import Answer, Fault, Message
from fleet_cloud.vehicles.certificates import Member

log = logs.get("fleet_cloud.grpc")

SERVICE = "fairway.v1.IngestService"
# Unanswered messages of one stream.  Of a few vehicles that catch up after an outage, one group is inserted,
# one waits and one is read: 1,200 batches of 1,000 samples.  Memory is bounded by the intake, in bytes.
UNANSWERED_MAX = 512
# Ten thousand vehicles, with telemetry and control apiece.
STREAMS_MAX = 20_000
# A vehicle that went through a tunnel is noticed before its stream costs anything worth mentioning.
_OPTIONS = [
    ("grpc.max_receive_message_length", 2 * MESSAGE_MAX_BYTES),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),  # two programs on one port would share vehicles by accident
]
_STATUS = {
    Fault.UNREADABLE: grpc.StatusCode.INVALID_ARGUMENT,
    Fault.DENIED: grpc.StatusCode.PERMISSION_DENIED,
}


class Streams(Protocol):
    """A service behind this door whose streams stay open."""

    def service(self) -> grpc.GenericRpcHandler:
        """Return what a gRPC server needs to answer."""
        ...

    async def review(self) -> None:
        """Close the streams of whoever may no longer connect."""
        ...

    async def stop(self) -> None:
        """Tell every vehicle to come again later."""
        ...


class _Stream:
    """One vehicle's open stream; everything here happens in the event loop."""

    def __init__(self, vehicle: str, sha256: str) -> None:
        self.vehicle = vehicle
        self.sha256 = sha256  # of its certificate
        self.receipts: list[Receipt] = []
        self.unanswered = 0
        self.is_read_to_end = False
        self.fault: Answer | None = None
        self.is_denied = False  # the vehicle was removed while the stream was open
        self.changed = asyncio.Condition()


class GrpcDoor:
    """Takes telemetry over gRPC, and sends receipts on the same stream."""

    def __init__(
        self,
        *,
        intake: Intake,
        clock: Clock,
        members: Callable[[], Mapping[str, Member]],
        region: str = "",
        services: Sequence[grpc.GenericRpcHandler] = (),  # what else is behind this door
        beside: Streams | None = None,  # whose streams end when this door says so
    ) -> None:
        """`region` is whose vehicles are let in, whatever TLS was told to trust; empty: any."""
        self._beside = beside
        self._services = (*services, *([beside.service()] if beside else ()))
        self._intake = intake
        self._clock = clock
        self._admission = Admission(members, region, "grpc")
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._streams: set[_Stream] = set()
        self._stopping = False
        self._server: grpc.aio.Server | None = None
        intake.call_when_room(self._tell_room)

    @property
    def connections(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    async def start(self, listen: str, *, ca: Path, certificate: Path, key: Path) -> int:
        """Listen with mutual TLS, and return the port.  Raises Unavailable when the address is taken."""
        server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=STREAMS_MAX)
        handler: Any = grpc.stream_stream_rpc_method_handler(self._telemetry)
        service = grpc.method_handlers_generic_handler(SERVICE, {"Telemetry": handler})
        server.add_generic_rpc_handlers((service, *self._services))
        try:
            port = server.add_secure_port(listen, _credentials(ca, certificate, key))
            await server.start()
        except RuntimeError as error:
            raise Unavailable(f"cannot listen for gRPC on {listen}: {error}") from error
        self._server = server
        return port

    async def stop(self) -> None:
        """Tell every vehicle to come again later, and close."""
        self._stopping = True
        if self._beside is not None:
            await self._beside.stop()
        for stream in tuple(self._streams):
            async with stream.changed:
                stream.changed.notify_all()
        self._room.set()
        if self._server is not None:
            await self._server.stop(grace=2.0)

    async def review(self) -> None:
        """Close the streams of vehicles and certificates that may no longer connect."""
        if self._beside is not None:
            await self._beside.review()
        for stream in tuple(self._streams):
            if not self._admission.may_connect(stream.vehicle, stream.sha256):
                stream.is_denied = True
                await _wake(stream)

    def answer(self, answers: Sequence[Answer]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: the streams are gone
            self._loop.call_soon_threadsafe(self._deliver, answers)

    def _deliver(self, answers: Sequence[Answer]) -> None:
        touched = set()
        for answer in answers:
            stream: _Stream = answer.message.token
            stream.unanswered -= 1
            if answer.receipt is not None:
                stream.receipts.append(answer.receipt)
            elif answer.fault is not None:
                stream.fault = stream.fault or answer
            touched.add(stream)
        for stream in touched:
            if stream in self._streams:
                asyncio.ensure_future(_wake(stream))  # noqa: RUF006 - it ends at once

    async def _telemetry(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        vehicle, sha256 = await self._admission.admit(context)
        stream = _Stream(vehicle, sha256)
        self._streams.add(stream)
        reader = asyncio.create_task(self._read(stream, requests))
        try:
            async for receipts in self._outgoing(stream):
                yield receipts_to_bytes(receipts)
            if stream.fault is not None and stream.fault.fault is not None:
                await context.abort(_STATUS[stream.fault.fault], stream.fault.reason[:500])
            if stream.is_denied:
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, removed(vehicle))
            if self._stopping:
                await context.abort(
                    grpc.StatusCode.UNAVAILABLE, "the cloud is stopping: come again later"
                )
        finally:
            reader.cancel()
            self._streams.discard(stream)
            with contextlib.suppress(asyncio.CancelledError):
                await reader

    async def _read(self, stream: _Stream, requests: AsyncIterator[bytes]) -> None:
        try:
            async for data in requests:
                await self._hand_in(stream, data)
                if self._is_over(stream):
                    return
        finally:
            stream.is_read_to_end = True
            await _wake(stream)

    async def _hand_in(self, stream: _Stream, data: bytes) -> None:
        message = Message(stream.vehicle, data, self._clock.now_ns(), self, stream)
        if stream.unanswered >= UNANSWERED_MAX:
            async with stream.changed:
                await stream.changed.wait_for(
                    lambda: stream.unanswered < UNANSWERED_MAX or self._is_over(stream)
                )
        while not self._is_over(stream):
            self._room.clear()
            if self._intake.offer(message):
                stream.unanswered += 1
                return
            await self._room.wait()

    async def _outgoing(self, stream: _Stream) -> AsyncIterator[list[Receipt]]:
        """Yield receipts as they come, until the vehicle has ended the stream and knows everything."""
        while True:
            async with stream.changed:
                await stream.changed.wait_for(
                    lambda: (
                        bool(stream.receipts)
                        or self._is_over(stream)
                        or (stream.is_read_to_end and not stream.unanswered)
                    )
                )
            if not stream.receipts:
                return
            receipts, stream.receipts = stream.receipts, []
            yield receipts

    def _is_over(self, stream: _Stream) -> bool:
        return self._stopping or stream.is_denied or stream.fault is not None

    def _tell_room(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._room.set)


def _credentials(ca: Path, certificate: Path, key: Path) -> grpc.ServerCredentials:
    """Return credentials that follow their files: a tenant may be added, a certificate renewed."""
    files = _Files(key, certificate, ca)
    changed: Any = files.changed  # its types know nothing of the None that its words promise
    return grpc.dynamic_ssl_server_credentials(
        files.read(), changed, require_client_authentication=True
    )


class _Files:
    """What the door shows and trusts; looked at before each handshake, in a thread of gRPC's."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._read: tuple[bytes, ...] = ()

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Return what the files say.  Raises OSError."""
        self._read = tuple(path.read_bytes() for path in self._paths)
        key, certificate, ca = self._read
        return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=ca)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what the files say now when it is something else; None goes on as before."""
        before = self._read
        try:
            now = self.read()
        except OSError as error:
            self._read = before
            log.warning("door_files_unreadable", reason=str(error))
            return None
        return None if self._read == before else now


async def _wake(stream: _Stream) -> None:
    async with stream.changed:
        stream.changed.notify_all()
