"""A drive sends a vehicle's frames on a bus: all of them, in order, and never before their time."""

import asyncio

import numpy as np
import pytest

from edge_agent.canbus.frames import FrameBlock, joined
from fairway.clock import ManualClock, SystemClock
from fairway.errors import BadInput
from simulators.bus import Bus, BusSource
from simulators.drive import Progress, drive
from simulators.vehicle import START_TIME_NS, Options, Vehicle


class Watched:
    """A listener that notes when each block came."""

    def __init__(self, clock: SystemClock) -> None:
        self.blocks: list[FrameBlock] = []
        self.late_ns: list[int] = []
        self._clock = clock

    def offer(self, frames: FrameBlock) -> bool:
        self.blocks.append(frames)
        self.late_ns.append(self._clock.now_ns() - int(frames.time_ns[-1]))
        return True

    async def room(self) -> None:
        """Return at once."""


async def test_as_fast_as_possible_the_bus_gets_what_the_vehicle_sends():
    vehicle, bus = Vehicle(Options(seed=2)), Bus(("can0", "can1"))
    watched = Watched(SystemClock())
    bus.attach(watched)

    progress = await drive(vehicle, bus, clock=ManualClock(), seconds=3.0, speed=None)

    expected = Vehicle(Options(seed=2)).advance(300)
    frames = joined(watched.blocks)
    assert progress == Progress(time_s=3.0, frames=len(expected))
    assert np.array_equal(frames.payload, expected.payload)
    assert np.array_equal(frames.time_ns, expected.time_ns)
    assert expected.time_ns[0] // 10**9 == START_TIME_NS // 10**9


async def test_in_real_time_stamps_are_the_time_of_day_and_lie_behind_it():
    clock = SystemClock()
    vehicle, bus, watched = Vehicle(Options(profile="truck")), Bus(), Watched(clock)
    bus.attach(watched)
    before_ns = clock.now_ns()

    await drive(vehicle, bus, clock=clock, seconds=0.2)

    assert before_ns <= watched.blocks[0].time_ns[0]
    assert min(watched.late_ns) >= -1_000_000  # the two clocks are read one after the other
    assert clock.now_ns() - before_ns >= 200_000_000


async def test_a_thousand_times_real_time_is_a_matter_of_milliseconds():
    vehicle, bus = Vehicle(Options(profile="truck")), Bus()

    progress = await drive(vehicle, bus, clock=SystemClock(), seconds=5.0, speed=1000.0)

    assert progress.time_s == 5.0
    assert vehicle.time_s == 5.0


async def test_several_vehicles_drive_in_one_process():
    told: list[float] = []
    buses = [Bus(), Bus()]
    sources = [BusSource(bus) for bus in buses]
    vehicles = [Vehicle(Options(profile="truck", number=number)) for number in (0, 1)]

    await asyncio.gather(
        *(
            drive(
                vehicle,
                bus,
                clock=ManualClock(),
                seconds=2.0,
                speed=None,
                tell=lambda progress: told.append(progress.time_s),
            )
            for vehicle, bus in zip(vehicles, buses, strict=True)
        )
    )

    blocks = [await source.receive() for source in sources]
    assert sorted(told) == [1.0, 1.0, 2.0, 2.0]
    assert all(block is not None and len(block) > 0 for block in blocks)


@pytest.mark.parametrize("speed", [0.0, -1.0, 1e9, float("nan")])
async def test_an_impossible_speed_is_refused(speed: float):
    with pytest.raises(BadInput, match="speed"):
        await drive(Vehicle(Options()), Bus(), clock=ManualClock(), seconds=1.0, speed=speed)
