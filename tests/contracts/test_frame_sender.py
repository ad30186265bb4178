"""What every bus that can be written to promises: frames arrive as they were sent, or an error says so."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_agent.adapters.can_bus import CanBus
from edge_agent.adapters.memory import MemoryBus
from edge_agent.adapters.patience import Patient
from edge_agent.adapters.socketcan import FrameSocket
from edge_agent.adapters.socketcand import parse as parse_socketcand
from edge_agent.adapters.unix_bus import UnixBus
from edge_agent.canbus.frames import BIT_RATE_SWITCH, EXTENDED, FD, Frame, block_of
from edge_agent.canbus.outbound import FrameSender
from fairway.clock import SystemClock
from fairway.errors import Unavailable
from simulators.bus import Bus, BusSource
from simulators.socketcand import SocketcandFront
from simulators.unix_front import UnixFront

CLASSIC = [Frame(0x3A0, b"\x01\x02\x03"), Frame(EXTENDED | 0x18FEF100, bytes(8)), Frame(0x7FF, b"")]
ON_FD = [*CLASSIC, Frame(0x100, bytes(range(12)), flags=FD | BIT_RATE_SWITCH)]
Said = tuple[int, bytes, int]  # identifier, data, flags


@dataclass
class Rig:
    """A bus to write to, and what arrived on it."""

    sender: FrameSender
    arrived: Callable[[int], Coroutine[Any, Any, list[Frame]]]  # so many
    cut: Callable[[], Coroutine[Any, Any, None]]
    frames: list[Frame]


async def taken(source: Any, count: int) -> list[Frame]:
    frames: list[Frame] = []
    async with asyncio.timeout(10):
        while len(frames) < count:
            block = await source.receive()
            assert block is not None
            frames += block.frames()
    return frames


@contextlib.asynccontextmanager
async def memory(_: Path) -> AsyncIterator[Rig]:
    bus = MemoryBus()

    async def arrived(_: int) -> list[Frame]:
        return bus.sent

    async def cut() -> None:
        bus.is_there = False

    yield Rig(bus, arrived, cut, ON_FD)


@contextlib.asynccontextmanager
async def unix(folder: Path) -> AsyncIterator[Rig]:
    bus = Bus(("can0", "can1"))
    front, listener = UnixFront(bus, folder / "bus.sock"), BusSource(bus)
    await front.open()
    sender = UnixBus(folder / "bus.sock", bus=0, channel=1)

    async def arrived(count: int) -> list[Frame]:
        frames = await taken(listener, count)
        assert {frame.bus for frame in frames} == {
            1
        }  # its own channel, whatever the agent numbers it
        return frames

    yield Rig(Patient(sender, "can1", SystemClock()), arrived, front.close, ON_FD)
    sender.close()
    await front.close()


@contextlib.asynccontextmanager
async def socketcand(_: Path) -> AsyncIterator[Rig]:
    bus = Bus()
    front, listener = SocketcandFront(bus, "127.0.0.1", 0), BusSource(bus)
    await front.open()
    sender = parse_socketcand(f"127.0.0.1:{front.port}:can0")

    async def cut() -> None:
        await front.close()
        sender.close()

    yield Rig(sender, lambda count: taken(listener, count), cut, CLASSIC)
    sender.close()
    await front.close()


@contextlib.asynccontextmanager
async def python_can(_: Path) -> AsyncIterator[Rig]:
    sender = CanBus("virtual", "sender")
    listener = CanBus("virtual", "sender")
    waiting = asyncio.create_task(taken(listener, len(CLASSIC)))
    await asyncio.sleep(0.1)

    async def arrived(_: int) -> list[Frame]:
        return await waiting

    async def cut() -> None:
        sender.close()

    yield Rig(sender, arrived, cut, CLASSIC)
    listener.close()
    sender.close()


@contextlib.asynccontextmanager
async def socketcan(_: Path) -> AsyncIterator[Rig]:
    """A datagram socket in place of the kernel's: the bytes are those of struct can_frame and canfd_frame."""
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    class Opened:
        def __init__(self) -> None:
            self.frames = FrameSocket(ours)

        async def send(self, frames: Any) -> None:
            self.frames.send(frames)

    opened = Opened()

    async def arrived(count: int) -> list[Frame]:
        found = []
        for _ in range(count):
            data = kernel.recv(100)
            can_id, length, flags = struct.unpack_from("=IBB", data)
            assert len(data) == (72 if length > 8 else 16)
            both = FD | BIT_RATE_SWITCH if len(data) == 72 and flags & 1 else 0
            found.append(Frame(can_id, data[8 : 8 + length], flags=both))
        return found

    async def cut() -> None:
        kernel.close()

    yield Rig(opened, arrived, cut, ON_FD)
    opened.frames.close()
    kernel.close()


RIGS = [memory, unix, socketcan, pytest.param(socketcand, marks=pytest.mark.net), python_can]


@pytest.fixture(params=RIGS)
async def rig(request, tmp_path: Path) -> AsyncIterator[Rig]:
    if "net" in request.node.keywords:
        request.getfixturevalue("socket_enabled")
    async with request.param(tmp_path) as made:
        yield made


def said(frames: list[Frame]) -> list[Said]:
    return [(frame.can_id, frame.data, frame.flags) for frame in frames]


async def test_frames_arrive_as_they_were_sent_and_in_their_order(rig: Rig):
    for frame in rig.frames:
        await rig.sender.send(block_of([frame]))

    assert said(await rig.arrived(len(rig.frames))) == said(rig.frames)


async def test_a_bus_that_is_gone_says_so(rig: Rig):
    await rig.sender.send(block_of(rig.frames))
    await rig.arrived(len(rig.frames))
    await rig.cut()

    async def until_refused() -> None:
        async with asyncio.timeout(5):
            while True:
                await rig.sender.send(block_of(rig.frames[:1]))
                await asyncio.sleep(0.01)

    with pytest.raises(Unavailable):
        await until_refused()
