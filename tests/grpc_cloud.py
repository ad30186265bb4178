"""A cloud in a few lines behind a real gRPC server with client certificates: it keeps batches in a dictionary.

It behaves as the real one does: it must know the dictionary, stores a batch once, and answers with receipts.
With `has_control` it has the door of campaigns too: it keeps what vehicles say, and says what `orders` holds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import grpc
import grpc.aio

from edge_agent.adapters.uplink_grpc import CONTROL_METHOD, METHOD
from fairway.control import FromVehicle, ToVehicle
from fairway.samples import SampleBlock, joined
from fairway.telemetry import Dictionary, Outcome, Receipt, SealedBatch
from fairway.wire import telemetry as wire
from fairway.wire.control import from_vehicle_from_bytes, to_vehicle_to_bytes
from tests.certificates import Authority

Judge = Callable[[SealedBatch], Outcome | None]


@dataclass
class GrpcCloud:
    """`judge` may answer in its place, and None from it means silence."""

    authority: Authority
    refusal: grpc.StatusCode | None = None
    judge: Judge = lambda _: Outcome.STORED
    port: int = 0
    vehicles: list[str] = field(default_factory=list)
    dictionaries: dict[bytes, Dictionary] = field(default_factory=dict)
    batches: dict[tuple[str, int], SampleBlock] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    has_control: bool = False
    said: list[FromVehicle] = field(default_factory=list)
    sealed: list[SealedBatch] = field(default_factory=list)
    orders: asyncio.Queue[ToVehicle] = field(default_factory=asyncio.Queue)
    _server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen, on the same port each time."""
        files = self.authority.server()
        credentials = grpc.ssl_server_credentials(
            [(files.key.read_bytes(), files.certificate.read_bytes())],
            self.authority.ca.read_bytes(),
            require_client_auth=True,
        )
        service, name = METHOD[1:].split("/")
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(
            self._telemetry
        )
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", 1 << 25)])
        handlers = [grpc.method_handlers_generic_handler(service, {name: handler})]
        if self.has_control:
            service, name = CONTROL_METHOD[1:].split("/")
            control: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(
                self._control
            )
            handlers.append(grpc.method_handlers_generic_handler(service, {name: control}))
        self._server.add_generic_rpc_handlers(tuple(handlers))
        self.port = self._server.add_secure_port(f"127.0.0.1:{self.port}", credentials)
        await self._server.start()

    async def stop(self) -> None:
        """Cut every connection."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    def samples(self) -> int:
        """Return how many samples are stored."""
        return sum(len(block) for block in self.batches.values())

    def whole(self) -> SampleBlock:
        """Return everything that is stored, in order; all of it is of one dictionary."""
        blocks = [self.batches[name] for name in sorted(self.batches)]
        return joined([replace(block, table=blocks[0].table) for block in blocks])

    async def _telemetry(self, requests, context) -> AsyncIterator[bytes]:
        vehicle = context.auth_context()["x509_common_name"][0].decode()
        self.vehicles.append(vehicle)
        if self.refusal is not None:
            await context.abort(self.refusal, "go away")
        async for request in requests:
            receipt = self._answer(request, vehicle)
            if receipt is not None:
                self.outcomes.append(receipt.outcome)
                yield wire.receipts_to_bytes([receipt])

    async def _control(self, requests, _context) -> AsyncIterator[bytes]:
        async def hear() -> None:
            async for request in requests:
                self.said.append(from_vehicle_from_bytes(request))

        hearing = asyncio.create_task(hear())
        try:
            while True:
                yield to_vehicle_to_bytes(await self.orders.get())
        finally:
            hearing.cancel()

    def _answer(self, request: bytes, vehicle: str) -> Receipt | None:
        content = wire.request_from_bytes(request, vehicle=vehicle)
        if isinstance(content, Dictionary):
            self.dictionaries[content.id] = content
            return None
        stream, sequence = content.name.stream, content.name.sequence
        if (stream, sequence) in self.batches:
            return Receipt(stream, sequence, Outcome.DUPLICATE)
        if content.dictionary_id not in self.dictionaries:
            return Receipt(stream, sequence, Outcome.UNKNOWN_DICTIONARY)
        outcome = self.judge(content)
        if outcome is Outcome.STORED:
            table = self.dictionaries[content.dictionary_id].table
            self.batches[stream, sequence] = wire.opened(content, table)
            self.sealed.append(content)
        return None if outcome is None else Receipt(stream, sequence, outcome)
