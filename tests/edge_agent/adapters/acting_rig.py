"""The body units' databases, an agent's actuators, and a bus in memory that tests look at."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.adapters.acting import open_acting
from edge_agent.adapters.actuators import Actuators
from edge_agent.adapters.memory import MemoryBus
from edge_agent.broker.closed_loop import Order
from edge_agent.broker.feed import HistoryLimits, data_of
from edge_agent.broker.providers import Target
from edge_agent.broker.vehicle import VehicleData
from edge_agent.canbus import database
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.plan import BusDatabases, Plan, compile_plan
from edge_agent.config import Actuation, Outbound
from fairway.catalog.load import load_catalog
from fairway.catalog.model import Catalog
from fairway.clock import SystemClock
from fairway.samples import SampleBlock, SignalTable

DBC = Path(__file__).parents[3] / "dbc"
SPEED = "Vehicle.Speed"
DOOR = "Vehicle.Cabin.Door.Row1.DriverSide.IsOpen"
LOCK = "Vehicle.Cabin.Door.Row1.DriverSide.IsLocked"
WINDOW = "Vehicle.Cabin.Door.Row1.DriverSide.Window.Position"
TEMPERATURE = "Vehicle.Cabin.HVAC.Station.Row1.Driver.Temperature"
FAN = "Vehicle.Cabin.HVAC.Station.Row1.Driver.FanSpeed"
PROTECTED: dict[str, Any] = {"checksum": "crc8-sae-j1850", "counter_signal": "Counter"}
DOORS = Outbound("body", 0x3A0, min_period_ms=1, fill="defaults", data_ids=(0x3A0,), **PROTECTED)
CLIMATE = Outbound("body", 0x3A2, min_period_ms=1, data_ids=(0x3A2,), **PROTECTED)


def plan_and_catalog() -> tuple[Plan, Catalog]:
    plan = compile_plan([BusDatabases("body", (database.load(DBC / "fairway_body.dbc"),))])
    return plan, load_catalog([DBC / "fairway_vss.json", DBC / "fairway_body.vspec"])


PLAN, CATALOG = plan_and_catalog()


def opened(
    outbound: tuple[Outbound, ...] = (DOORS, CLIMATE), actuation: tuple[Actuation, ...] = ()
) -> tuple[VehicleData, Actuators, SignalTable]:
    mapping = compile_mapping(PLAN, CATALOG, unmapped=False)
    data = data_of(CATALOG, mapping.table, HistoryLimits(10, 60, 1 << 20), SystemClock())
    actuators = open_acting(outbound, actuation, PLAN, CATALOG, data, SystemClock())
    assert actuators is not None
    return data, actuators, mapping.table


@dataclass(slots=True)
class Rig:
    data: VehicleData
    actuators: Actuators
    table: SignalTable
    bus: MemoryBus
    of_bus: int  # the number of the bus among providers

    def target(self, path: str, value: Any) -> Target:
        number = self.data.signals.find(path)
        assert number is not None
        return self.data.actuation.check(number, value)

    def says(self, **values: float) -> None:
        """Let the bus say values, by the last two levels of their paths with _ for the dot."""
        clock, rows = SystemClock(), []
        for row, signal in enumerate(self.table):
            if "_".join(signal.name.split(".")[-2:]) in values:
                rows.append((row, values["_".join(signal.name.split(".")[-2:])]))
        assert len(rows) == len(values)
        block = SampleBlock(
            self.table,
            np.array([row for row, _ in rows], np.int32),
            np.full(len(rows), clock.now_ns(), np.int64),
            np.array([value for _, value in rows], np.float64),
        )
        numbers = self.data.signals.numbers_of(self.table)
        providers = np.full(len(numbers), self.of_bus, np.int32)
        self.data.take_block(block, numbers, providers, now_ns=clock.monotonic_ns())

    def ask(
        self, writer: str = "app", deadline_ms: int = 0, **values: Any
    ) -> "asyncio.Task[list[Order]]":
        """Give orders by the names above."""
        targets = [self.target(globals()[name], value) for name, value in values.items()]
        watch = self.actuators.ask(targets, writer, deadline_ns=deadline_ms * 1_000_000)

        async def followed() -> list[Order]:
            return [order async for order in watch.changes()]

        return asyncio.create_task(followed())

    async def sent(self, count: int) -> None:
        """Wait until so many frames were sent."""
        async with asyncio.timeout(5):
            while len(self.bus.sent) < count:
                await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def acting(
    *actuation: Actuation, outbound: tuple[Outbound, ...] = (DOORS, CLIMATE)
) -> AsyncIterator[Rig]:
    data, actuators, table = opened(outbound, actuation)
    rig = Rig(data, actuators, table, MemoryBus(), data.providers.open_bus("body").number)
    actuators.connect(0, rig.bus)
    running = asyncio.create_task(actuators.run())
    try:
        yield rig
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def outcome(orders: list[Order]) -> list[tuple[str, str]]:
    return [(order.state.value, order.reason.value) for order in orders]
