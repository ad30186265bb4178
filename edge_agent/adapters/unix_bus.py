"""A client of a simulated bus on a Unix socket: for tests, simulators and ECUs in other processes.

Rule 1: the stamp is the sender's; the bus only carries it.
Rule 2: a bus that is not there yet, or gone, is Unavailable; the next `receive` tries to reach it again.
"""

import asyncio
import contextlib
import dataclasses
import socket
from pathlib import Path

import numpy as np

from edge_agent.adapters.blocks import concatenated, sliced
from edge_agent.adapters.readiness import Readiness
from edge_agent.adapters.unix_packet import (
    ALL_CHANNELS,
    PACKET_MAX_BYTES,
    RECORD,
    block_from_bytes,
    hello,
    packets,
)
from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.source import LIVE_BLOCK_MAX_FRAMES
from fairway.errors import BadInput, Unavailable

# Linux refuses longer names of sockets.
PATH_MAX_BYTES = 107


class UnixBus:
    """One channel of a simulated bus as a frame source; None takes all, each as the bus of its number."""

    def __init__(self, path: Path, *, bus: int = 0, channel: int | None = 0) -> None:
        if len(bytes(path)) > PATH_MAX_BYTES:
            raise BadInput(f"the path of a Unix socket has at most {PATH_MAX_BYTES} bytes: {path}")
        self._path = path
        self._bus = bus
        self._channel = channel
        self._socket: socket.socket | None = None
        self._held: FrameBlock | None = None  # received, not yet handed out
        self._readiness = Readiness()
        self._is_closed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Frames in packets that could not be read; what the bus's owner had to drop, it counts itself."""
        return self._dropped

    async def receive(self) -> FrameBlock | None:
        while not self._is_closed or self._held is not None:
            if self._held is None:
                await self._fill()
            else:
                # Whoever shares the event loop has a turn, however busy the bus is.
                await asyncio.sleep(0)
                return self._hand_out()
        return None

    async def send(self, frames: FrameBlock) -> None:
        """Send frames to everyone else on the bus, on our channel where we have one.  Raises Unavailable."""
        loop = asyncio.get_running_loop()
        if self._channel is not None:
            channel = np.full(len(frames), self._channel, np.uint8)
            frames = dataclasses.replace(frames, bus=channel)
        for packet in packets(frames):
            sock = self._connected()
            try:
                # A packet goes as a whole or not at all: sock_sendall needs no second write.
                await loop.sock_sendall(sock, packet)
            except OSError as error:
                raise self._gone(error) from error

    def close(self) -> None:
        """Close after taking in what the kernel still holds for us."""
        sock = self._socket
        if sock is not None:
            parts = [] if self._held is None else [self._held]
            with contextlib.suppress(Unavailable):
                while more := self._drain(sock, most=LIVE_BLOCK_MAX_FRAMES):
                    parts += more
            self._held = concatenated(parts) if parts else None
        if self._socket is not None:
            self._disconnect(self._socket)
        self._is_closed = True

    async def _fill(self) -> None:
        """Wait for at least one packet, and take all that came with it."""
        sock = self._connected()
        parts = self._drain(sock, most=LIVE_BLOCK_MAX_FRAMES)
        if not parts and self._socket is sock:
            await self._readiness.wait(sock)
            if self._socket is sock:
                parts = self._drain(sock, most=LIVE_BLOCK_MAX_FRAMES)
        if parts:
            self._held = concatenated(parts) if len(parts) > 1 else parts[0]

    def _drain(self, sock: socket.socket, *, most: int) -> list[FrameBlock]:
        """Take what is there without waiting, until `most` frames are reached."""
        packets: list[bytes] = []
        while most > 0:
            try:
                packet = sock.recv(PACKET_MAX_BYTES + 1)
            except BlockingIOError:
                break
            except OSError as error:
                if packets:
                    break  # the end shows again on the next try
                raise self._gone(error) from error
            if not packet:
                if packets:
                    break
                raise self._gone(None)
            most -= max(1, len(packet) // RECORD.itemsize)
            packets.append(packet)
        return self._read(packets) if packets else []

    def _read(self, packets: list[bytes]) -> list[FrameBlock]:
        try:
            # One look at many packets costs what a look at one does.
            block = block_from_bytes(*packets)
        except BadInput:
            if len(packets) > 1:
                return [block for packet in packets for block in self._read([packet])]
            self._dropped += max(1, len(packets[0]) // RECORD.itemsize)
            return []
        if self._channel is not None:
            block = dataclasses.replace(block, bus=np.full(len(block), self._bus, np.uint8))
        return [block]

    def _hand_out(self) -> FrameBlock:
        held = self._held
        assert held is not None
        if len(held) <= LIVE_BLOCK_MAX_FRAMES:
            self._held = None
            return held
        self._held = sliced(held, LIVE_BLOCK_MAX_FRAMES, len(held))
        return sliced(held, 0, LIVE_BLOCK_MAX_FRAMES)

    def _connected(self) -> socket.socket:
        if self._is_closed:
            raise Unavailable(f"the bus {self._path} was closed")
        if self._socket is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            sock.settimeout(0.0)
            try:
                sock.connect(str(self._path))
                sock.send(hello(self._channel))
            except OSError as error:
                sock.close()
                raise Unavailable(f"no bus at {self._path}: {error.strerror}") from error
            self._socket = sock
        return self._socket

    def _gone(self, error: OSError | None) -> Unavailable:
        if self._socket is not None:
            self._disconnect(self._socket)
        reason = error.strerror if error is not None else "its owner has closed it"
        return Unavailable(f"the bus {self._path} is gone: {reason}")

    def _disconnect(self, sock: socket.socket) -> None:
        self._socket = None
        self._readiness.wake(sock)
        sock.close()


def parse(text: str, *, bus: int = 0) -> UnixBus:
    """Read `PATH`, `PATH#2` or `PATH#*` as in unix:PATH#2.  Raises BadInput."""
    path, mark, number = text.rpartition("#")
    if not mark:
        return UnixBus(Path(text), bus=bus)
    if number == "*":
        return UnixBus(Path(path), channel=None)
    if not number.isdecimal() or int(number) >= ALL_CHANNELS:
        raise BadInput(f"the channel in unix:{text} is not a number below {ALL_CHANNELS}, nor *")
    return UnixBus(Path(path), bus=bus, channel=int(number))
