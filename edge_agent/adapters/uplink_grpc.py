"""The gRPC uplink: two streams of one channel, telemetry and control, as bytes.

The messages are not parsed here: what the spool holds is what travels.
"""

import asyncio
from contextlib import suppress

import grpc
import grpc.aio

from edge_agent.adapters.grpc_tls import channel_credentials
from edge_agent.adapters.server_look import server_certificate
from edge_agent.adapters.uplink_tls import Address
from fairway.errors import BadInput, Denied, Unavailable
from fairway.signers.opening import open_signer

METHOD = "/fairway.v1.IngestService/Telemetry"
CONTROL_METHOD = "/fairway.v1.ControlService/Control"
CONNECT_TIMEOUT_S = 15.0
# As the wire's own limit; a batch is a few kilobytes.
MESSAGE_MAX_BYTES = 32 * 1024 * 1024
# A tunnel is noticed within a minute; a parked car's modem is not kept awake by more.
_OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)
_DENIED = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)

_Call = grpc.aio.StreamStreamCall[bytes, bytes]


class GrpcUplink:
    """An uplink over one gRPC channel at a time."""

    def __init__(self, target: Address) -> None:
        """Read the certificates, and open the key.  Raises BadInput, Unavailable."""
        self._target = target
        self._signer = open_signer(target.hardware_key) if target.hardware_key else None
        if target.is_secure:
            channel_credentials(target, self._signer)
        self._channel: grpc.aio.Channel | None = None
        self._call: _Call | None = None
        self._control: _Call | None = None

    async def connect(self) -> None:
        await self.close()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._channel = await self._opened()
                await self._ready(self._channel)
        except TimeoutError as error:
            await self.close()
            raise Unavailable(
                f"{self._target} does not answer within {CONNECT_TIMEOUT_S:g} s"
            ) from error
        except BaseException:
            await self.close()
            raise
        self._call = self._channel.stream_stream(METHOD)()
        self._control = self._channel.stream_stream(CONTROL_METHOD)()

    async def _opened(self) -> grpc.aio.Channel:
        """Return a channel that trusts the very server that was looked at, and no other."""
        where = f"{self._target.host}:{self._target.port}"
        if not self._target.is_secure:
            return grpc.aio.insecure_channel(where, options=_OPTIONS)
        shown = await server_certificate(self._target)
        try:  # what the files say now: the certificate may have been renewed
            credentials = channel_credentials(self._target, self._signer, trusted=shown)
        except BadInput as error:  # they were good when we started
            raise Unavailable(str(error)) from error
        return grpc.aio.secure_channel(where, credentials, options=_OPTIONS)

    async def _ready(self, channel: grpc.aio.Channel) -> None:
        state = channel.get_state(try_to_connect=True)
        while state is not grpc.ChannelConnectivity.READY:
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                raise Unavailable(
                    f"{self._target} cannot be reached, or does not know our certificate"
                )
            await channel.wait_for_state_change(state)
            state = channel.get_state(try_to_connect=True)

    async def send(self, request: bytes) -> None:
        await self._write(self._open(self._call), request)

    async def receive(self) -> bytes:
        return await self._read(self._open(self._call))

    async def send_control(self, request: bytes) -> None:
        await self._write(self._open(self._control), request)

    async def receive_control(self) -> bytes:
        return await self._read(self._open(self._control))

    async def close(self) -> None:
        calls, channel = (self._call, self._control), self._channel
        self._call = self._control = self._channel = None
        for call in calls:
            if call is not None:
                call.cancel()
        if channel is not None:
            with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                await channel.close()

    async def _write(self, call: _Call, request: bytes) -> None:
        if len(request) > MESSAGE_MAX_BYTES:
            raise BadInput(
                f"a message of {len(request)} bytes is over the limit of {MESSAGE_MAX_BYTES}"
            )
        try:
            await call.write(request)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise await self._ended(call) from error

    async def _read(self, call: _Call) -> bytes:
        try:
            response = await call.read()
        except grpc.aio.AioRpcError as error:
            raise await self._ended(call) from error
        if response is grpc.aio.EOF:
            raise await self._ended(call)
        assert isinstance(response, bytes)
        return response

    def _open(self, call: _Call | None) -> _Call:
        if call is None:
            raise Unavailable(f"there is no connection to {self._target}")
        return call

    async def _ended(self, call: _Call) -> Unavailable | Denied | BadInput:
        """Return why the stream ended, as an error of ours."""
        code, details = await call.code(), await call.details()
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return BadInput(f"{self._target} has no such door: {details or code.name}")
        if code in _DENIED:
            return Denied(f"{self._target} does not let this vehicle in: {details or code.name}")
        return Unavailable(f"the connection to {self._target} ended: {details or code.name}")
