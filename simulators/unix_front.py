"""A simulated bus on a Unix socket: processes connect, say which channel they want, and are on the bus.

Rule 1: one packet carries many frames (edge_agent.adapters.unix_packet), so a busy bus costs few calls.
Rule 2: a client that sends garbage is counted and loses that packet, not its connection.
"""

import asyncio
import contextlib
import errno
import socket
from collections import deque
from pathlib import Path

import numpy as np

from edge_agent.adapters.blocks import taken
from edge_agent.adapters.unix_packet import (
    PACKET_MAX_BYTES,
    RECORD,
    block_from_bytes,
    channel_of,
    packets,
)
from edge_agent.canbus.frames import FrameBlock
from fairway.errors import BadInput, Conflict, Unavailable
from simulators.bus import BACKLOG_MAX_FRAMES, PATIENCE_S, Bus

# Tests and demos have a handful; more is a leak somewhere.
CLIENTS_MAX = 64

BACKLOG_MAX_BYTES = BACKLOG_MAX_FRAMES * RECORD.itemsize


class UnixFront:
    """Listens at a path and puts everyone who connects on the bus."""

    def __init__(self, bus: Bus, path: Path) -> None:
        self._bus = bus
        self._path = path
        self._socket: socket.socket | None = None
        self._clients: set[_Client] = set()
        self._joined = asyncio.Event()
        self.malformed = 0  # packets of clients that could not be read

    async def open(self) -> None:
        """Begin to listen.  Raises Conflict when a bus is there already, BadInput for an impossible path."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.settimeout(0.0)
        try:
            _bind(listener, self._path)
            listener.listen(CLIENTS_MAX)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                raise Conflict(f"there is a bus at {self._path} already") from error
            raise BadInput(f"cannot make a bus at {self._path}: {error}") from error
        self._socket = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    async def wait_for(self, clients: int) -> None:
        """Return when at least so many clients are on the bus."""
        while sum(client.is_on for client in self._clients) < clients:
            self._joined.clear()
            await self._joined.wait()

    async def close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            self._path.unlink(missing_ok=True)
        left = 0
        for client in tuple(self._clients):
            left += await client.flush()
            self._leave(client)
        if left:
            raise Unavailable(f"{left} packets to slow clients of {self._path} were not delivered")

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return  # it went away again
        if len(self._clients) >= CLIENTS_MAX:
            sock.close()
            return
        sock.settimeout(0.0)
        client = _Client(sock)
        self._clients.add(client)
        client.task = asyncio.get_running_loop().create_task(self._serve(client))

    async def _serve(self, client: "_Client") -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while packet := await loop.sock_recv(client.socket, PACKET_MAX_BYTES + 1):
                try:
                    if client.is_on:
                        await self._bus.send(block_from_bytes(packet), sender=client)
                    else:
                        client.channel = channel_of(packet)
                        client.is_on = True
                        self._bus.attach(client)
                        self._joined.set()
                except BadInput:
                    self.malformed += 1
        self._leave(client)

    def _leave(self, client: "_Client") -> None:
        self._bus.detach(client)
        self._clients.discard(client)
        client.close()


class _Client:
    """One connection: packets wait here until the kernel takes them."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.channel: int | None = None
        self.is_on = False
        self.task: asyncio.Task[None] | None = None
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._sent = asyncio.Event()

    def offer(self, frames: FrameBlock) -> bool:
        if self._waiting_bytes >= BACKLOG_MAX_BYTES:
            self._sent.clear()
            return False
        if self.channel is not None:
            rows = np.flatnonzero(frames.bus == self.channel)
            if len(rows) == 0:
                return True
            frames = frames if len(rows) == len(frames) else taken(frames, rows)
        is_idle = not self._waiting
        for packet in packets(frames):
            self._waiting.append(packet)
            self._waiting_bytes += len(packet)
        if is_idle:
            self._write()
            if self._waiting:
                asyncio.get_running_loop().add_writer(self.socket, self._write)
        return True

    async def room(self) -> None:
        await self._sent.wait()

    async def flush(self) -> int:
        """Wait until everything is sent, or PATIENCE_S; return how many packets were not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self._waiting:
                    self._sent.clear()
                    await self._sent.wait()
        return len(self._waiting)

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_writer(self.socket)
            loop.remove_reader(self.socket)
            self.socket.close()
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    def _write(self) -> None:
        try:
            while self._waiting:
                self.socket.send(self._waiting[0])
                self._waiting_bytes -= len(self._waiting.popleft())
        except BlockingIOError:
            pass  # the rest goes when the kernel has room
        except OSError:
            self._waiting.clear()  # it has gone; its task ends the rest
            self._waiting_bytes = 0
        if not self._waiting:
            asyncio.get_running_loop().remove_writer(self.socket)
        self._sent.set()


def _bind(listener: socket.socket, path: Path) -> None:
    """Bind, taking the place of a bus whose process died without removing its socket."""
    try:
        listener.bind(str(path))
    except OSError as error:
        if error.errno != errno.EADDRINUSE or _is_alive(path):
            raise
        path.unlink(missing_ok=True)
        listener.bind(str(path))


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.settimeout(0.0)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return True
        except ConnectionRefusedError:
            return not path.is_socket()
        except OSError:
            return True
    return True
