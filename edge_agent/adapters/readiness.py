"""Waiting for a socket to have something to read, without taking it: a wait that is cancelled loses nothing."""

import asyncio
import socket


class Readiness:
    """One waiter for one socket at a time; the event loop watches the socket only while somebody waits."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None

    async def wait(self, sock: socket.socket) -> None:
        """Return when `sock` can be read from, or when `wake` was called."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiter = waiter
        loop.add_reader(sock, _finish, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if sock.fileno() >= 0:
                loop.remove_reader(sock)

    def wake(self, sock: socket.socket) -> None:
        """End the wait now: `sock` is about to be closed."""
        if self._waiter is not None:
            self._waiter.get_loop().remove_reader(sock)
            _finish(self._waiter)


def _finish(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
