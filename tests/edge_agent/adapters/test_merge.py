"""Several buses as one, in the order of arrival."""

import asyncio

import pytest

from edge_agent.adapters.merge import Merged
from edge_agent.canbus.frames import Frame, FrameBlock, block_of
from fairway.errors import Unavailable
from simulators.bus import Bus, BusSource


class Scripted:
    """A source that gives what it is told to, and may have lost something."""

    def __init__(self, *answers: list[Frame] | Exception | None, dropped: int = 0) -> None:
        self._answers = list(answers)
        self.dropped = dropped
        self.is_closed = False

    async def receive(self) -> FrameBlock | None:
        answer = self._answers.pop(0) if self._answers else None
        if isinstance(answer, Exception):
            raise answer
        return None if answer is None else block_of(answer)

    def close(self) -> None:
        self.is_closed = True


def frames(bus: int, *stamps_ns: int) -> list[Frame]:
    return [Frame(bus << 8 | n, bytes([bus, n]), t, bus) for n, t in enumerate(stamps_ns)]


async def everything(source) -> list[Frame]:
    out = []
    while (block := await source.receive()) is not None:
        out += block.frames()
    return out


async def test_what_is_there_at_once_is_ordered_by_arrival():
    source = Merged([Scripted(frames(0, 10, 30, 50)), Scripted(frames(1, 20, 30, 40))])

    out = await everything(source)

    assert [(f.time_ns, f.bus) for f in out] == [
        (10, 0),
        (20, 1),
        (30, 0),
        (30, 1),
        (40, 1),
        (50, 0),
    ]
    assert all(f.data == bytes([f.bus, f.can_id & 255]) for f in out)


async def test_losses_add_up():
    assert Merged([Scripted(dropped=2), Scripted(dropped=5)]).dropped == 7


async def test_a_bus_that_is_gone_is_told_after_what_the_others_brought():
    source = Merged([Scripted(frames(0, 10)), Scripted(Unavailable("can1 is gone"), frames(1, 20))])

    first = await source.receive()
    with pytest.raises(Unavailable, match="can1"):
        await source.receive()
    rest = await everything(source)

    assert first is not None
    assert first.time_ns.tolist() == [10]
    assert [f.time_ns for f in rest] == [20]


async def test_a_quiet_bus_keeps_nobody_waiting():
    busy, quiet = Bus(), Bus()
    source = Merged([BusSource(busy), BusSource(quiet)])

    await busy.send(block_of(frames(0, 10)))
    block = await asyncio.wait_for(source.receive(), 5)

    assert block is not None
    source.close()
    assert await everything(source) == []


async def test_a_bus_that_spoke_while_nobody_looked_is_heard_to_the_end():
    early, other = Bus(), Bus()
    source = Merged([BusSource(early), BusSource(other)])
    await other.send(block_of(frames(1, 10)))
    assert await asyncio.wait_for(source.receive(), 5) is not None

    await early.send(block_of(frames(0, 20)))
    for _ in range(10):
        await asyncio.sleep(0)  # its task has the first frame now, and nobody looks
    await early.send(block_of(frames(0, 30)))
    await other.send(block_of(frames(1, 25, 35)))
    block = await asyncio.wait_for(source.receive(), 5)

    assert block is not None
    assert block.time_ns.tolist() == [20, 25, 30, 35]
