"""The simulated vehicles of a demo: each drives on buses of its own, at a Unix socket, in real time."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fairway.clock import Clock
from fairway.errors import Unavailable
from simulators.bus import Bus
from simulators.drive import drive
from simulators.unix_front import UnixFront
from simulators.vehicle import Options, Vehicle

# Different trips make the fleet's values differ; a truck comes third, to show J1939.
TRIPS = (("ev", "wltc"), ("ev", "us06"), ("truck", "hwfet"), ("ev", "udds"))


@dataclass(frozen=True, slots=True)
class Car:
    """One simulated vehicle and where its buses are."""

    vehicle: Vehicle
    profile: str
    bus: Bus
    front: UnixFront
    socket: Path


def make_cars(count: int, folder: Path, clock: Clock) -> list[Car]:
    """Return `count` vehicles whose virtual time begins now."""
    cars = []
    for number in range(count):
        profile, cycle = TRIPS[number % len(TRIPS)]
        options = Options(
            profile=profile, cycle=cycle, number=number + 1, start_time_ns=clock.now_ns()
        )
        vehicle = Vehicle(options)
        bus = Bus(vehicle.bus_names)
        socket = folder / f"bus-{number + 1}.sock"
        cars.append(Car(vehicle, profile, bus, UnixFront(bus, socket), socket))
    return cars


async def run(cars: Sequence[Car], clock: Clock) -> None:
    """Drive all cars until cancelled; the buses must be open and are closed at the end."""
    drives = [asyncio.create_task(drive(car.vehicle, car.bus, clock=clock)) for car in cars]
    try:
        await asyncio.gather(*drives)
    finally:
        for one in drives:
            one.cancel()
        await asyncio.gather(*drives, return_exceptions=True)


async def close(cars: Sequence[Car]) -> None:
    """Close the buses; agents that were too slow for the last frames have counted them."""
    for car in cars:
        with suppress(Unavailable):
            await car.front.close()
