"""Several buses as one, in the order of arrival."""

import asyncio
from pathlib import Path

import pytest

from edge_agent.adapters.log_replay import LogReplay
from edge_agent.adapters.log_writers import open_writer
from edge_agent.adapters.merge import Merged, merged
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


async def test_losses_add_up_and_stay_told_apart():
    source = Merged([Scripted(dropped=2), Scripted(dropped=5)])

    assert source.dropped == 7
    assert source.dropped_by_source == (2, 5)


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


async def test_logs_played_as_fast_as_possible_are_one_ordered_log(tmp_path: Path):
    logs = []
    for bus, period_ns in enumerate([1_000_000, 7_000_000, 130_000_000]):
        writer = open_writer(tmp_path / f"bus{bus}.log")
        stamps = range(bus * 1000, 20_000_000_000 // (bus + 1), period_ns)
        writer.write(block_of([Frame(bus, b"", t) for t in stamps]))
        writer.close()
        logs.append(LogReplay(tmp_path / f"bus{bus}.log", {"can0": bus}))

    out = await everything(merged(logs))

    stamps_ns = [f.time_ns for f in out]
    assert stamps_ns == sorted(stamps_ns)
    assert [sum(f.bus == bus for f in out) for bus in range(3)] == [20_000, 1_429, 52]


async def test_logs_and_live_buses_can_be_mixed(tmp_path: Path):
    logs = []
    for bus in range(2):
        writer = open_writer(tmp_path / f"bus{bus}.log")
        writer.write(block_of(frames(0, 1 + bus, 3 + bus)))
        writer.close()
        logs.append(LogReplay(tmp_path / f"bus{bus}.log", {"can0": bus}))

    out = await everything(merged([logs[0], Scripted(frames(2, 5)), logs[1]]))

    assert sorted((f.time_ns, f.bus) for f in out) == [(1, 0), (2, 1), (3, 0), (4, 1), (5, 2)]


def test_one_source_stays_as_it_is():
    source = Scripted()

    assert merged([source]) is source
