"""Sockets in the network of another process: a service's own loopback is in no other.

    pid > a handle of its network namespace > a thread that enters it, makes a socket there, and ends

Rule 1: a namespace is a thread's: the one that enters does nothing else, and no other thread follows.
Rule 2: a process is opened first and looked at then: its number may be another's a moment later.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fairway.errors import Unavailable

_CLONE_NEWNET = 0x4000_0000


@contextlib.contextmanager
def network_of(pid: int, uid: int | None = None) -> Iterator[int]:
    """Give a handle of the network of a process, of the user `uid` if one is named.  Raises Unavailable."""
    try:
        process = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"the process {pid} is not there: {error.strerror}") from error
    try:
        if uid is not None and _user(process) != uid:
            raise Unavailable(f"the process {pid} is not of the user {uid}")
        network = os.open("ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    except OSError as error:
        raise Unavailable(
            f"the network of process {pid} cannot be seen: {error.strerror}"
        ) from error
    finally:
        os.close(process)
    try:
        yield network
    finally:
        os.close(network)


def is_ours(network: int) -> bool:
    """Return whether it is the one that the agent is in."""
    theirs, ours = os.fstat(network), Path("/proc/self/ns/net").stat()
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


async def made_in(network: int, make: Callable[[], socket.socket]) -> socket.socket:
    """Return a socket that `make` makes there.  Raises Unavailable, and what `make` raises."""
    with ThreadPoolExecutor(1) as own:
        return await asyncio.get_running_loop().run_in_executor(own, _made_in, network, make)


def _made_in(network: int, make: Callable[[], socket.socket]) -> socket.socket:
    kernel = ctypes.CDLL(None, use_errno=True)
    if kernel.setns(network, _CLONE_NEWNET) < 0:
        raise Unavailable(f"a network cannot be entered: {os.strerror(ctypes.get_errno())}")
    return make()


def _user(process: int) -> int:
    """Return whose process it is; its folder may be root's all the same (proc(5), dumpable)."""
    with os.fdopen(os.open("status", os.O_RDONLY, dir_fd=process)) as status:
        said = next((line for line in status if line.startswith("Uid:")), "Uid: -1")
    return int(said.split()[1])
