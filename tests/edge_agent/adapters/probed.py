"""Servers that services have inside: HTTP and gRPC health, on a socket or a port."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


@asynccontextmanager
async def http_server(at: Path | int, status: Callable[[], int]) -> AsyncIterator[None]:
    """Answer every request with the status of now."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status()} So\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async with bytes_server(at, answer):
        yield


@asynccontextmanager
async def bytes_server(
    at: Path | int, answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]
) -> AsyncIterator[None]:
    """Serve whatever `answer` says, until it has said it or nobody needs it."""
    calls: dict[asyncio.Task[Any] | None, asyncio.StreamWriter] = {}

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls[asyncio.current_task()] = writer
        said = answer(reader, writer)
        if inspect.isawaitable(said):
            with contextlib.suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
                await said

    if isinstance(at, int):
        server = await asyncio.start_server(handle, "127.0.0.1", at)
    else:
        server = await asyncio.start_unix_server(handle, at)
    async with server:
        try:
            yield
        finally:
            for task, writer in calls.items():
                if task is not None:
                    task.cancel()
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()


class Health(health_pb2_grpc.HealthServicer):
    """The health service of one service."""

    def __init__(self, name: str, is_well: Callable[[], bool]) -> None:
        self._name, self._is_well = name, is_well

    async def Check(self, request, context):  # noqa: N802 - gRPC's own name
        if request.service != self._name:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        well, ill = (
            health_pb2.HealthCheckResponse.SERVING,
            health_pb2.HealthCheckResponse.NOT_SERVING,
        )
        return health_pb2.HealthCheckResponse(status=well if self._is_well() else ill)


@asynccontextmanager
async def health_server(
    at: Path | int, name: str, is_well: Callable[[], bool]
) -> AsyncIterator[None]:
    """Serve grpc.health.v1 for one service with the real library."""
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(Health(name, is_well), server)
    server.add_insecure_port(f"127.0.0.1:{at}" if isinstance(at, int) else f"unix:{at}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)
