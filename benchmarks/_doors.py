"""Brokers that benchmarks talk to, each in a process of its own: the real on-board door, and a minimal peer.

    python -m benchmarks._doors ours SOCKET KEY [CATALOGUE]       the door: guard, rights, store, history
    python -m benchmarks._doors minimal SOCKET KEY [CATALOGUE]    grpc.aio, the same messages, nothing behind

Rule 1: both listen on a Unix socket, and apps show both a token; only the door reads it.
Rule 2: the minimal broker does what every broker must: it hands on messages to whom they are for.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from edge_agent.adapters.kuksa import services_of
from edge_agent.adapters.onboard_grpc import OnboardDoor
from edge_agent.adapters.onboard_listen import Listen
from edge_agent.adapters.tokens import Verifier, load_keys
from edge_agent.broker.claims import Expected
from edge_agent.broker.history import History
from edge_agent.broker.signals import Signals, signals_of
from edge_agent.broker.vehicle import VehicleData
from fairway.catalog.load import load_catalog
from fairway.catalog.model import Leaf
from fairway.clock import SystemClock
from fairway.foreign.kuksa.val.v2 import val_pb2
from fairway.samples import SignalTable
from tests.onboard_apps import Issuer, bearer

CATALOGUE = 1_263  # as many as VSS 6.0 has
VAL = "/kuksa.val.v2.VAL/"
QUEUE_MAX = 1000  # messages that wait for one app of the minimal broker
TOKEN_S = 3600


@dataclass(frozen=True, slots=True, eq=False)
class Broker:
    """A broker that runs."""

    address: str
    pid: int
    issuer: Issuer

    def shows(self, scope: str, app: str = "app") -> tuple[tuple[str, str], ...]:
        """Return the metadata of an app that may do this."""
        return bearer(self.issuer.token(scope, seconds=TOKEN_S, subject=app))

    def cpu_s(self) -> float:
        """Return the processor time it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def broker(
    kind: str, *, cores: set[int] | None = None, catalogue: Path | None = None
) -> AsyncIterator[Broker]:
    """Run a broker with the signals of `catalogue`, or with CATALOGUE numbers."""
    with tempfile.TemporaryDirectory(prefix="fairway-bench-") as name:
        path, issuer = Path(name) / "onboard.sock", Issuer(Path(name))
        more = [str(issuer.public), *([str(catalogue)] if catalogue else [])]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks._doors", kind, str(path), *more),
        )
        if cores is not None:
            os.sched_setaffinity(process.pid, cores)
        try:
            while not path.exists():
                if process.returncode is not None:
                    raise AssertionError(f"the broker {kind} ended before it listened")
                await asyncio.sleep(0.05)
            yield Broker(f"unix:{path}", process.pid, issuer)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


@contextlib.asynccontextmanager
async def channel(where: Broker) -> AsyncIterator[grpc.aio.Channel]:
    """Open a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(where.address, options=options) as opened:
        yield opened


async def _serve_ours(path: Path, key: Path, catalogue: Path | None) -> None:
    clock = SystemClock()
    if catalogue is not None:
        signals = signals_of(load_catalog([catalogue]), SignalTable(()))
    else:
        signals = Signals(
            Leaf(f"Vehicle.Bench.Signal{n}", "float", "sensor") for n in range(CATALOGUE)
        )
    data = VehicleData(signals, History(len(signals), count=1000, age_s=600, max_bytes=33_554_432))
    verifier = Verifier(load_keys([key]), Expected(frozenset({"kuksa.val"})), clock)
    door = OnboardDoor(Listen("unix", path=path), verifier, services=services_of(data, clock))
    await door.start()
    await asyncio.Event().wait()


@dataclass(slots=True)
class _Minimal:
    """As little as can be: queues of apps by the signals they want, and of providers by those they move."""

    readers: list[tuple[frozenset[int], asyncio.Queue[Any]]] = field(default_factory=list)
    movers: dict[int, asyncio.Queue[Any]] = field(default_factory=dict)

    async def subscribe(self, request: Any, context: Any) -> None:
        entry = (frozenset(request.signal_ids), asyncio.Queue[Any](QUEUE_MAX))
        self.readers.append(entry)
        try:
            await context.write(val_pb2.SubscribeByIdResponse())
            while True:
                await context.write(await entry[1].get())
        finally:
            self.readers.remove(entry)

    async def provide(self, requests: Any, context: Any) -> None:
        writing: asyncio.Task[None] | None = None
        async for request in requests:
            if request.HasField("publish_values_request"):
                self._publish(request.publish_values_request.data_points)
                continue
            outbox = asyncio.Queue[Any](QUEUE_MAX)
            for one in request.provide_actuation_request.actuator_identifiers:
                self.movers[one.id] = outbox
            await context.write(val_pb2.OpenProviderStreamResponse())
            writing = asyncio.create_task(_write(context, outbox))
        if writing is not None:
            writing.cancel()

    async def actuate(self, request: Any, _context: Any) -> Any:
        forwarded = val_pb2.OpenProviderStreamResponse(
            batch_actuate_stream_request=val_pb2.BatchActuateStreamRequest(
                actuate_requests=request.actuate_requests
            )
        )
        self.movers[request.actuate_requests[0].signal_id.id].put_nowait(forwarded)
        return val_pb2.BatchActuateResponse()

    def _publish(self, points: Any) -> None:
        response = val_pb2.SubscribeByIdResponse()
        for number, point in points.items():
            response.entries[number].CopyFrom(point)
        for ids, queue in self.readers:
            if not queue.full() and not ids.isdisjoint(points):
                queue.put_nowait(response)


async def _write(context: Any, outbox: asyncio.Queue[Any]) -> None:
    while True:
        await context.write(await outbox.get())


async def _serve_minimal(path: Path, _key: Path, _catalogue: Path | None) -> None:
    minimal, server = _Minimal(), grpc.aio.server()
    handlers: dict[str, Any] = {
        "SubscribeById": grpc.unary_stream_rpc_method_handler(
            minimal.subscribe,
            val_pb2.SubscribeByIdRequest.FromString,
            val_pb2.SubscribeByIdResponse.SerializeToString,
        ),
        "OpenProviderStream": grpc.stream_stream_rpc_method_handler(
            minimal.provide,
            val_pb2.OpenProviderStreamRequest.FromString,
            val_pb2.OpenProviderStreamResponse.SerializeToString,
        ),
        "BatchActuate": grpc.unary_unary_rpc_method_handler(
            minimal.actuate,
            val_pb2.BatchActuateRequest.FromString,
            val_pb2.BatchActuateResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("kuksa.val.v2.VAL", handlers),)
    )
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    serve = {"ours": _serve_ours, "minimal": _serve_minimal}[sys.argv[1]]
    at, public, *rest = map(Path, sys.argv[2:])
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(at, public, rest[0] if rest else None))
