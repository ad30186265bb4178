"""VISS at a socket: WebSocket with the subprotocols VISSv2 and VISSv3, and HTTP, by uvicorn; TLS like the door.

    wss://car:8090    Sec-WebSocket-Protocol: VISSv3        requests and events as texts of JSON
    GET /Vehicle/Speed?filter=...      POST /Vehicle/Cabin/Light {"value": "ON"}     Authorization: Bearer TOKEN

Rule 1: the address is taken before the agent says that it runs, or the agent does not start.
Rule 2: who names no subprotocol is served version 2; of HTTP, a filter that says `type` is of version 2.
Rule 3: what a client sends is bounded, and one that does not read is waited for in its own connection alone.
"""

import asyncio
import contextlib
import ipaddress
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import nullcontext
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from edge_agent.adapters.onboard_grpc import Tls
from edge_agent.adapters.onboard_listen import Listen
from edge_agent.adapters.viss_service import Viss
from edge_agent.adapters.viss_session import VissSession
from edge_agent.broker.viss_dialects import Dialect, Problem, Refused, error_of, status_of
from edge_agent.broker.viss_requests import (
    REQUEST_MAX_BYTES,
    Set,
    filter_in,
    get_of,
    path_of,
    value_in,
)
from fairway import log as logs
from fairway.errors import BadInput, Unavailable

log = logs.get("edge_agent.viss")

# Apps of one vehicle, and some pages of a head unit.
CONNECTIONS_MAX = 128
# The longest token, the longest URL with a filter, and what else a client says of itself.
_HEAD_MAX_BYTES = 65_536
_BODY_TIMEOUT_S = 10.0
# How long a connection may last, and between two requests, without a token that is good.
_STRANGER_MAX_S = 10.0
_STOP_GRACE_S = 1
_JSON = (b"content-type", b"application/json; charset=utf-8")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class VissDoor:
    """Serves VISS."""

    def __init__(self, listen: Listen, viss: Viss, tls: Tls | None = None) -> None:
        self._listen, self._viss = listen, viss
        self._settings = _settings(self._serve, tls)
        self._serving: asyncio.Task[None] | None = None
        self._server: uvicorn.Server | None = None

    async def start(self) -> str:
        """Listen, and return where.  Raises BadInput or Unavailable."""
        opened = _opened(self._listen)
        server = uvicorn.Server(self._settings)
        server.capture_signals = nullcontext  # type: ignore[method-assign,assignment] # the agent's own
        self._server = server
        self._serving = asyncio.create_task(server.serve(sockets=[opened]))
        host = self._listen.authority.rpartition(":")[0]
        where = f"{self._listen.scheme}://{host}:{opened.getsockname()[1]}"
        log.info("viss_listen", where=where)
        return where

    async def stop(self) -> None:
        """End what is open, and close."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await self._serving

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _websocket(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        chosen = _chosen(scope["subprotocols"])
        if chosen is None:
            await send({"type": "websocket.close"})
            return
        accept: Message = {"type": "websocket.accept"}
        if scope["subprotocols"]:
            accept["subprotocol"] = chosen.value
        await send(accept)

        async def tell(said: dict[str, Any]) -> None:
            # Who is gone is told nothing: `receive` says so next.
            with contextlib.suppress(OSError):
                await send({"type": "websocket.send", "text": json.dumps(said, ensure_ascii=False)})

        session = VissSession(self._viss, chosen, _bearer(scope), tell)
        try:
            while await self._goes_on(session, receive):
                pass
            await send({"type": "websocket.close", "code": 1008})
        except OSError:
            return  # it left before
        finally:
            await session.close()

    async def _goes_on(self, session: VissSession, receive: Receive) -> bool:
        """Answer a message, and return whether there may be another: not for one who shows no token."""
        patience_s = None if session.is_known else _STRANGER_MAX_S
        try:
            async with asyncio.timeout(patience_s):
                message = await receive()
        except TimeoutError:
            return False
        if message["type"] != "websocket.receive":
            raise ConnectionResetError
        await session.answer(message.get("text") or "")
        return True

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        dialect, status, headers = Dialect.V3, 200, [_JSON]
        try:
            filters = _filter(scope)
            if isinstance(filters, dict) and "type" in filters:
                dialect = Dialect.V2
            said = await self._answered(scope, filters, receive)
        except Refused as refused:
            self._viss.refused(refused)
            status = status_of(refused, dialect)
            said = {"error": error_of(refused, dialect)}
            if status == 401 and refused.problem is not Problem.READ_ONLY:
                headers.append((b"www-authenticate", b'Bearer error="invalid_token"'))
        body = json.dumps(said | {"ts": self._viss.now()}, ensure_ascii=False).encode()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if scope["method"] == "HEAD":
            body = b""
        await send({"type": "http.response.body", "body": body})

    async def _answered(self, scope: Message, filters: object, receive: Receive) -> dict[str, Any]:
        token, method = _bearer(scope), scope["method"]
        path = path_of(scope["path"])
        if method in ("GET", "HEAD"):
            return await self._viss.get(get_of(path, filters, None), token)
        if method != "POST":
            raise Refused(Problem.BAD_REQUEST, "the methods are GET to read and POST to update")
        self._viss.set(Set(path, value_in(await _body(receive))), token)
        return {}


def _settings(app: Any, tls: Tls | None) -> uvicorn.Config:
    """Return what the server is told.  Raises BadInput for certificates it cannot use."""
    settings = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        loop="none",
        interface="asgi3",
        http="h11",
        ws="websockets-sansio",
        ws_max_size=REQUEST_MAX_BYTES,
        ws_per_message_deflate=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_STOP_GRACE_S,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_HEAD_MAX_BYTES,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        ssl_ca_certs=str(tls.client_ca) if tls and tls.client_ca else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls and tls.client_ca else ssl.CERT_NONE,
    )
    try:
        settings.load()
    except OSError as error:  # ssl.SSLError is one
        raise BadInput(f"no certificates for VISS ({error})") from error
    return settings


def _opened(listen: Listen) -> socket.socket:
    """Return a socket that is bound.  Raises Unavailable."""
    try:
        is_v6 = ipaddress.ip_address(listen.host).version == 6
    except ValueError:
        is_v6 = False
    opened = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((listen.host, listen.port))
        opened.listen()
        opened.settimeout(0)
    except OSError as error:
        opened.close()
        raise Unavailable(f"cannot listen for VISS on {listen}: {error.strerror}") from error
    return opened


def _chosen(subprotocols: list[str]) -> Dialect | None:
    """Return the version to speak: the newest that is offered; None when none is known."""
    if not subprotocols:
        return Dialect.V2
    known = [dialect for dialect in (Dialect.V3, Dialect.V2) if dialect.value in subprotocols]
    return known[0] if known else None


def _bearer(scope: Message) -> str | None:
    shown = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(shown) != 1:
        return None
    scheme, _, token = shown[0].decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _filter(scope: Message) -> object:
    try:
        query = parse_qs(scope["query_string"].decode("ascii"), max_num_fields=8)
    except ValueError as error:
        raise Refused(Problem.BAD_REQUEST, "the query cannot be read") from error
    said = query.get("filter", [])
    if len(said) > 1:
        raise Refused(Problem.BAD_FILTER, "one filter may be given, or an array of two")
    return filter_in(said[0]) if said else None


async def _body(receive: Receive) -> str:
    """Return the body of a request.  Raises Refused for one that is too long, too slow or no text."""
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            while True:
                message = await receive()
                parts.append(message.get("body", b""))
                if sum(map(len, parts)) > REQUEST_MAX_BYTES:
                    raise Refused(Problem.BAD_REQUEST, "the body is too long")
                if not message.get("more_body", False):
                    return b"".join(parts).decode()
    except TimeoutError as error:
        raise Refused(Problem.BAD_REQUEST, "the body did not come") from error
    except UnicodeDecodeError as error:
        raise Refused(Problem.BAD_REQUEST, "the body is no text") from error
