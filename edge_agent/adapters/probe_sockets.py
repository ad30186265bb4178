"""Sockets to a service: one in its socket folder, or a port on its own loopback.

    folder/name > opened, and seen to be a socket > connected by descriptor
    pid > its network namespace > a socket in there > connected to its loopback

Rule 1: the folder is the service's own: what is there may be a link to somewhere else, which is not followed.
"""

import asyncio
import os
import socket
import stat
from functools import partial
from pathlib import Path

from edge_agent.adapters.network_namespaces import is_ours, made_in, network_of
from fairway.errors import Unavailable

_LOOPBACKS = (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6))


async def to_socket(folder: Path, name: str) -> socket.socket:
    """Return a connection to the socket `name` in a service's folder.  Raises Unavailable."""
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise Unavailable(f"{name[:80]!r} is no name of a socket in its folder")
    try:
        place = os.open(folder / name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"its socket {name} is not there: {error.strerror}") from error
    try:
        if not stat.S_ISSOCK(os.fstat(place).st_mode):
            raise Unavailable(f"{name} in its folder is no socket")
        return await _connected(
            socket.socket(socket.AF_UNIX), f"/proc/self/fd/{place}", f"its socket {name}"
        )
    finally:
        os.close(place)


async def to_port(pid: int, port: int) -> socket.socket:
    """Return a connection to a port on the loopback that the process `pid` sees.  Raises Unavailable."""
    problem = Unavailable(f"its port {port} takes no connection")
    for address, family in _LOOPBACKS:
        try:
            return await _connected(
                await _socket_of(pid, family), (address, port), f"its port {port}"
            )
        except Unavailable as error:
            problem = error if family == socket.AF_INET else problem
    raise problem


async def _socket_of(pid: int, family: socket.AddressFamily) -> socket.socket:
    """Return a TCP socket in the network namespace of a process.  Raises Unavailable."""
    make = partial(socket.socket, family)
    try:
        with network_of(pid) as network:
            return make() if is_ours(network) else await made_in(network, make)
    except OSError as error:
        raise Unavailable(f"process {pid} has no such network: {error.strerror}") from error


async def _connected(
    made: socket.socket, address: str | tuple[str, int], what: str
) -> socket.socket:
    made.settimeout(0)
    try:
        await asyncio.get_running_loop().sock_connect(made, address)
    except OSError as error:
        made.close()
        raise Unavailable(f"{what} takes no connection: {error.strerror}") from error
    except asyncio.CancelledError:
        made.close()
        raise
    return made
