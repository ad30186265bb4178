"""The door of one instance: its folder, and in it a socket where it has the rights of its manifest.

    service > agent.sock > Guard: its own token, or the socket alone > vehicle data, registry, health ...

Rule 1: who calls is known by the socket: one server for each, so no call can say wrongly who it is.
Rule 2: what is served is made once for all doors: a door costs a listening socket and a guard.
Rule 3: the door's rights are those of the manifest, as long as it is open; what they deny is noted.

Measured with 100 of them: 3 KiB of memory for a door, 39 KiB more for a connection with a subscription;
4 ms to open one, 0.8 ms for a look after all.
"""

from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from edge_agent.adapters.onboard_calls import Guard
from edge_agent.adapters.onboard_grpc import OPTIONS
from edge_agent.adapters.onboard_listen import SocketFile
from edge_agent.adapters.service_folder import (
    AGENT_SOCKET,
    KEYS,
    TOKEN,
    Inode,
    ServiceFolder,
    file_name,
)
from edge_agent.adapters.service_loopback import HOST, PORT, Loopback
from edge_agent.adapters.service_tokens import Mint, OwnToken
from edge_agent.broker.access import parse
from edge_agent.broker.claims import Grant
from edge_agent.services.denials import Denials, WatchedRights
from edge_agent.services.instance import SOCKETS, Instance
from edge_agent.services.registry import Sight
from fairway.clock import Clock
from fairway.errors import BadInput, FairwayError, Unavailable
from fairway.services.model import Access, Network, Runner
from fairway.services.ranges import range_of, version_of

# Calls of one service at a time: some streams, and a burst.
CALLS_MAX = 64
# A service is one program or a few; each connection takes a file of the agent's, which all services share.
CONNECTIONS_MAX = 16
STOP_GRACE_S = 0.5
_OPTIONS = [*OPTIONS, ("grpc.max_allowed_incoming_connections", CONNECTIONS_MAX)]


class Handlers:
    """What servers serve, gathered once: it takes what is added to a server."""

    def __init__(self) -> None:
        self.all: tuple[Any, ...] = ()

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Take handlers."""
        self.all += tuple(handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Any) -> None:
        """Leave these: they are among the others."""


@dataclass(frozen=True, slots=True)
class Link:
    """An offer that a service can call: whose socket was linked, and which."""

    instance: str
    inode: Inode


@dataclass(slots=True, eq=False)
class ServiceDoor:
    """One instance, served."""

    instance: Instance
    folder: ServiceFolder
    guard: Guard
    server: grpc.aio.Server
    socket: SocketFile
    loopback: Loopback
    pid: int = 0  # whose loopback it is; 0: nobody's yet
    links: dict[str, Link] = field(default_factory=dict)
    sights: tuple[Sight, ...] = ()

    @property
    def inside(self) -> str:
        """Return where the instance finds its folder."""
        return inside(self.instance)

    async def reach(self, pid: int) -> None:
        """Listen on the loopback of the instance, which runs as `pid`.  Raises BadInput or Unavailable."""
        await self.loopback.close()
        await self.loopback.open(pid, self.instance.uid)
        self.pid = pid

    async def stop(self) -> None:
        """Serve it no longer."""
        await self.loopback.close()
        self.guard.close()
        await self.server.stop(STOP_GRACE_S)
        self.socket.remove()


def inside(instance: Instance) -> str:
    """Return where an instance finds its socket folder."""
    is_isolated = instance.service.runner is Runner.CONTAINER
    return SOCKETS if is_isolated else str(instance.sockets)


def has_loopback(instance: Instance) -> bool:
    """Return whether an instance has a port, too: who cannot show a token may not know sockets either."""
    service = instance.service
    is_alone = service.runner is Runner.CONTAINER and service.network is Network.NONE
    return is_alone and service.access is Access.SOCKET


def check(instance: Instance) -> None:
    """Raise BadInput for names and versions of offers and uses that can never be served."""
    for offer in instance.service.offers:
        file_name(offer.name, "an offer")
        file_name(offer.socket, f"the socket of the offer {offer.name}")
        version_of(offer.version)
    for use in instance.service.uses:
        file_name(use.name, "an offer that is used")
        range_of(use.version)


async def open_door(
    instance: Instance, mint: Mint, handlers: Handlers, denials: Denials, clock: Clock
) -> ServiceDoor:
    """Make the folder of an instance and serve it there.  Raises BadInput, Conflict or Unavailable."""
    check(instance)
    folder = ServiceFolder(instance.sockets, instance.uid)
    socket = SocketFile(instance.sockets / AGENT_SOCKET, group=folder.group)
    guard = _guard(instance, mint, denials, clock)
    server = grpc.aio.server(
        interceptors=[guard], options=_OPTIONS, maximum_concurrent_rpcs=CALLS_MAX
    )
    server.add_generic_rpc_handlers(handlers.all)
    try:
        folder.write(KEYS, mint.jwks)
        folder.write(TOKEN, mint.own(instance))
        server.add_insecure_port(socket.prepare())
        await server.start()
        socket.place()
    except (FairwayError, RuntimeError) as error:
        await server.stop(None)
        socket.remove()
        folder.close()
        if isinstance(error, RuntimeError):
            raise Unavailable(f"cannot listen at {instance.sockets}: {error}") from error
        raise
    loopback = Loopback(instance.sockets / AGENT_SOCKET)
    return ServiceDoor(instance, folder, guard, server, socket, loopback)


def environment(instance: Instance) -> tuple[tuple[str, str], ...]:
    """Return what leads an instance, and the libraries it may be built with, to its door."""
    folder = inside(instance)
    socket = f"unix:{folder}/{AGENT_SOCKET}"
    libraries = f"grpc://{HOST}:{PORT}" if has_loopback(instance) else socket
    names = {
        "FAIRWAY_SOCKETS": folder,
        "FAIRWAY_AGENT": socket,
        "FAIRWAY_TOKEN_FILE": f"{folder}/{TOKEN}",
        "KUKSA_ADDRESS": libraries,  # kuksa-client
        "TOKEN_OR_TOKENFILE": f"{folder}/{TOKEN}",  # likewise
        "SDV_MIDDLEWARE_TYPE": "native",  # Velocitas
        "SDV_VEHICLEDATABROKER_ADDRESS": libraries,  # likewise
    }
    return tuple(names.items())


def _guard(instance: Instance, mint: Mint, denials: Denials, clock: Clock) -> Guard:
    service = instance.service

    def note(action: str, path: str, why: str) -> None:
        denials.note(service.name, action, path, why, now_ns=clock.now_ns())

    rights = WatchedRights(service.name, _scopes(instance), note)
    grant = Grant(service.name, rights, instance=instance.id)
    return Guard(
        OwnToken(mint, instance, grant, clock),
        is_socket_trusted=service.access is Access.SOCKET,
        socket=grant,
    )


def _scopes(instance: Instance) -> Any:
    words = instance.service.signals.scope.split()
    try:
        return [scope for word in words for scope in parse(word)]
    except BadInput as error:
        raise BadInput(f"the signals of {instance.service.name} cannot be read: {error}") from error
