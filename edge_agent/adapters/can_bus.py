"""Any device that python-can can open, as a frame source.

    python-can's Bus --recv, in a thread--> queue --> receive()

Rule 1: what the thread has taken in is handed out, also after `close`.
Rule 2: a queue that is full drops the newest frame and counts it; what a driver drops it does not tell.
Rule 3: foreign errors become ours here; a device that is gone is opened again by the next `receive`.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import can

from edge_agent.adapters.blocks import Rows
from edge_agent.canbus.frames import (
    BIT_RATE_SWITCH,
    ERROR,
    ERROR_STATE,
    EXTENDED,
    FD,
    REMOTE,
    SENT_HERE,
    Frame,
    FrameBlock,
)
from edge_agent.canbus.source import LIVE_BLOCK_MAX_FRAMES
from fairway.clock import Clock, SystemClock
from fairway.errors import BadInput, FairwayError, Unavailable

# 14 s of a full 500 kbit/s bus, about 30 MB of python-can's messages.
QUEUE_MAX_FRAMES = 65_536

# How long the thread may overlook that it is to end.
POLL_S = 0.2

_FOREIGN = (can.CanError, OSError, TimeoutError)


class CanBus:
    """One python-can bus; extra keywords go to `can.Bus` as they are."""

    def __init__(
        self,
        interface: str,
        channel: str,
        *,
        bus: int = 0,
        clock: Clock | None = None,
        queue_max_frames: int = QUEUE_MAX_FRAMES,
        **options: Any,
    ) -> None:
        """Name the device; `receive` and `send` open it."""
        self._interface = interface
        self._channel = channel
        self._bus = bus
        self._clock = clock or SystemClock()
        self._queue_max_frames = queue_max_frames
        self._options = options
        self._device: can.BusABC | None = None
        self._thread: threading.Thread | None = None
        self._queue: deque[can.Message] = deque()
        self._changed = asyncio.Event()
        self._failure: FairwayError | None = None
        self._dropped = 0
        self._is_closed = False

    @property
    def dropped(self) -> int:
        """Frames that did not fit the queue."""
        return self._dropped

    async def receive(self) -> FrameBlock | None:
        while not self._queue:
            if self._is_closed:
                return None
            self._start()
            await self._change(lambda: bool(self._queue))
        # Whoever shares the event loop has a turn, however busy the bus is.
        await asyncio.sleep(0)
        return self._hand_out()

    async def send(self, frames: FrameBlock) -> None:
        """Send frames.  Raises Unavailable, or BadInput for one the device cannot send."""
        self._start()
        while (device := self._device) is None:
            await self._change(lambda: self._device is not None)
        for frame in frames.frames():
            try:
                await asyncio.to_thread(device.send, message_of(frame))
            except _FOREIGN as error:
                raise Unavailable(f"cannot send on {self._name()}: {error}") from error

    def close(self) -> None:
        self._is_closed = True
        self._join()
        self._changed.set()

    def _name(self) -> str:
        return f"python-can:{self._interface}:{self._channel}"

    def _start(self) -> None:
        """Start the thread if none runs.  Raises Unavailable once the bus was closed."""
        if self._is_closed:
            raise Unavailable(f"{self._name()} was closed")
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(
                target=self._run, args=(loop,), name=self._name(), daemon=True
            )
            self._thread.start()

    async def _change(self, is_done: Callable[[], bool]) -> None:
        """Wait until `is_done`, the source is closed, or the thread has failed: that is raised."""
        while not (is_done() or self._is_closed or self._failure is not None):
            self._changed.clear()
            if not (is_done() or self._failure is not None):
                await self._changed.wait()
        if self._failure is not None and not is_done():
            failure, self._failure = self._failure, None
            self._join()
            raise failure

    def _join(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread: open the device and move messages to the queue until the source is closed."""
        try:
            self._device = device = self._opened()
            _call(loop, self._changed)
            try:
                while not self._is_closed:
                    self._take(device.recv(POLL_S), loop)
                # What the device still holds; bounded, for a bus that never pauses.
                for _ in range(QUEUE_MAX_FRAMES):
                    message = device.recv(0.0)
                    if message is None:
                        break
                    self._take(message, loop)
            finally:
                self._device = None
                device.shutdown()
        except FairwayError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 - drivers raise what they like; `receive` tells it
            self._failure = Unavailable(f"{self._name()} is gone: {error}")
        _call(loop, self._changed)

    def _opened(self) -> can.BusABC:
        """Open the device.  Raises Unavailable or BadInput."""
        try:
            return can.Bus(channel=self._channel, interface=self._interface, **self._options)
        except (can.CanInterfaceNotImplementedError, TypeError, ValueError) as error:
            raise BadInput(f"python-can cannot open {self._name()}: {error}") from error
        except (*_FOREIGN, ImportError) as error:
            raise Unavailable(f"{self._name()} is not there: {error}") from error

    def _take(self, message: can.Message | None, loop: asyncio.AbstractEventLoop) -> None:
        if message is None:
            return
        if len(self._queue) >= self._queue_max_frames:
            self._dropped += 1
            return
        is_first = not self._queue
        self._queue.append(message)
        if is_first:
            _call(loop, self._changed)

    def _hand_out(self) -> FrameBlock:
        rows = Rows()
        for _ in range(min(len(self._queue), LIVE_BLOCK_MAX_FRAMES)):
            message = self._queue.popleft()
            # An interface without stamps says 0: then now is the best anybody knows.
            time_ns = round(message.timestamp * 1e6) * 1000 or self._clock.now_ns()
            rows.add(_id_of(message), _data_of(message), time_ns, self._bus, _flags_of(message))
        return rows.take()


def message_of(frame: Frame) -> can.Message:
    """Return `frame` as python-can's message.  Raises BadInput."""
    try:
        return can.Message(
            timestamp=frame.time_ns / 1e9,
            arbitration_id=frame.can_id & (0x1FFF_FFFF if frame.can_id & EXTENDED else 0x7FF),
            is_extended_id=bool(frame.can_id & EXTENDED),
            is_remote_frame=bool(frame.can_id & REMOTE),
            is_error_frame=bool(frame.can_id & ERROR),
            is_fd=bool(frame.flags & FD),
            bitrate_switch=bool(frame.flags & BIT_RATE_SWITCH),
            error_state_indicator=bool(frame.flags & ERROR_STATE),
            data=frame.data,
            check=True,
        )
    except ValueError as error:
        raise BadInput(f"the frame 0x{frame.can_id:x} is no CAN message: {error}") from error


def _id_of(message: can.Message) -> int:
    can_id = message.arbitration_id & 0x1FFF_FFFF
    if message.is_error_frame:
        return ERROR | can_id
    can_id |= EXTENDED if message.is_extended_id else 0
    return can_id | (REMOTE if message.is_remote_frame else 0)


def _data_of(message: can.Message) -> bytes:
    return b"" if message.is_remote_frame else bytes(message.data[:64])


def _flags_of(message: can.Message) -> int:
    flags = 0 if message.is_rx else SENT_HERE
    if message.is_fd:
        flags |= FD
        flags |= BIT_RATE_SWITCH if message.bitrate_switch else 0
        flags |= ERROR_STATE if message.error_state_indicator else 0
    return flags


def _call(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the event loop has ended: nobody waits any more
        loop.call_soon_threadsafe(event.set)


def parse(text: str, *, bus: int = 0) -> CanBus:
    """Read `INTERFACE:CHANNEL` as in python-can:INTERFACE:CHANNEL.  Raises BadInput."""
    interface, colon, channel = text.partition(":")
    if not interface or not colon or not channel:
        raise BadInput(f"python-can:{text} is not a source; write python-can:INTERFACE:CHANNEL")
    return CanBus(interface, channel, bus=bus)
