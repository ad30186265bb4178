"""A bus behind a socketcand server, as a frame source.

    < hi >  < open can0 >  < ok >  < rawmode >  < ok >  < frame 123 1533226488.228954 1122 > ...

Why not python-can's client: when the server goes away it spins without telling anybody.

Rule 1: the stamp is the server's, to the last digit it sends.
Rule 2: a server that is not there, or gone, is Unavailable; the next `receive` tries to reach it again.
Rule 3: a wait that is cancelled leaves a handshake under way alone: on a busy machine none would ever end.
"""

import asyncio
import contextlib
import re
import socket

from edge_agent.adapters.blocks import Rows, pieces
from edge_agent.adapters.log_model import TIME_MAX_S, fraction_ns
from edge_agent.adapters.readiness import Readiness
from edge_agent.canbus.frames import ERROR, EXTENDED, FD, ID_MASK, REMOTE, Frame, FrameBlock
from edge_agent.canbus.source import LIVE_BLOCK_MAX_FRAMES
from fairway.errors import BadInput, Unavailable

# A server answers a greeting at once or is none.
HANDSHAKE_TIMEOUT_S = 5.0

# One read takes some 1,000 frames; more waits in the kernel and slows the server, as TCP does.
READ_BYTES = 64 * 1024

# The longest honest message has some 60 bytes: what is longer is not this protocol.
MESSAGE_MAX_BYTES = 2048

_MESSAGE = re.compile(rb"<([^<>]*)>")
_FRAME = re.compile(
    rb" (frame|error) ([0-9A-Fa-f]{1,8}) (\d{1,10})\.(\d{1,9}) ?((?:[0-9A-Fa-f]{2} ?){0,8}) ?"
)


class SocketcandBus:
    """One channel of a socketcand server."""

    def __init__(self, host: str, port: int, channel: str, *, bus: int = 0) -> None:
        """Name the server; `receive` and `send` connect to it."""
        self._host = host
        self._port = port
        self._channel = channel
        self._bus = bus
        self._socket: socket.socket | None = None
        self._readiness = Readiness()
        self._connecting: asyncio.Task[None] | None = None
        self._rest = b""  # the beginning of a message
        self._held: list[FrameBlock] = []
        self._dropped = 0
        self._is_closed = False

    @property
    def dropped(self) -> int:
        """Messages that could not be read."""
        return self._dropped

    async def receive(self) -> FrameBlock | None:
        # Whoever shares the event loop has a turn, however busy the bus is.
        await asyncio.sleep(0)
        while not self._held:
            if self._is_closed:
                return None
            sock = await self._connected()
            if sock is not None and not self._drain(sock):
                await self._readiness.wait(sock)
        return self._held.pop(0)

    async def send(self, frames: FrameBlock) -> None:
        """Send frames.  Raises Unavailable, or BadInput for what the protocol cannot say."""
        text = "".join(message_of(frame) for frame in frames.frames())
        sock = await self._connected()
        if sock is None:
            raise Unavailable(f"{self._name()} was closed")
        try:
            await asyncio.get_running_loop().sock_sendall(sock, text.encode())
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from error

    def close(self) -> None:
        """Close after taking in what the kernel still holds for us."""
        if self._socket is not None:
            with contextlib.suppress(Unavailable):
                # Bounded by what a kernel buffers; a server that never pauses ends here too.
                for _ in range(64):
                    if not self._drain(self._socket):
                        break
        self._is_closed = True
        self._disconnect()

    def _name(self) -> str:
        return f"socketcand:{self._host}:{self._port}:{self._channel}"

    async def _connected(self) -> socket.socket | None:
        """Return the connection, made now if there is none; None once the source was closed."""
        if self._socket is None:
            if self._connecting is None or self._connecting.done():
                self._connecting = asyncio.create_task(self._connect())
                self._connecting.add_done_callback(_look)
            try:
                await asyncio.shield(self._connecting)
            except (OSError, TimeoutError) as error:
                reason = getattr(error, "strerror", None) or str(error) or "no answer"
                raise Unavailable(f"{self._name()} is not there: {reason}") from error
        return self._socket

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            family, kind, protocol, _, address = found[0]
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(0.0)
            try:
                await loop.sock_connect(sock, address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._rest = b""
                await self._expect(sock, "hi")
                for command in (f"open {self._channel}", "rawmode"):
                    await loop.sock_sendall(sock, f"< {command} >".encode())
                    await self._expect(sock, "ok")
            except BaseException:
                sock.close()
                raise
        if self._is_closed:
            sock.close()
        else:
            self._socket = sock

    async def _expect(self, sock: socket.socket, word: str) -> None:
        """Read one message; what follows it stays in `_rest`."""
        loop = asyncio.get_running_loop()
        while b">" not in self._rest:
            more = await loop.sock_recv(sock, MESSAGE_MAX_BYTES)
            self._rest += more
            if not more or len(self._rest) > MESSAGE_MAX_BYTES:
                raise OSError(f"it does not say < {word} >")
        message, _, self._rest = self._rest.partition(b">")
        if message.split() != [b"<", word.encode()]:
            said = message[:60].decode("ascii", "replace")
            raise OSError(f"it says {said!r} instead of < {word} >")

    def _drain(self, sock: socket.socket) -> bool:
        """Take in what is there; False when there is nothing.  Raises Unavailable at the end."""
        if b">" in self._rest:
            data = b""  # frames that came along with the handshake
        else:
            try:
                data = sock.recv(READ_BYTES)
            except BlockingIOError:
                return False
            except OSError as error:
                raise self._gone(error.strerror or str(error)) from error
            if not data:
                raise self._gone("its server has closed the connection")
        block, self._rest, malformed = frames_of(self._rest + data, self._bus)
        if len(self._rest) > MESSAGE_MAX_BYTES:
            self._rest = b""
            malformed += 1
        self._dropped += malformed
        self._held += pieces(block, LIVE_BLOCK_MAX_FRAMES)
        return True

    def _gone(self, reason: str) -> Unavailable:
        self._disconnect()
        return Unavailable(f"{self._name()} is gone: {reason}")

    def _disconnect(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            self._readiness.wake(sock)
            sock.close()


def _look(connecting: "asyncio.Task[None]") -> None:
    """Take note of how it ended, for when nobody waits any more."""
    if not connecting.cancelled():
        connecting.exception()


def frames_of(data: bytes, bus: int) -> tuple[FrameBlock, bytes, int]:
    """Return the frames in `data`, what is left of it, and how many messages made no sense."""
    rows = Rows()
    end = data.rfind(b">") + 1
    malformed = data.count(b">")  # until each has proved to be the end of a frame
    for message in _MESSAGE.finditer(data, 0, end):
        match = _FRAME.fullmatch(message[1])
        can_id = int(match[2], 16) if match is not None else ID_MASK + 1
        if match is None or int(match[3]) >= TIME_MAX_S:
            continue
        time_ns = int(match[3]) * 1_000_000_000 + fraction_ns(match[4].decode())
        if match[1] == b"error":
            rows.add(ERROR | can_id & ID_MASK, b"", time_ns, bus, 0)
        elif can_id <= (0x7FF if len(match[2]) <= 3 else ID_MASK):
            kind = 0 if len(match[2]) <= 3 else EXTENDED
            rows.add(can_id | kind, bytes.fromhex(match[5].decode()), time_ns, bus, 0)
    malformed -= len(rows)
    return rows.take(), data[end:], malformed


def message_of(frame: Frame) -> str:
    """Return a frame as a client sends it.  Raises BadInput for what the protocol cannot say."""
    if frame.flags & FD or frame.can_id & (REMOTE | ERROR):
        raise BadInput("socketcand carries neither CAN FD nor remote nor error frames")
    is_extended = bool(frame.can_id & EXTENDED)
    name = f"{frame.can_id & ID_MASK:08X}" if is_extended else f"{frame.can_id & 0x7FF:03X}"
    return f"< send {name} {len(frame.data):X} {frame.data.hex(' ').upper()} >"


def parse(text: str, *, bus: int = 0) -> SocketcandBus:
    """Read `HOST:PORT:CHANNEL` as in socketcand:HOST:PORT:CHANNEL.  Raises BadInput."""
    host, _, rest = text.partition(":")
    port, _, channel = rest.partition(":")
    is_right = port.isascii() and port.isdecimal() and 0 < int(port) < 65536
    if not host or not is_right or not channel.isalnum() or not channel.isascii():
        raise BadInput(f"socketcand:{text} is not a source; write socketcand:HOST:PORT:CHANNEL")
    return SocketcandBus(host, int(port), channel, bus=bus)
