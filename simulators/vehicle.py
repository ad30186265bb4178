"""A simulated vehicle at frame level: physics, control units and buses in one thing that can be advanced.

    Vehicle.advance(ticks) -> FrameBlock: all frames of all its buses in the next ticks, in order

Rule 1: virtual time only; who calls decides how fast it passes, and when it began.
Rule 2: the same profile, cycle, seed, number, VIN and start time give the same bytes.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_agent.canbus.database import load
from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.model import Database
from fairway.errors import BadInput, Conflict
from simulators import electric_car, truck
from simulators.drive_cycle import load_cycle
from simulators.network import STEP_NS, STEP_S, Channel, Network, block_of_rows
from simulators.route import make_route
from simulators.view import View

# The databases stand beside the packages in a checkout, and where data belongs in an installed wheel.
_CHECKOUT = Path(__file__).parents[1] / "dbc"
DATABASES = _CHECKOUT if _CHECKOUT.exists() else Path(sys.prefix) / "share" / "fairway" / "dbc"

PROFILES = ("ev", "truck")

# A VIN has 17 characters; I, O and Q are left out of the alphabet.
VIN_CHARACTERS = frozenset("0123456789ABCDEFGHJKLMNPRSTUVWXYZ")
VIN_LENGTH = 17

# 2026-01-05 08:00 UTC: a fixed start makes a drive repeatable.
START_TIME_NS = 1_767_600_000_000_000_000


class World(Protocol):
    """What moves: an electric car or a truck."""

    start_time_ns: int  # what the vehicle's clock showed when the drive began

    def advance(self, dt_s: float) -> View:
        """Let `dt_s` pass and return the view that the signal tables read."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """What to simulate."""

    profile: str = "ev"
    cycle: str = "wltc"
    seed: int = 1
    number: int = 0  # tells vehicles of one seed apart
    vin: str = ""  # made from the number where not given
    start_time_ns: int = START_TIME_NS


class Vehicle:
    """One vehicle and its buses."""

    def __init__(self, options: Options) -> None:
        if options.profile not in PROFILES:
            raise BadInput(
                f"no vehicle profile is called {options.profile!r:.40}: choose {' or '.join(PROFILES)}"
            )
        if options.seed < 0 or options.number < 0:
            raise BadInput("seed and number of a vehicle are whole numbers from 0 up")
        self.vin = checked_vin(options.vin) if options.vin else made_vin(options)
        self._ticks = 0
        self.view: View | None = None  # the last one; None before the first step
        self._world, self._network = _built(options, self.vin)

    @property
    def bus_names(self) -> tuple[str, ...]:
        """The names of the buses, in the order of the frames' `bus` column."""
        return tuple(channel.name for channel in self._network.channels)

    @property
    def time_s(self) -> float:
        """Virtual time since the start."""
        return self._ticks * STEP_S

    @property
    def time_ns(self) -> int:
        """The vehicle's wall clock."""
        return self._world.start_time_ns + self._ticks * STEP_NS

    @property
    def bus_loads(self) -> tuple[float, ...]:
        """The share of time each bus has been busy."""
        return self._network.loads

    def begin(self, time_ns: int) -> None:
        """Set the vehicle's clock before the first step.  Raises Conflict after it."""
        if self._ticks:
            raise Conflict("a vehicle that has begun to drive keeps its clock")
        self._world.start_time_ns = time_ns
        self._network.begin(time_ns)

    def advance(self, ticks: int) -> FrameBlock:
        """Let `ticks` of STEP_MS pass and return the frames sent meanwhile."""
        rows = []
        for _ in range(ticks):
            view = self._world.advance(STEP_S)
            view.bus_load = self._network.loads
            rows += self._network.emit(view)
            self.view = view
            self._ticks += 1
        return block_of_rows(rows)


def checked_vin(vin: str) -> str:
    """Return `vin`.  Raises BadInput when it is none."""
    if len(vin) != VIN_LENGTH or not VIN_CHARACTERS.issuperset(vin):
        raise BadInput(
            f"{vin!r:.40} is no VIN: it has {VIN_LENGTH} capital letters and digits, without I, O and Q"
        )
    return vin


def made_vin(options: Options) -> str:
    """Return a VIN for a vehicle that was given none; it begins with letters no maker has."""
    kind = {"ev": "EV", "truck": "TR"}[options.profile]
    return f"FWY{kind}0000{options.seed % 10_000:04d}{options.number % 10_000:04d}"


def _built(options: Options, vin: str) -> tuple[World, Network]:
    cycle, route = load_cycle(options.cycle), make_route()
    if options.profile == "ev":
        channels: tuple[Channel, ...] = (
            Channel("can0", _database("fairway_ev"), 500_000.0),
            Channel("can1", _database("fairway_ev_fd"), 500_000.0, 2_000_000.0),
        )
        world: World = electric_car.ElectricCar(
            cycle,
            route,
            seed=options.seed,
            number=options.number,
            vin=vin,
            start_time_ns=options.start_time_ns,
        )
        table, pages = electric_car.TABLE, electric_car.PAGES
    else:
        channels = (Channel("can0", _database("fairway_truck"), 250_000.0),)
        world = truck.Truck(
            cycle,
            route,
            seed=options.seed,
            number=options.number,
            start_time_ns=options.start_time_ns,
        )
        table, pages = truck.TABLE, truck.PAGES
    return world, Network(channels, table, pages, start_time_ns=options.start_time_ns)


def _database(name: str) -> Database:
    return load(DATABASES / f"{name}.dbc")
