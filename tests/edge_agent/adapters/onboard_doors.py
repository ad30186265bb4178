"""On-board doors on real sockets, an issuer of tokens, and a service of signals behind them, for tests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from edge_agent.adapters.onboard_calls import current_grant, current_rights
from edge_agent.adapters.onboard_grpc import OnboardDoor
from edge_agent.adapters.onboard_listen import Listen
from edge_agent.adapters.tokens import Verifier, load_keys
from edge_agent.broker.access import Action
from edge_agent.broker.claims import Expected
from fairway.clock import SystemClock
from fairway.errors import Unavailable
from tests.onboard_apps import Issuer, channel, refusal

SERVICE = "tests.Signals"
ALL_SERVICES = ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", SERVICE]


async def get(request: bytes, _context: Any) -> bytes:
    """Answer with who asks, if it may read what it names."""
    current_rights().need(Action.READ, request.decode())
    if request == b"Vehicle.Broken":
        raise Unavailable("the bus is not there")
    return current_grant().subject.encode()


async def subscribe(request: bytes, _context: Any) -> AsyncIterator[bytes]:
    """Answer for ever: slowly, or as fast as the reader takes it."""
    number = 0
    while True:
        current_rights().need(Action.READ, request.decode())
        yield b"x" * (100_000 if request == b"Vehicle.Flood" else 1)
        number += 1
        await asyncio.sleep(0 if request == b"Vehicle.Flood" else 0.05)


async def publish(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        current_rights().need(Action.PROVIDE_DATA, request.decode())
        yield request


def add_signals(server: grpc.aio.Server) -> str:
    makers: dict[str, Any] = {
        "Get": grpc.unary_unary_rpc_method_handler(get),
        "Subscribe": grpc.unary_stream_rpc_method_handler(subscribe),
        "Publish": grpc.stream_stream_rpc_method_handler(publish),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, makers),))
    return SERVICE


@pytest.fixture(name="issuer")
def issuer_of_tokens(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "issuer")


Opened = Callable[..., Any]


@pytest.fixture(name="opened")
def opened_doors(tmp_path: Path, issuer: Issuer) -> Opened:
    """Give what opens a door: by default a socket, with the issuer's key."""

    @asynccontextmanager
    async def door(listen: Listen | None = None, revoked: Path | None = None, **more: Any):
        keys = load_keys([issuer.public])
        verifier = Verifier(
            keys, Expected(frozenset({"kuksa.val"})), SystemClock(), revoked=revoked
        )
        listen = listen or Listen("unix", path=tmp_path / "run" / "onboard.sock")
        made = OnboardDoor(listen, verifier, services=[add_signals], **more)
        where = await made.start()
        try:
            yield made, where
        finally:
            await made.stop()

    return door


async def until(done: Callable[[], Any], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not done():
            await asyncio.sleep(0.02)


async def in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def asked(where: str, ask: Callable[[Any], Any], **more: Any) -> Any:
    """Return what a client in a thread of its own is answered."""

    def work() -> Any:
        with channel(where, **more) as app:
            return ask(app)

    return await in_thread(work)


async def refused(where: str, ask: Callable[[Any], Any], **more: Any) -> tuple[str, str]:
    """Return the status and the sentence a client is refused with."""
    with pytest.raises(grpc.RpcError) as error:
        await asked(where, ask, **more)
    return refusal(error.value)


def getting(path: str, *metadata: tuple[str, str]) -> Callable[[Any], bytes]:
    return lambda app: app.unary_unary(f"/{SERVICE}/Get")(
        path.encode(), metadata=metadata, timeout=10
    )
