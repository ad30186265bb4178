"""fairway.v1.ControlService, behind the gRPC door: campaigns, state templates and commands over one stream.

Rule 1: whose stream it is comes from the client certificate, as for telemetry; one that is revoked is cut off
at the next look at the fleet.
Rule 2: of two streams of one vehicle the newer one is spoken to: the older is of a connection that is gone.
Rule 3: a stream lasts until the vehicle, or the cloud, ends it, however silent it is.
Rule 4: what a vehicle does not read waits within bounds; beyond, its stream ends, and it checks in anew.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc

from fairway import log as logs
from fairway.errors import BadInput
from fairway.wire.control import from_vehicle_from_bytes
from fleet_cloud.adapters.control import Control
from fleet_cloud.adapters.grpc_admission import Admission, Context, removed
from fleet_cloud.vehicles.certificates import Member

log = logs.get("fleet_cloud.control")

SERVICE = "fairway.v1.ControlService"
# Some lists of campaigns, and every command that can be open.
OUTGOING_MAX = 256


class _Stream:
    """One vehicle's open stream; its queue belongs to the event loop."""

    def __init__(self, vehicle: str, sha256: str) -> None:
        self.vehicle = vehicle
        self.sha256 = sha256
        # None ends the stream.
        self.outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.end: tuple[grpc.StatusCode, str] | None = None


class ControlDoor:
    """Takes control messages over gRPC, and sends over the same streams."""

    def __init__(
        self, *, control: Control, members: Callable[[], Mapping[str, Member]], region: str = ""
    ) -> None:
        """`region` is whose vehicles are let in, whatever TLS was told to trust; empty: any."""
        self._control = control
        self._admission = Admission(members, region, "control")
        self._loop = asyncio.get_running_loop()
        # Changed in the event loop alone; the control thread looks single names up.
        self._streams: dict[str, _Stream] = {}

    def service(self) -> grpc.GenericRpcHandler:
        """Return what a gRPC server needs to answer."""
        handler: Any = grpc.stream_stream_rpc_method_handler(self._converse)
        return grpc.method_handlers_generic_handler(SERVICE, {"Control": handler})

    def send_control(self, vehicle: str, data: bytes) -> bool:
        stream = self._streams.get(vehicle)
        if stream is None:
            return False
        with contextlib.suppress(RuntimeError):  # the loop has been closed: the stream is gone
            self._loop.call_soon_threadsafe(_put, stream, data)
        return True

    async def review(self) -> None:
        """Close the streams of vehicles and certificates that may no longer connect."""
        for stream in tuple(self._streams.values()):
            if not self._admission.may_connect(stream.vehicle, stream.sha256):
                _end(stream, grpc.StatusCode.PERMISSION_DENIED, removed(stream.vehicle))

    async def stop(self) -> None:
        """Tell every vehicle to come again later."""
        for stream in tuple(self._streams.values()):
            _end(stream, grpc.StatusCode.UNAVAILABLE, "the cloud is stopping: come again later")

    async def _converse(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        vehicle, sha256 = await self._admission.admit(context)
        stream = _Stream(vehicle, sha256)
        before = self._streams.get(vehicle)
        self._streams[vehicle] = stream
        if before is not None:
            _end(before, grpc.StatusCode.UNAVAILABLE, "another stream of this vehicle was opened")
        reader = asyncio.create_task(self._read(stream, requests))
        try:
            while (data := await stream.outgoing.get()) is not None:
                yield data
            if stream.end is not None:
                await context.abort(*stream.end)
        finally:
            if self._streams.get(vehicle) is stream:
                del self._streams[vehicle]
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader

    async def _read(self, stream: _Stream, requests: AsyncIterator[bytes]) -> None:
        async for data in requests:
            try:
                from_vehicle_from_bytes(data)
            except BadInput as error:
                _end(stream, grpc.StatusCode.INVALID_ARGUMENT, str(error))
                return
            if not self._control.offer(stream.vehicle, data, self):
                log.warning("control_full", vehicle=stream.vehicle)


def _put(stream: _Stream, data: bytes) -> None:
    if stream.outgoing.qsize() >= OUTGOING_MAX:
        _end(stream, grpc.StatusCode.UNAVAILABLE, "too much is waiting to be read: check in anew")
        return
    stream.outgoing.put_nowait(data)


def _end(stream: _Stream, code: grpc.StatusCode, why: str) -> None:
    if stream.end is None:
        stream.end = (code, why[:500])
    stream.outgoing.put_nowait(None)
