"""Doors to a simulated bus, by one line of text.

unix:PATH                      a Unix socket: makes the bus there, or joins the one that is there already
socketcand:HOST:PORT           a socketcand server listening on that address
python-can:INTERFACE:CHANNEL   a device, or python-can's virtual bus
log:FILE                       a log file: .log, .asc, .blf, .trc
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from edge_agent.adapters.log_writers import open_writer
from edge_agent.adapters.unix_bus import UnixBus
from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.source import FrameSource
from fairway.errors import BadInput, Conflict, FairwayError, Unavailable
from simulators.bus import BACKLOG_MAX_FRAMES, PATIENCE_S, Bus, Front
from simulators.socketcand import SocketcandFront
from simulators.unix_front import UnixFront

KINDS = "unix:PATH, socketcand:HOST:PORT, python-can:INTERFACE:CHANNEL, log:FILE"


async def open_front(text: str, bus: Bus) -> Front:
    """Open the door that `text` names.  Raises BadInput or Unavailable."""
    kind, _, rest = text.partition(":")
    if not rest:
        raise BadInput(f"{text!r} is no way out of a bus; write one of {KINDS}")
    if kind == "unix":
        return await _unix(bus, Path(rest))
    if kind == "socketcand":
        host, _, port = rest.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise BadInput(f"{text!r} is not socketcand:HOST:PORT")
        server = SocketcandFront(bus, host, int(port))
        await server.open()
        return server
    if kind == "python-can":
        from edge_agent.adapters import can_bus  # noqa: PLC0415 - python-can takes seconds to import

        return DeviceFront(bus, can_bus.parse(rest))
    if kind == "log":
        return LogFront(bus, Path(rest))
    raise BadInput(f"{text!r} is no way out of a bus: {kind!r} is none of {KINDS}")


async def close_fronts(fronts: Sequence[Front]) -> None:
    """Close all of them, then raise what the first one complained about."""
    complaints = []
    for front in fronts:
        try:
            await front.close()
        except FairwayError as error:
            complaints.append(error)
    if complaints:
        raise complaints[0]


async def _unix(bus: Bus, path: Path) -> Front:
    front = UnixFront(bus, path)
    try:
        await front.open()
    except Conflict:
        return DeviceFront(bus, UnixBus(path, channel=None))
    return front


class Device(FrameSource, Protocol):
    """A frame source that can also send."""

    async def send(self, frames: FrameBlock) -> None:
        """Send frames.  Raises Unavailable."""
        ...


class DeviceFront:
    """Joins a bus and a device: what is on one is sent on the other."""

    def __init__(self, bus: Bus, device: Device) -> None:
        self._bus = bus
        self._device = device
        self._waiting: deque[FrameBlock] = deque()
        self._waiting_frames = 0
        self._changed = asyncio.Event()
        self._failure: FairwayError | None = None
        self._tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._receive())]
        bus.attach(self)

    def offer(self, frames: FrameBlock) -> bool:
        if self._waiting and self._waiting_frames + len(frames) > BACKLOG_MAX_FRAMES:
            return False
        self._waiting.append(frames)
        self._waiting_frames += len(frames)
        self._changed.set()
        return True

    async def room(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def wait_for(self, _clients: int) -> None:
        """Return at once: a device does not say who listens."""

    async def close(self) -> None:
        self._bus.detach(self)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self._waiting_frames and self._failure is None:
                    await self.room()
        self._device.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failure is not None:
            raise self._failure
        if self._waiting_frames:
            raise Unavailable(
                f"{self._waiting_frames} frames were not sent: the device is too slow"
            )

    async def _send(self) -> None:
        try:
            while True:
                while not self._waiting:
                    self._changed.clear()
                    await self._changed.wait()
                block = self._waiting[0]
                await self._device.send(block)
                self._waiting.popleft()
                self._waiting_frames -= len(block)
                self._changed.set()
        except FairwayError as error:
            self._failure = error
            self._changed.set()

    async def _receive(self) -> None:
        try:
            while (block := await self._device.receive()) is not None:
                await self._bus.send(block, sender=self)
        except FairwayError as error:
            self._failure = error
            self._changed.set()


class LogFront:
    """Records a bus in a log file."""

    def __init__(self, bus: Bus, path: Path) -> None:
        self._bus = bus
        self._writer = open_writer(path, bus.names)
        self._failure: FairwayError | None = None
        bus.attach(self)

    def offer(self, frames: FrameBlock) -> bool:
        try:
            self._writer.write(frames)
        except FairwayError as error:
            # The bus goes on without its record; whoever closes the front is told.
            self._failure = error
            self._bus.detach(self)
        return True

    async def room(self) -> None:
        """Return at once: a file has room until the disk has none."""

    async def wait_for(self, _clients: int) -> None:
        """Return at once: a file is always there."""

    async def close(self) -> None:
        self._bus.detach(self)
        try:
            self._writer.close()
        finally:
            if self._failure is not None:
                raise self._failure
