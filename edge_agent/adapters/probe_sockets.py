"""Sockets to a service: one in its socket folder, or a port on its own loopback.

    folder/name > opened, and seen to be a socket > connected by descriptor
    pid > its network namespace > a thread enters it, makes a socket there, and ends

Rule 1: the folder is the service's own: what is there may be a link to somewhere else, which is not followed.
Rule 2: a namespace is a thread's: the thread that enters one does nothing else, and no other thread follows.
"""

import asyncio
import ctypes
import os
import socket
import stat
import threading
from pathlib import Path

from fairway.errors import Unavailable

_CLONE_NEWNET = 0x4000_0000
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
            return await _connected(socket_of(pid, family), (address, port), f"its port {port}")
        except Unavailable as error:
            problem = error if family == socket.AF_INET else problem
    raise problem


def socket_of(pid: int, family: socket.AddressFamily) -> socket.socket:
    """Return a TCP socket in the network namespace of a process.  Raises Unavailable."""
    try:
        if _is_ours(pid):
            return socket.socket(family)
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"the network of process {pid} is not there: {error.strerror}") from error
    made: list[socket.socket | OSError] = []
    try:
        thread = threading.Thread(target=_make, args=(namespace, family, made), daemon=True)
        thread.start()
        thread.join()
    finally:
        os.close(namespace)
    if isinstance(made[0], OSError):
        raise Unavailable(f"the network of process {pid} cannot be entered: {made[0].strerror}")
    return made[0]


def _is_ours(pid: int) -> bool:
    own, other = Path("/proc/self/ns/net").stat(), Path(f"/proc/{pid}/ns/net").stat()
    return (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino)


def _make(
    namespace: int, family: socket.AddressFamily, made: list[socket.socket | OSError]
) -> None:
    kernel = ctypes.CDLL(None, use_errno=True)
    if kernel.setns(namespace, _CLONE_NEWNET) < 0:
        number = ctypes.get_errno()
        made.append(OSError(number, os.strerror(number)))
        return
    try:
        made.append(socket.socket(family))
    except OSError as error:
        made.append(error)


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
