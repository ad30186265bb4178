"""A simulated bus behind the socketcand protocol: text over TCP, spoken by python-can and others.

    server < hi >            client < open can0 >     server < ok >
                             client < rawmode >       server < ok >
    server < frame 123 1533226488.228954 1122 >       for each frame on the bus
                             client < send 123 2 11 22 >

Rule 1: TCP_NODELAY on every connection: without it a reply waits 40 ms for company (measured: 235 echoes a
        second instead of 51,000).
Rule 2: the protocol knows neither CAN FD nor remote frames: a client does not get those, and that is counted.
Rule 3: a message that makes no sense gets `< error ... >` and costs the connection nothing else.
"""

import asyncio
import contextlib
import socket

from edge_agent.canbus.frames import (
    ERROR,
    EXTENDED,
    FD,
    ID_MASK,
    REMOTE,
    Frame,
    FrameBlock,
    block_of,
)
from fairway.clock import Clock, SystemClock
from fairway.errors import BadInput, Unavailable
from simulators.bus import BACKLOG_MAX_FRAMES, PATIENCE_S, Bus

# The longest honest message, a frame with its stamp, has some 60 bytes.
MESSAGE_MAX_BYTES = 2048

BACKLOG_MAX_BYTES = 64 * BACKLOG_MAX_FRAMES

CLIENTS_MAX = 64

# Clients read the answer to `rawmode` with one call and take what comes along for a broken answer.
PAUSE_AFTER_OK_S = 0.05


class SocketcandFront:
    """Listens on a TCP port and puts everyone who opens a channel on the bus."""

    def __init__(
        self, bus: Bus, host: str = "127.0.0.1", port: int = 29536, *, clock: Clock | None = None
    ) -> None:
        self._bus = bus
        self._host = host
        self._port = port
        self._clock = clock or SystemClock()
        self._server: asyncio.Server | None = None
        self._clients: set[_Client] = set()
        self._joined = asyncio.Event()
        self.malformed = 0  # messages that made no sense
        self.left_out = 0  # frames the protocol cannot say, once for each client

    @property
    def port(self) -> int:
        """The port it listens on; asks the system for one when opened with port 0."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self) -> None:
        """Begin to listen.  Raises Unavailable when the address is taken."""
        try:
            self._server = await asyncio.start_server(
                self._serve, self._host, self._port, limit=MESSAGE_MAX_BYTES
            )
        except OSError as error:
            raise Unavailable(f"cannot listen on {self._host}:{self._port}: {error}") from error

    async def wait_for(self, clients: int) -> None:
        """Return when at least so many clients are on the bus."""
        while sum(client.is_on for client in self._clients) < clients:
            self._joined.clear()
            await self._joined.wait()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for client in tuple(self._clients):
            await client.flush()
            client.close()
        if self._server is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(writer, self)
        if len(self._clients) >= CLIENTS_MAX:
            client.close()
            return
        self._clients.add(client)
        try:
            client.say("hi")
            while True:
                message = await reader.readuntil(b">")
                try:
                    await self._obey(
                        client, message.partition(b"<")[2][:-1].decode("ascii").split()
                    )
                except (BadInput, ValueError) as error:
                    self.malformed += 1
                    client.say(f"error {error}"[:120].replace("<", "").replace(">", ""))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # it has gone, or talks something else
        finally:
            self._bus.detach(client)
            self._clients.discard(client)
            client.close()

    async def _obey(self, client: "_Client", words: list[str]) -> None:
        """Do what one message says.  Raises BadInput or ValueError."""
        match words:
            case ["echo"]:
                client.say("echo")
            case ["open", name] if name in self._bus.names:
                client.channel = self._bus.names.index(name)
                client.say("ok")
            case ["open", name]:
                raise BadInput(f"no bus is called {name}")
            case ["rawmode"] if client.channel is not None:
                client.say("ok")
                if not client.is_on:
                    self._bus.attach(client)
                    client.begin()
                    self._joined.set()
            case ["send", can_id, length, *data] if client.channel is not None:
                frame = frame_of(can_id, length, data, self._clock.now_ns(), client.channel)
                await self._bus.send(block_of([frame]), sender=client)
            case _:
                raise BadInput(f"not understood: {' '.join(words)[:60]}")


class _Client:
    """One connection."""

    def __init__(self, writer: asyncio.StreamWriter, front: SocketcandFront) -> None:
        self.channel: int | None = None
        self.is_on = False
        self._writer = writer
        self._front = front
        self._held: list[bytes] | None = []  # until the client has read its `ok`
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer.transport.set_write_buffer_limits(high=BACKLOG_MAX_BYTES)

    def say(self, text: str) -> None:
        """Send one message."""
        self._writer.write(f"< {text} >".encode("ascii", "replace"))

    def begin(self) -> None:
        """Let frames flow, in a moment."""
        self.is_on = True
        asyncio.get_running_loop().call_later(PAUSE_AFTER_OK_S, self._release)

    def offer(self, frames: FrameBlock) -> bool:
        if self._writer.transport.get_write_buffer_size() >= BACKLOG_MAX_BYTES:
            return False
        text = self._text(frames)
        if self._held is not None:
            if len(self._held) >= BACKLOG_MAX_FRAMES:
                return False
            self._held.append(text)
        elif text and not self._writer.is_closing():
            self._writer.write(text)
        return True

    async def room(self) -> None:
        if self._held is not None:
            await asyncio.sleep(PAUSE_AFTER_OK_S)
        with contextlib.suppress(OSError):
            await self._writer.drain()

    async def flush(self) -> None:
        """Wait until everything is sent, or PATIENCE_S."""
        self._release()
        self._writer.transport.set_write_buffer_limits(high=0)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._writer.drain()

    def close(self) -> None:
        self._writer.close()

    def _release(self) -> None:
        held, self._held = self._held, None
        if held and not self._writer.is_closing():
            self._writer.write(b"".join(held))

    def _text(self, frames: FrameBlock) -> bytes:
        messages = []
        for frame in frames.frames():
            if frame.bus != self.channel:
                continue
            if frame.flags & FD or frame.can_id & REMOTE:
                self._front.left_out += 1
                continue
            messages.append(message_of(frame))
        return "".join(messages).encode()


def message_of(frame: Frame) -> str:
    """Return a frame as the server says it."""
    stamp = f"{frame.time_ns // 1_000_000_000}.{frame.time_ns // 1000 % 1_000_000:06d}"
    if frame.can_id & ERROR:
        return f"< error {frame.can_id & (ERROR | ID_MASK):08X} {stamp} >"
    name = (
        f"{frame.can_id & ID_MASK:08X}"
        if frame.can_id & EXTENDED
        else f"{frame.can_id & 0x7FF:03X}"
    )
    return f"< frame {name} {stamp} {frame.data.hex().upper()} >"


def frame_of(can_id: str, length: str, data: list[str], time_ns: int, bus: int) -> Frame:
    """Return the frame a client sends.  Raises BadInput or ValueError."""
    number, size = int(can_id, 16), int(length, 16)
    if len(can_id) > 3:
        number |= EXTENDED
    if not 0 <= number & ~EXTENDED <= (ID_MASK if number & EXTENDED else 0x7FF):
        raise BadInput(f"{can_id} is no CAN id")
    if not 0 <= size <= 8 or len(data) != size:
        raise BadInput(f"{len(data)} bytes of data for a length of {length}")
    return Frame(number, bytes(int(byte, 16) for byte in data), time_ns, bus)
