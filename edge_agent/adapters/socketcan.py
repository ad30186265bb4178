"""SocketCAN, read thinly: a raw socket, kernel time stamps, overflow counts, many frames a system call.

    kernel queue --recvmmsg (C, no interpreter lock)--> columns          where it is compiled
                 --recvmsg, one by one----------------> columns          anywhere else

Rule 1: nothing is read ahead: what the agent has no time for waits in the kernel, and what the kernel has no
        room for it counts (SO_RXQ_OVFL); that count is `dropped`.
Rule 2: the stamp is the kernel's.  A device's own clock starts when it likes, so its stamps are taken only
        when asked for: then every bus of the agent must have devices that follow the wall clock.
Rule 3: a quiet bus has the delay of one frame, a busy one fills blocks of 256 by itself: there is no timer.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.adapters.blocks import Rows
from edge_agent.adapters.readiness import Readiness
from edge_agent.canbus.frames import (
    BIT_RATE_SWITCH,
    ERROR_STATE,
    FD,
    REMOTE,
    SENT_HERE,
    FrameBlock,
)
from edge_agent.canbus.source import LIVE_BLOCK_MAX_FRAMES
from fairway.clock import Clock, SystemClock
from fairway.errors import BadInput, Unavailable

try:
    from edge_agent.adapters._recvmmsg import Receiver
except ImportError:  # no compiler when this was installed: the reader in Python serves
    Receiver = None  # type: ignore[assignment,misc]

IS_COMPILED = Receiver is not None

# From Linux's asm-generic/socket.h (x86, Arm, RISC-V) and linux/can/raw.h: Python names only some of them.
AF_CAN = 29
CAN_RAW = 1
SOL_CAN_RAW = 101
CAN_RAW_FILTER = 1
CAN_RAW_ERR_FILTER = 2
CAN_RAW_FD_FRAMES = 5
CAN_ERR_MASK = 0x1FFF_FFFF
SO_TIMESTAMPNS = 35
SO_TIMESTAMPING = 37
SO_RXQ_OVFL = 40
# RX_HARDWARE | RX_SOFTWARE | SOFTWARE | RAW_HARDWARE: the device's stamp, or else the kernel's.
HARDWARE_STAMPS = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6
MSG_CONFIRM = 0x800

# Linux's own limit on filters of one socket.
FILTERS_MAX = 512

# Half a second of a full 500 kbit/s bus, at the 900 bytes or so that a queued frame costs the kernel.
RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024

_FRAME_BYTES = {16: 8, 72: 64}  # size of the struct: most data in it
_HEAD = struct.Struct("=IBB")
_TIMESPEC = struct.Struct("@ll")
_CONTROL_BYTES = 128


@dataclass(frozen=True, slots=True)
class Drained:
    """What one look at a socket gave."""

    block: FrameBlock
    malformed: int = 0  # datagrams that are no frames
    overflow: int = (
        -1
    )  # the kernel's running count of lost frames, modulo 2**32; -1: it did not say


Drain = Callable[[], Drained | None]


class FrameSocket:
    """Any datagram socket that delivers struct can_frame or canfd_frame, as a frame source."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        bus: int = 0,
        is_compiled: bool | None = None,
        hardware_stamps: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Take over `sock`; `is_compiled` False forces the reader in Python, True the one in C."""
        sock.settimeout(0.0)
        _ask_for_stamps(sock, hardware_stamps=hardware_stamps)
        self._socket = sock
        self._drain = drainer(sock, bus, is_compiled=is_compiled, clock=clock or SystemClock())
        self._readiness = Readiness()
        self._held: list[FrameBlock] = []  # taken in by `close`
        self._malformed = 0
        self._lost = 0
        self._overflow = 0
        self._is_closed = False

    @property
    def dropped(self) -> int:
        """Frames the kernel had no room for, and datagrams that were no frames."""
        return self._lost + self._malformed

    async def receive(self) -> FrameBlock | None:
        # Whoever shares the event loop has a turn, however busy the bus is.
        await asyncio.sleep(0)
        while not self._is_closed:
            block = self._take()
            if block is not None:
                return block
            await self._readiness.wait(self._socket)
        return self._held.pop(0) if self._held else None

    def close(self) -> None:
        """Close after taking in what the kernel still holds for us."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            # Bounded by the kernel's buffer; on a bus that never pauses, by the number of rounds.
            for _ in range(RECEIVE_BUFFER_BYTES // (LIVE_BLOCK_MAX_FRAMES * 16)):
                block = self._take()
                if block is None:
                    break
                self._held.append(block)
        except Unavailable:
            pass  # the bus was gone before we were
        self._readiness.wake(self._socket)
        self._socket.close()

    def send(self, frames: FrameBlock) -> None:
        """Hand frames to the kernel, which has room for some, or not.  Raises Unavailable."""
        for frame in frames.frames():
            size = 64 if frame.flags & FD else 8
            bits = 1 if frame.flags & BIT_RATE_SWITCH else 0  # CANFD_BRS
            head = _HEAD.pack(frame.can_id, len(frame.data), bits if frame.flags & FD else 0)
            try:
                self._socket.send(head + bytes(2) + frame.data.ljust(size, b"\0"))
            except OSError as error:  # the queue of the interface is full, or it is down
                raise Unavailable(f"the frame was not sent: {error.strerror}") from error

    def _take(self) -> FrameBlock | None:
        while True:
            try:
                drained = self._drain()
            except OSError as error:
                raise Unavailable(f"the CAN bus is gone: {error.strerror}") from error
            if drained is None:
                return None
            self._malformed += drained.malformed
            if drained.overflow >= 0:
                # The kernel's count has 32 bits and wraps; the difference is right all the same.
                self._lost += (drained.overflow - self._overflow) & 0xFFFF_FFFF
                self._overflow = drained.overflow
            if len(drained.block):
                return drained.block


class SocketCan:
    """A SocketCAN interface as a frame source; one that comes and goes is opened again when it is back."""

    def __init__(
        self,
        channel: str,
        *,
        bus: int = 0,
        filters: Sequence[tuple[int, int]] = (),
        hardware_stamps: bool = False,
    ) -> None:
        """Name the interface; `receive` opens it.  Raises BadInput for a name that can be none.

        `filters` are (can_id, mask) pairs with Linux's flag bits: the kernel hands over only what matches one.
        """
        if not 0 < len(channel) < 16 or "/" in channel:
            raise BadInput(
                f"{channel!r} is not the name of a network interface (1 to 15 characters)"
            )
        if len(filters) > FILTERS_MAX:
            raise BadInput(
                f"Linux takes at most {FILTERS_MAX} filters for a CAN socket, not {len(filters)}"
            )
        self._channel = channel
        self._bus = bus
        self._filters = filters
        self._hardware_stamps = hardware_stamps
        self._frames: FrameSocket | None = None
        self._dropped_before = 0  # by sockets that are gone
        self._is_closed = False

    @property
    def dropped(self) -> int:
        """Frames the kernel had no room for, and datagrams that were no frames."""
        return self._dropped_before + (self._frames.dropped if self._frames else 0)

    async def receive(self) -> FrameBlock | None:
        if self._frames is None:
            if self._is_closed:
                return None
            sock = _open(self._channel, self._filters)
            self._frames = FrameSocket(sock, bus=self._bus, hardware_stamps=self._hardware_stamps)
        try:
            return await self._frames.receive()
        except Unavailable as error:
            self._dropped_before += self._frames.dropped
            self._frames.close()
            self._frames = None
            raise Unavailable(f"{self._channel}: {error}") from error

    async def send(self, frames: FrameBlock) -> None:
        """Send frames through the socket that is open.  Raises Unavailable."""
        if self._frames is None:
            raise Unavailable(f"{self._channel} is not open: nothing can be sent")
        self._frames.send(frames)

    def close(self) -> None:
        self._is_closed = True
        if self._frames is not None:
            self._frames.close()


def _open(channel: str, filters: Sequence[tuple[int, int]]) -> socket.socket:
    """Open a raw CAN socket with CAN FD and error frames on.  Raises Unavailable."""
    try:
        sock = socket.socket(AF_CAN, socket.SOCK_RAW, CAN_RAW)
    except OSError as error:
        raise Unavailable(
            f"cannot open {channel}: this kernel has no SocketCAN ({error.strerror}); load the modules can "
            "and can_raw, or use python-can:... or socketcand:... as the source"
        ) from error
    try:
        sock.setsockopt(SOL_CAN_RAW, CAN_RAW_FD_FRAMES, 1)
        sock.setsockopt(SOL_CAN_RAW, CAN_RAW_ERR_FILTER, struct.pack("=I", CAN_ERR_MASK))
        if filters:
            pairs = [number for pair in filters for number in pair]
            sock.setsockopt(SOL_CAN_RAW, CAN_RAW_FILTER, struct.pack(f"={len(pairs)}I", *pairs))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sock.bind((channel,))
    except OSError as error:
        sock.close()
        raise Unavailable(f"cannot open the CAN interface {channel}: {error.strerror}") from error
    return sock


def drainer(sock: socket.socket, bus: int, *, is_compiled: bool | None, clock: Clock) -> Drain:
    """Return the function that takes up to 256 frames from `sock`: the compiled one where there is one."""
    if Receiver is not None and is_compiled is not False:
        return _compiled(Receiver(), sock, bus)
    if is_compiled:
        raise BadInput("the compiled CAN reader is not in this installation")
    return lambda: _drain_in_python(sock, bus, clock)


def _ask_for_stamps(sock: socket.socket, *, hardware_stamps: bool) -> None:
    try:
        if hardware_stamps:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, HARDWARE_STAMPS)
        else:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    except OSError as error:
        raise Unavailable(f"the kernel gives no time stamps here: {error.strerror}") from error


def _compiled(receiver: Receiver, sock: socket.socket, bus: int) -> Drain:
    buses = np.full(LIVE_BLOCK_MAX_FRAMES, bus, np.uint8)

    def drain() -> Drained | None:
        got = receiver.receive(sock.fileno())
        if got is None:
            return None
        frames, can_id, time_ns, flags, offset, payload, malformed, overflow = got
        block = FrameBlock(
            buses[:frames],
            np.frombuffer(can_id, np.uint32),
            np.frombuffer(time_ns, np.int64),
            np.frombuffer(flags, np.uint8),
            np.frombuffer(offset, np.uint32),
            np.frombuffer(payload, np.uint8),
        )
        return Drained(block, malformed, overflow)

    return drain


def _drain_in_python(sock: socket.socket, bus: int, clock: Clock) -> Drained | None:
    rows = Rows()
    malformed, overflow, datagrams = 0, -1, 0
    while datagrams < LIVE_BLOCK_MAX_FRAMES:
        try:
            frame, control, message_flags, _ = sock.recvmsg(72, _CONTROL_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            break
        datagrams += 1
        time_ns, lost = _read_control(control)
        overflow = lost if lost >= 0 else overflow
        data_max = _FRAME_BYTES.get(len(frame))
        if data_max is None or frame[4] > data_max or message_flags & socket.MSG_TRUNC:
            malformed += 1
            continue
        can_id, length, bits = _HEAD.unpack_from(frame)
        flags = SENT_HERE if message_flags & MSG_CONFIRM else 0
        if data_max == 64:
            flags |= FD | (BIT_RATE_SWITCH if bits & 1 else 0) | (ERROR_STATE if bits & 2 else 0)
        data = b"" if can_id & REMOTE else frame[8 : 8 + length]
        rows.add(can_id, data, time_ns or clock.now_ns(), bus, flags)
    return Drained(rows.take(), malformed, overflow) if datagrams else None


def _read_control(control: list[tuple[int, int, bytes]]) -> tuple[int, int]:
    """Return the stamp (0 for none) and the overflow count (-1 for none)."""
    time_ns, overflow = 0, -1
    for level, kind, data in control:
        if level != socket.SOL_SOCKET:
            continue
        if kind == SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            time_ns = _stamp_ns(data, 0)
        elif kind == SO_TIMESTAMPING and len(data) >= 3 * _TIMESPEC.size:
            time_ns = _stamp_ns(data, 2 * _TIMESPEC.size) or _stamp_ns(data, 0)
        elif kind == SO_RXQ_OVFL and len(data) >= 4:
            overflow = struct.unpack_from("=I", data)[0]
    return time_ns, overflow


def _stamp_ns(data: bytes, at: int) -> int:
    seconds, nanoseconds = _TIMESPEC.unpack_from(data, at)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
