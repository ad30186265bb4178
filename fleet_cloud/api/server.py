"""The API at a socket: uvicorn, with or without TLS, ended by who started it.

Rule 1: nothing a client sends is believed about its address unless it comes from a proxy that was named.
Rule 2: TLS is 1.2 at least, as the library's own defaults have it.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from fairway.errors import BadInput
from fleet_cloud.config import Api, Endpoint

# The request line and all headers; limits.py answers below that in words, beyond it the connection ends.
_HEAD_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What the API shows to prove who it is."""

    certificate: Path
    key: Path


def tls_of(settings: Api, where: Endpoint, certificate: Path, key: Path) -> ServerTls | None:
    """Return what the API shows; in the clear is only this machine, or a proxy in front.

    `certificate` and `key` are shown where the operator named no others.
    """
    if settings.certificate is not None and settings.key is not None:
        return ServerTls(settings.certificate, settings.key)
    if settings.plain or where.is_loopback:
        return None
    return ServerTls(certificate, key)


@asynccontextmanager
async def serving(
    api: FastAPI,
    opened: socket.socket,
    *,
    tls: ServerTls | None,
    proxies: Sequence[str],
    ended: Callable[[], None],
) -> AsyncIterator[None]:
    """Answer at `opened` while the body runs; `ended` is called when the server ends.  Raises BadInput."""
    settings = uvicorn.Config(
        api,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        h11_max_incomplete_event_size=_HEAD_MAX_BYTES,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    try:
        settings.load()
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"the API cannot use its certificate: {error}") from error
    server = uvicorn.Server(settings)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment] # signals are the program's
    task = asyncio.create_task(server.serve(sockets=[opened]))
    task.add_done_callback(lambda _: ended())
    try:
        yield
    finally:
        api.state.hang_up()
        server.should_exit = True
        await task
        opened.close()
