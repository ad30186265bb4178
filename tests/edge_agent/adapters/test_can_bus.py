"""Any python-can device as a frame source, on python-can's own virtual bus."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterator

import can
import pytest

from edge_agent.adapters.can_bus import CanBus, message_of, parse
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
    block_of,
)
from edge_agent.canbus.source import LIVE_BLOCK_MAX_FRAMES
from fairway.clock import ManualClock
from fairway.errors import BadInput, Unavailable
from tests.edge_agent.adapters.frames import frames_of

numbers = itertools.count()


@contextlib.contextmanager
def wired(**options) -> Iterator[tuple[CanBus, can.BusABC]]:
    channel = f"test{next(numbers)}"
    source = CanBus("virtual", channel, preserve_timestamps=True, **options)
    with can.Bus(interface="virtual", channel=channel, preserve_timestamps=True) as device:
        yield source, device
        source.close()


async def opened(source: CanBus) -> asyncio.Task[FrameBlock | None]:
    waiting = asyncio.create_task(source.receive())
    while source._device is None:
        await asyncio.sleep(0.001)
    return waiting


async def test_every_kind_of_message_becomes_a_frame():
    frames = [
        Frame(0x123, b"\x01\x02", 1_700_000_000_123_456_000),
        Frame(EXTENDED | 0x123, b"", 1_700_000_000_123_457_000),
        Frame(REMOTE | 0x7FF, b"", 1_700_000_000_123_458_000),
        Frame(ERROR | 4, bytes(8), 1_700_000_000_123_459_000),
        Frame(0x1, bytes(64), 1_700_000_000_123_460_000, 0, FD | BIT_RATE_SWITCH | ERROR_STATE),
    ]
    with wired(bus=3) as (source, device):
        waiting = await opened(source)
        for frame in frames:
            device.send(message_of(frame))

        heard = frames_of([await waiting])
        while len(heard) < len(frames):
            heard += frames_of([await source.receive()])

    assert heard == [Frame(f.can_id, f.data, f.time_ns, 3, f.flags) for f in frames]


async def test_a_driver_without_stamps_gets_the_agents_clock():
    with wired(clock=ManualClock(now_ns=77)) as (source, device):
        waiting = await opened(source)
        device.send(can.Message(timestamp=0.0, arbitration_id=1))

        assert [frame.time_ns for frame in frames_of([await waiting])] == [77]


async def test_our_own_transmissions_are_marked():
    with wired(receive_own_messages=True) as (source, _):
        waiting = await opened(source)
        await source.send(block_of([Frame(5, b"x", 1_000)]))

        assert [frame.flags for frame in frames_of([await waiting])] == [SENT_HERE]


async def test_what_does_not_fit_the_queue_is_counted():
    with wired(queue_max_frames=300) as (source, device):
        waiting = await opened(source)
        device.send(can.Message(arbitration_id=0))
        first = await waiting
        assert first is not None
        for _ in range(1_000):
            device.send(can.Message(arbitration_id=1, timestamp=1.0))
        source.close()

        blocks = [first]
        while (block := await source.receive()) is not None:
            blocks.append(block)

    assert [len(block) for block in blocks] == [
        1,
        LIVE_BLOCK_MAX_FRAMES,
        300 - LIVE_BLOCK_MAX_FRAMES,
    ]
    assert source.dropped == 700


async def test_a_device_that_fails_is_told_and_opened_again():
    with wired() as (source, device):
        waiting = await opened(source)
        assert source._device is not None
        source._device.shutdown()

        with pytest.raises(Unavailable, match="python-can:virtual:.* is gone"):
            await asyncio.wait_for(waiting, 10)

        waiting = await opened(source)
        device.send(can.Message(arbitration_id=9))
        assert [frame.can_id for frame in frames_of([await waiting])] == [EXTENDED | 9]


async def test_a_frame_no_device_can_send_is_refused():
    with wired() as (source, _), pytest.raises(BadInput, match="no CAN message"):
        await source.send(block_of([Frame(1, bytes(9))]))


@pytest.mark.parametrize("text", ["virtual", ":x", "virtual:", ""])
def test_what_names_no_device_is_refused(text: str):
    with pytest.raises(BadInput, match="python-can:INTERFACE:CHANNEL"):
        parse(text)
