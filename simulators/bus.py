"""A simulated bus in one process: what one sends, every other listener gets.

    simulated vehicle --send--> Bus --offer--> BusSource (an agent in this process)
                                    --offer--> a Unix-socket, socketcand, python-can or log front

Rule 1: a bus may have several channels (can0, can1, ...); a frame's `bus` is its channel's number.
Rule 2: nothing is lost for being early: a sender waits for a listener that is full.  One that stays full
        for PATIENCE_S loses the block, and its count says so; nobody waits for it again until it reads.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from edge_agent.adapters.blocks import pieces
from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.source import LIVE_BLOCK_MAX_FRAMES
from fairway.errors import BadInput

# Longer than any pause a working reader makes; shorter than what a person takes for a hang.
PATIENCE_S = 1.0

# What may wait for one listener: 14 s of a full 500 kbit/s bus, about 6 MB.
BACKLOG_MAX_FRAMES = 65_536


class Listener(Protocol):
    """Whoever wants the frames of a bus."""

    def offer(self, frames: FrameBlock) -> bool:
        """Take `frames`, or return False when there is no room."""
        ...

    async def room(self) -> None:
        """Return when `offer` is worth another try."""
        ...


class Front(Protocol):
    """A door to a bus for other processes, or a file that records it."""

    async def wait_for(self, clients: int) -> None:
        """Return when at least so many clients are on the bus; at once where that cannot be known."""
        ...

    async def close(self) -> None:
        """Hand over everything taken, then close.  Raises Unavailable when that failed."""
        ...


class Bus:
    """The bus: attach listeners, then send."""

    def __init__(self, names: Sequence[str] = ("can0",)) -> None:
        self.names = tuple(names)  # of the channels
        self.sent = 0  # frames
        self.dropped = 0  # frames a listener was too slow for, summed over listeners
        self._listeners: list[Listener] = []
        self._slow: set[int] = set()  # ids of listeners that were waited for in vain

    def attach(self, listener: Listener) -> None:
        """Let `listener` have every frame from now on."""
        self._listeners.append(listener)

    def detach(self, listener: Listener) -> None:
        """Stop; harmless for one that is not attached."""
        if listener in self._listeners:
            self._listeners.remove(listener)
        self._slow.discard(id(listener))

    async def send(self, frames: FrameBlock, *, sender: Listener | None = None) -> None:
        """Give `frames` to everyone but `sender`."""
        self.sent += len(frames)
        for listener in tuple(self._listeners):
            if listener is sender:
                continue
            if listener.offer(frames):
                self._slow.discard(id(listener))
            elif id(listener) in self._slow or not await _offered(listener, frames):
                self._slow.add(id(listener))
                self.dropped += len(frames)


async def _offered(listener: Listener, frames: FrameBlock) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not listener.offer(frames):
                await listener.room()
    except TimeoutError:
        return False
    return True


class BusSource:
    """A listener that is a frame source: an agent, or a test, in the same process."""

    def __init__(self, bus: Bus, *, backlog_max_frames: int = BACKLOG_MAX_FRAMES) -> None:
        if backlog_max_frames < 1:
            raise BadInput(f"a backlog of {backlog_max_frames} frames holds nothing")
        self._bus = bus
        self._waiting: deque[FrameBlock] = deque()
        self._waiting_frames = 0
        self._backlog_max_frames = backlog_max_frames
        self._arrived = asyncio.Event()
        self._read = asyncio.Event()
        self._is_closed = False
        bus.attach(self)

    @property
    def dropped(self) -> int:
        """Always 0 here: the bus counts what a full listener missed."""
        return 0

    def offer(self, frames: FrameBlock) -> bool:
        if self._waiting and self._waiting_frames + len(frames) > self._backlog_max_frames:
            self._read.clear()
            return False
        self._waiting.extend(pieces(frames, LIVE_BLOCK_MAX_FRAMES))
        self._waiting_frames += len(frames)
        self._arrived.set()
        return True

    async def room(self) -> None:
        await self._read.wait()

    async def receive(self) -> FrameBlock | None:
        while not self._waiting:
            if self._is_closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        block = self._waiting.popleft()
        self._waiting_frames -= len(block)
        self._read.set()
        return block

    def close(self) -> None:
        self._bus.detach(self)
        self._is_closed = True
        self._arrived.set()
