"""What every frame source promises, whatever bus or file is behind it."""

import asyncio
import contextlib
import itertools
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import can
import pytest

from edge_agent.adapters.blocks import pieces
from edge_agent.adapters.can_bus import CanBus, message_of
from edge_agent.adapters.log_replay import LogReplay
from edge_agent.adapters.log_writers import open_writer
from edge_agent.adapters.merge import Merged
from edge_agent.adapters.socketcan import IS_COMPILED, FrameSocket
from edge_agent.adapters.socketcand import parse as parse_socketcand
from edge_agent.adapters.tap import Tapped
from edge_agent.adapters.unix_bus import UnixBus
from edge_agent.canbus.frames import EXTENDED, FD, Frame, block_of
from edge_agent.canbus.source import REPLAY_BLOCK_MAX_FRAMES, FrameSource
from simulators.bus import Bus, BusSource
from simulators.socketcand import SocketcandFront
from simulators.unix_front import UnixFront

START_NS = 1_700_000_000_000_000_000
FRAMES = [
    Frame(
        0x100 + n % 7 if n % 3 else EXTENDED | (0x18FEF100 + n % 5),
        bytes([n & 255, n >> 8, 7] if n % 5 else [n & 255] * 12),
        START_NS + n * 1_000_000,
        flags=0 if n % 5 else FD,
    )
    for n in range(1, 1001)
]


@dataclass
class Rig:
    """A source, and the bus behind it to put frames on."""

    source: FrameSource
    put: Callable[[list[Frame]], Coroutine[Any, Any, None]]
    is_finite: bool = False
    keeps_stamps: bool = True
    frames: list[Frame] = field(default_factory=lambda: FRAMES)  # that it can carry


@contextlib.asynccontextmanager
async def replay(folder: Path) -> AsyncIterator[Rig]:
    path = folder / "drive.log"
    writer = open_writer(path)
    writer.write(block_of(FRAMES))
    writer.close()

    async def put(frames: list[Frame]) -> None:
        """The log holds them already."""

    yield Rig(LogReplay(path, {"can0": 0}), put, is_finite=True)


@contextlib.asynccontextmanager
async def in_process(folder: Path) -> AsyncIterator[Rig]:
    bus = Bus()
    yield Rig(BusSource(bus), lambda frames: bus.send(block_of(frames)))


@contextlib.asynccontextmanager
async def unix(folder: Path) -> AsyncIterator[Rig]:
    bus = Bus()
    front = UnixFront(bus, folder / "bus.sock")
    await front.open()
    source = UnixBus(folder / "bus.sock")

    async def put(frames: list[Frame]) -> None:
        await front.wait_for(1)
        for block in pieces(block_of(frames), 50):
            await bus.send(block)

    yield Rig(source, put)
    await front.close()


def datagrams(*, is_compiled: bool):
    @contextlib.asynccontextmanager
    async def rig(folder: Path) -> AsyncIterator[Rig]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        source = FrameSocket(ours, is_compiled=is_compiled)
        theirs.settimeout(0.0)

        async def put(frames: list[Frame]) -> None:
            for frame in frames:
                size = 64 if frame.flags & FD else 8
                head = struct.pack("=IBBxx", frame.can_id, len(frame.data), 0)
                await asyncio.get_running_loop().sock_sendall(
                    theirs, head + frame.data.ljust(size, b"\0")
                )

        yield Rig(source, put, keeps_stamps=False)
        theirs.close()

    return rig


channel_numbers = itertools.count()


@contextlib.asynccontextmanager
async def python_can(folder: Path) -> AsyncIterator[Rig]:
    channel = f"contract{next(channel_numbers)}"
    source = CanBus("virtual", channel, preserve_timestamps=True)
    with can.Bus(interface="virtual", channel=channel, preserve_timestamps=True) as device:

        async def put(frames: list[Frame]) -> None:
            while source._device is None:
                await asyncio.sleep(0.001)
            for frame in frames:
                device.send(message_of(frame))

        yield Rig(source, put)


@contextlib.asynccontextmanager
async def socketcand(folder: Path) -> AsyncIterator[Rig]:
    bus = Bus()
    front = SocketcandFront(bus, port=0)
    await front.open()
    source = parse_socketcand(f"127.0.0.1:{front.port}:can0")

    async def put(frames: list[Frame]) -> None:
        await front.wait_for(1)
        await bus.send(block_of(frames))

    yield Rig(source, put, frames=[frame for frame in FRAMES if not frame.flags & FD])
    await front.close()


@contextlib.asynccontextmanager
async def tapped(folder: Path) -> AsyncIterator[Rig]:
    bus = Bus()
    source = Tapped(BusSource(bus), lambda block: None)
    yield Rig(source, lambda frames: bus.send(block_of(frames)))


@contextlib.asynccontextmanager
async def merged(folder: Path) -> AsyncIterator[Rig]:
    bus = Bus()
    yield Rig(Merged([BusSource(bus), BusSource(Bus())]), lambda frames: bus.send(block_of(frames)))


RIGS = {
    "replay": replay,
    "in_process": in_process,
    "unix": unix,
    "compiled_socket": datagrams(is_compiled=True),
    "python_socket": datagrams(is_compiled=False),
    "python_can": python_can,
    "socketcand": socketcand,
    "merged": merged,
    "tapped": tapped,
}


INSTALLED = set(RIGS) if IS_COMPILED else set(RIGS) - {"compiled_socket"}


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.net) for name in RIGS if name in INSTALLED]
)
async def rig(request, tmp_path: Path, socket_enabled):
    async with RIGS[request.param](tmp_path) as rig:
        yield rig
        rig.source.close()
        with contextlib.suppress(Exception):
            while await rig.source.receive() is not None:
                pass


async def receive(source: FrameSource, count: int) -> list[Frame]:
    """Return the next `count` frames; they must come in blocks of allowed sizes."""
    frames: list[Frame] = []
    async with asyncio.timeout(20):
        while len(frames) < count:
            block = await source.receive()
            assert block is not None, f"the source ended after {len(frames)} of {count} frames"
            assert 1 <= len(block) <= REPLAY_BLOCK_MAX_FRAMES
            frames += block.frames()
    return frames


def told(frames: list[Frame], rig: Rig) -> list[Frame]:
    return frames if rig.keeps_stamps else [replace(frame, time_ns=0) for frame in frames]


async def test_every_frame_arrives_once_in_order_with_its_stamp(rig: Rig):
    sending = asyncio.create_task(rig.put(rig.frames))

    frames = await receive(rig.source, len(rig.frames))

    await sending
    assert told(frames, rig) == told(rig.frames, rig)
    assert rig.source.dropped == 0


async def test_a_cancelled_wait_loses_nothing(rig: Rig):
    frames: list[Frame] = []
    sending = asyncio.create_task(rig.put(rig.frames))
    waits = 0
    deadline = time.monotonic() + 60
    while len(frames) < len(rig.frames):
        try:
            async with asyncio.timeout(0.0005 * (waits % 3)):
                block = await rig.source.receive()
        except TimeoutError:
            waits += 1
            assert time.monotonic() < deadline  # however busy the machine is with something else
        else:
            assert block is not None
            frames += block.frames()

    await sending
    assert told(frames, rig) == told(rig.frames, rig)


async def test_what_was_received_before_closing_can_still_be_fetched(rig: Rig):
    if rig.is_finite:
        return  # a log has received nothing: closing it ends it
    waiting = asyncio.create_task(rig.source.receive())
    await rig.put(rig.frames[:20])
    first = await waiting
    assert first is not None
    frames = list(first.frames())
    if len(frames) < 20:
        await asyncio.sleep(0.3)  # a device's thread takes them in by itself

    rig.source.close()

    while (block := await rig.source.receive()) is not None:
        frames += block.frames()
    assert told(frames, rig) == told(rig.frames[:20], rig)


async def test_a_closed_source_ends(rig: Rig):
    rig.source.close()

    async with asyncio.timeout(5):
        while (block := await rig.source.receive()) is not None:
            assert len(block)
    assert await rig.source.receive() is None


async def test_closing_ends_a_wait(rig: Rig):
    if rig.is_finite:
        return
    waiting = asyncio.create_task(rig.source.receive())
    await asyncio.sleep(0.02)

    rig.source.close()

    async with asyncio.timeout(5):
        assert await waiting is None
