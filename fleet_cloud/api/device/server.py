"""The device door at a socket: uvicorn with TLS, and the certificate of whoever speaks beside each request.

Rule 1: TLS is 1.2 at least.  A certificate need not be shown; one that is shown is of an authority of ours.
Rule 2: what the door shows and trusts follows its files: a tenant may be added, a certificate renewed.
Rule 3: whoever connects and says nothing is hung up on, as is whoever does not read what it asked for.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from fairway import log as logs
from fairway.errors import BadInput
from fleet_cloud.api.device.admission import CERTIFICATE
from fleet_cloud.api.device.ports import DoorNumbers

log = logs.get("fleet_cloud.updates")

_HEAD_MAX_BYTES = 64 * 1024
# Ten thousand vehicles at once on one process; beyond, 503 and come again.
CONNECTIONS_MAX = 10_000
# A vehicle polls every five minutes: a connection is not worth keeping for that.
_KEEP_ALIVE_S = 15
# For the first request after TLS is up.
_HEAD_TIMEOUT_S = 30.0
# A vehicle that has taken nothing for so long is in no tunnel any more.
_STALL_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class DoorTls:
    """What the door shows, and whom it trusts."""

    certificate: Path
    key: Path
    anchors: Path


class DoorProtocol(H11Protocol):
    """HTTP/1.1 that tells the certificate of its peer, and waits for nobody for ever."""

    _silence: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        self.app_state = {**self.app_state, CERTIFICATE: shown or b""}
        self._silence = self.loop.call_later(_HEAD_TIMEOUT_S, self._hang_up)

    def handle_events(self) -> None:
        super().handle_events()
        if self._silence is not None and self.conn.their_state is not h11.IDLE:
            self._silence.cancel()
            self._silence = None

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._silence, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self._stalled = self.loop.call_later(_STALL_TIMEOUT_S, self._hang_up)
        super().pause_writing()

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def _hang_up(self) -> None:
        self.transport.abort()


@asynccontextmanager
async def door(
    app: FastAPI,
    opened: socket.socket,
    *,
    tls: DoorTls,
    numbers: DoorNumbers,
    ended: Callable[[], None],
) -> AsyncIterator[None]:
    """Answer at `opened` while the body runs; `ended` is called when the server ends.  Raises BadInput."""
    settings = uvicorn.Config(
        app,
        http=DoorProtocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_HEAD_MAX_BYTES,
        ssl_certfile=tls.certificate,
        ssl_keyfile=tls.key,
        ssl_context_factory=lambda _config, _default: door_context(tls),
    )
    settings.load()
    server = uvicorn.Server(settings)
    numbers.connections = lambda: len(server.server_state.connections)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment] # signals are the program's
    task = asyncio.create_task(server.serve(sockets=[opened]))
    task.add_done_callback(lambda _: ended())
    try:
        yield
    finally:
        server.should_exit = True
        await task
        opened.close()


def door_context(tls: DoorTls) -> ssl.SSLContext:
    """Return a context that follows its files.  Raises BadInput."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    files = _Files(context, tls)
    try:
        files.load()
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"the device door cannot use its certificates: {error}") from error
    # Called at each handshake, also of clients that name no server.
    context.sni_callback = files.look
    return context


class _Files:
    """Certificates that may be renewed while the door is open."""

    def __init__(self, context: ssl.SSLContext, tls: DoorTls) -> None:
        self._context, self._tls = context, tls
        self._read: tuple[tuple[int, int], ...] = ()

    def load(self) -> None:
        """Read the files.  Raises OSError."""
        read = self._states()
        self._context.load_cert_chain(self._tls.certificate, self._tls.key)
        self._context.load_verify_locations(self._tls.anchors)
        self._read = read

    def look(self, _peer: Any, _name: str | None, _context: ssl.SSLContext) -> None:
        """Read them again when they have changed: for the handshakes to come, and for whom this one trusts."""
        with suppress(OSError):
            if self._states() != self._read:
                self._reload()

    def _reload(self) -> None:
        try:
            self.load()
        except OSError as error:  # half of two files: the next handshake looks again
            log.warning("door_files_unreadable", reason=str(error))

    def _states(self) -> tuple[tuple[int, int], ...]:
        files = (self._tls.certificate, self._tls.key, self._tls.anchors)
        return tuple((one.stat().st_mtime_ns, one.stat().st_ino) for one in files)
