"""The thin SocketCAN reader, in C and in Python, over datagrams that look like the kernel's."""

import asyncio
import socket
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.adapters.socketcan import IS_COMPILED, FrameSocket, SocketCan, drainer
from edge_agent.canbus.frames import (
    BIT_RATE_SWITCH,
    ERROR,
    ERROR_STATE,
    EXTENDED,
    FD,
    REMOTE,
    Frame,
)
from edge_agent.canbus.source import LIVE_BLOCK_MAX_FRAMES
from fairway.clock import SystemClock
from fairway.errors import BadInput, Unavailable

needs_c = pytest.mark.skipif(not IS_COMPILED, reason="the reader in C is not compiled here")
compiled_and_python = pytest.mark.parametrize(
    "is_compiled", [pytest.param(True, marks=needs_c, id="C"), pytest.param(False, id="Python")]
)


def struct_of(
    can_id: int, data: bytes, *, size: int = 8, flags: int = 0, length: int | None = None
):
    length = len(data) if length is None else length
    return struct.pack("=IBBxx", can_id, length, flags) + data.ljust(size, b"\0")


def udp_pair(*, receive_buffer_bytes: int) -> tuple[socket.socket, socket.socket]:
    ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    ours.bind(("127.0.0.1", 0))
    theirs = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    theirs.connect(ours.getsockname())
    return ours, theirs


async def received(
    datagrams: list[bytes], *, is_compiled: bool, bus: int = 0
) -> tuple[list[Frame], int]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    source = FrameSocket(ours, bus=bus, is_compiled=is_compiled)
    for datagram in datagrams:
        theirs.send(datagram)
    theirs.close()
    source.close()
    frames: list[Frame] = []
    while (block := await source.receive()) is not None:
        frames += block.frames()
    return frames, source.dropped


@compiled_and_python
async def test_every_kind_of_frame_is_read(*, is_compiled: bool):
    frames, dropped = await received(
        [
            struct_of(0x123, b"\x11\x22"),
            struct_of(EXTENDED | 0x18FEF100, b"12345678"),
            struct_of(0x123, bytes(range(64)), size=64, flags=0x05),
            struct_of(0x124, b"abc", size=64, flags=0x06),
            struct_of(REMOTE | 0x123, b"", length=8),
            struct_of(ERROR | 0x40, bytes(8)),
        ],
        is_compiled=is_compiled,
        bus=3,
    )

    assert [(f.can_id, f.data, f.flags, f.bus) for f in frames] == [
        (0x123, b"\x11\x22", 0, 3),
        (EXTENDED | 0x18FEF100, b"12345678", 0, 3),
        (0x123, bytes(range(64)), FD | BIT_RATE_SWITCH, 3),
        (0x124, b"abc", FD | ERROR_STATE, 3),
        (REMOTE | 0x123, b"", 0, 3),
        (ERROR | 0x40, bytes(8), 0, 3),
    ]
    assert dropped == 0


@compiled_and_python
async def test_the_stamp_is_the_kernels(*, is_compiled: bool):
    before_ns = time.time_ns()

    frames, _ = await received([struct_of(1, b"")] * 3, is_compiled=is_compiled)

    stamps = [frame.time_ns for frame in frames]
    assert before_ns <= stamps[0] <= stamps[1] <= stamps[2] <= time.time_ns()


@compiled_and_python
async def test_what_is_no_frame_is_counted_and_left_out(*, is_compiled: bool):
    frames, dropped = await received(
        [
            b"",
            b"\1",
            struct_of(1, b"good"),
            struct_of(2, b"12345678", length=9),
            struct_of(3, b"x", size=64, length=65),
            bytes(71),
            bytes(200),
        ],
        is_compiled=is_compiled,
    )

    assert [frame.data for frame in frames] == [b"good"]
    assert dropped == 6


@needs_c
@settings(max_examples=60)
@given(
    datagrams=st.lists(st.binary(max_size=80) | st.binary(min_size=16, max_size=16), max_size=10)
)
def test_both_readers_read_garbage_alike(datagrams: list[bytes]):
    async def both() -> None:
        in_c, dropped_in_c = await received(datagrams, is_compiled=True)
        in_python, dropped_in_python = await received(datagrams, is_compiled=False)

        assert [(f.can_id, f.data, f.flags) for f in in_c] == [
            (f.can_id, f.data, f.flags) for f in in_python
        ]
        assert dropped_in_c == dropped_in_python
        assert dropped_in_c + len(in_c) == len(datagrams)

    asyncio.run(both())


@pytest.mark.net
@compiled_and_python
async def test_a_full_socket_comes_in_blocks_of_256(socket_enabled, *, is_compiled: bool):
    ours, theirs = udp_pair(receive_buffer_bytes=1 << 20)
    drain = drainer(ours, 0, is_compiled=is_compiled, clock=SystemClock())
    for n in range(600):
        theirs.send(struct_of(n, b""))

    blocks = []
    while (drained := drain()) is not None:
        blocks.append(drained.block)

    ours.close()
    theirs.close()
    assert [len(block) for block in blocks] == [LIVE_BLOCK_MAX_FRAMES, LIVE_BLOCK_MAX_FRAMES, 88]
    assert [n for block in blocks for n in block.can_id.tolist()] == list(range(600))


@pytest.mark.net
@compiled_and_python
async def test_frames_the_kernel_had_no_room_for_are_counted(socket_enabled, *, is_compiled: bool):
    ours, theirs = udp_pair(receive_buffer_bytes=16_384)
    source = FrameSocket(ours, is_compiled=is_compiled)

    for n in range(2_000):
        theirs.send(struct_of(n % 0x800, b"12345678"))
    frames = 0
    while frames < 20:
        block = await source.receive()
        assert block is not None
        frames += len(block)
    # The kernel tells with the next frame that gets through.
    theirs.send(struct_of(0x7FF, b""))
    while True:
        block = await source.receive()
        assert block is not None
        frames += len(block)
        if block.can_id[-1] == 0x7FF and int(block.offset[-1] - block.offset[-2]) == 0:
            break

    assert source.dropped > 1_000
    assert frames + source.dropped == 2_001
    theirs.close()
    source.close()


async def test_a_quiet_bus_has_the_delay_of_one_frame():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    source = FrameSocket(ours)
    waiting = asyncio.create_task(source.receive())
    await asyncio.sleep(0)
    theirs.send(struct_of(5, b"a"))

    block = await asyncio.wait_for(waiting, 5)

    assert block is not None
    assert block.can_id.tolist() == [5]
    source.close()
    theirs.close()


async def test_a_kernel_without_socketcan_is_told_in_one_sentence(socket_enabled):
    source = SocketCan("can0")

    with pytest.raises(Unavailable, match="can0"):
        await source.receive()

    source.close()
    assert await source.receive() is None


@pytest.mark.parametrize("name", ["", "a" * 16, "a/b"])
def test_a_name_that_no_interface_can_have_is_refused(name: str):
    with pytest.raises(BadInput, match="network interface"):
        SocketCan(name)
