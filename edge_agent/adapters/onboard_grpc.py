"""The on-board door: a gRPC server for apps in the vehicle, behind a guard that wants a token of each call.

    app > Unix socket or TLS > Guard (onboard_calls.py) > services: health, reflection, and what app.py hands in

Rule 1: the door opens whole or not at all: keys, certificate and address are checked before anything listens.
Rule 2: what one app sends is bounded: messages, metadata, calls of a connection, calls of all together.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from edge_agent.adapters.onboard_calls import Guard
from edge_agent.adapters.onboard_listen import Listen, SocketFile
from edge_agent.adapters.tokens import Verifier
from edge_agent.broker.counts import OnboardCounts
from fairway import log as logs
from fairway.errors import BadInput, FairwayError, Unavailable

log = logs.get("edge_agent.onboard")

# Adds a service to the server and returns its full name, for reflection.
AddService = Callable[[grpc.aio.Server], str]

# An app sends values of signals and lists of paths: all 1,263 paths of VSS 6.0 together are 60 kB.
MESSAGE_MAX_BYTES = 1_048_576
# The longest token, and what else a client says of itself.
METADATA_MAX_BYTES = 16_384
# Apps of one vehicle, several streams each; a connection is one app.
CALLS_MAX = 256
CALLS_PER_CONNECTION_MAX = 64
STOP_GRACE_S = 1.0
OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
    ("grpc.max_metadata_size", METADATA_MAX_BYTES),
    ("grpc.absolute_max_metadata_size", METADATA_MAX_BYTES),
    ("grpc.max_concurrent_streams", CALLS_PER_CONNECTION_MAX),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),  # two programs on one port would share apps by accident
]


@dataclass(frozen=True, slots=True)
class Tls:
    """The door's certificate, and who signed those of apps, if they need one."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class OnboardDoor:
    """Serves the apps of a vehicle."""

    def __init__(
        self,
        listen: Listen,
        verifier: Verifier,
        *,
        tls: Tls | None = None,
        group: str = "",
        is_socket_trusted: bool = False,
        services: Sequence[AddService] = (),
    ) -> None:
        if (listen.scheme == "tls") != (tls is not None):
            raise BadInput(
                f"{listen} and a certificate: TLS needs one with its key, nothing else does"
            )
        if is_socket_trusted and listen.scheme != "unix":
            raise BadInput(
                f"trust_socket is for Unix sockets alone: anybody can connect to {listen}"
            )
        self._listen = listen
        self._credentials = _credentials(tls) if tls is not None else None
        self._socket = SocketFile(listen.path, group=group) if listen.scheme == "unix" else None
        self._guard = Guard(verifier, is_socket_trusted=is_socket_trusted)
        self._services = services
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def counts(self) -> OnboardCounts:
        """What apps asked for, and what they were refused."""
        return self._guard.counts

    async def start(self) -> str:
        """Listen, and return where.  Raises BadInput, Conflict or Unavailable."""
        server = grpc.aio.server(
            interceptors=[self._guard], options=OPTIONS, maximum_concurrent_rpcs=CALLS_MAX
        )
        self._add_services(server)
        try:
            where = await self._listening(server)
        except FairwayError:
            await server.stop(None)
            raise
        self._server = server
        self._watching = asyncio.create_task(self._guard.watch())
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        log.info("onboard_listen", where=where)
        return where

    async def stop(self) -> None:
        """Say that the door closes, end what is open, and close."""
        await self._health.enter_graceful_shutdown()
        self._guard.close()
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        if self._server is not None:
            await self._server.stop(grace=STOP_GRACE_S)
        if self._socket is not None:
            self._socket.remove()

    def _add_services(self, server: grpc.aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = [add(server) for add in self._services]
        reflection.enable_server_reflection(
            [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
        )

    async def _listening(self, server: grpc.aio.Server) -> str:
        address = self._socket.prepare() if self._socket is not None else self._listen.authority
        try:
            port = (
                server.add_insecure_port(address)
                if self._credentials is None
                else server.add_secure_port(address, self._credentials)
            )
            await server.start()
            if self._socket is not None:
                self._socket.place()
        except RuntimeError as error:
            raise Unavailable(f"cannot listen for apps on {self._listen}: {error}") from error
        finally:
            if self._socket is not None and not self._socket.is_placed:
                self._socket.remove()
        if self._socket is not None:
            return str(self._listen)
        return f"{self._listen.scheme}://{self._listen.authority.rpartition(':')[0]}:{port}"


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    """Return what the door proves itself with.  Raises BadInput; gRPC is silent on a key that does not fit."""
    files = [tls.certificate, tls.key] + ([tls.client_ca] if tls.client_ca else [])
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
        certificate, key, *client_ca = [path.read_bytes() for path in files]
    except OSError as error:  # ssl.SSLError is one
        raise BadInput(
            f"{', '.join(map(str, files))}: no certificates for the door ({error})"
        ) from error
    return grpc.ssl_server_credentials(
        [(key, certificate)],
        root_certificates=client_ca[0] if client_ca else None,
        require_client_auth=bool(client_ca),
    )
