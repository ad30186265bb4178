"""An agent's bus with simulated ECUs on it, in one process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.adapters.ecu_buses import EcuBuses
from edge_agent.adapters.tap import Tapped
from edge_agent.adapters.unix_bus import UnixBus
from edge_agent.canbus.frames import Frame
from edge_agent.config_diagnostics import Ecu as Settings
from fairway.clock import SystemClock
from simulators.bus import Bus, BusSource
from simulators.ecu import SimulatedEcu
from simulators.ecu_bus import serve
from simulators.ecu_node import EcuNode, Fault
from simulators.ecu_table import Code, EcuTable
from simulators.unix_front import UnixFront

CODES = {"OBD1": Code(0x0123, is_uds=False), "UDS1": Code(0xAAA123, is_uds=True)}
ENGINE = EcuTable("engine", 0x7E8, codes=CODES, padding=0)
GEARBOX = EcuTable("gearbox", 0x7E9, codes=CODES)
ENGINE_29 = EcuTable("engine", 0x18DAF158, codes=CODES, padding=0)
GEARBOX_29 = EcuTable("gearbox", 0x18DAF159, codes=CODES)


def settings(table: EcuTable, target_address: int, **more: object) -> Settings:
    """Return the settings by which the agent asks a simulated ECU."""
    known: dict[str, object] = {
        "name": table.name,
        "bus": "can0",
        "target_address": target_address,
        "request_id": table.request_id,
        "response_id": table.response_id,
        "p2_ms": 500,  # a busy machine may be late
    }
    return Settings(**(known | more))  # type: ignore[arg-type]


@dataclass
class Rig:
    """The agent's side, and what everybody else on the bus saw."""

    ecus: EcuBuses
    simulated: Mapping[str, SimulatedEcu]
    bus: Bus
    received: list[Frame] = field(default_factory=list)  # by the agent, as it would decode them
    seen: list[Frame] = field(default_factory=list)  # on the bus

    def from_agent(self) -> list[str]:
        """Return what the agent sent, as id and data."""
        ours = {0x7E0, 0x7E1, 0x7DF, 0x18DA58F1, 0x18DA59F1, 0x18DB33F1}
        return [
            f"{frame.can_id & 0x1FFFFFFF:X} {frame.data.hex(' ')}"
            for frame in self.seen
            if frame.can_id & 0x1FFFFFFF in ours
        ]


@contextlib.asynccontextmanager
async def rig(
    path: Path, *tables: EcuTable, faults: Mapping[str, Fault] | None = None, **more: object
) -> AsyncIterator[Rig]:
    """Run an agent's buses beside simulated ECUs, over a Unix socket as between programs."""
    bus = Bus(("can0",))
    clock = SystemClock()
    simulated = {table.name: SimulatedEcu(table) for table in tables}
    nodes = [EcuNode(ecu, (faults or {}).get(name, Fault.NONE)) for name, ecu in simulated.items()]
    front = UnixFront(bus, path / "bus")
    await front.open()
    ecus = EcuBuses(
        [settings(table, number, **more) for number, table in enumerate(tables, 1)],
        ["can0"],
        clock,
    )
    theirs, watching = BusSource(bus), BusSource(bus)
    unix = UnixBus(path / "bus")
    ecus.connect(0, unix)
    made = Rig(ecus, simulated, bus)
    tasks = [
        asyncio.create_task(serve(nodes, bus, theirs, clock)),
        asyncio.create_task(_collect(Tapped(unix, ecus.take), made.received)),
        asyncio.create_task(_collect(watching, made.seen)),
    ]
    await front.wait_for(1)
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        unix.close()
        theirs.close()
        watching.close()
        await front.close()


async def _collect(source: "Tapped | BusSource", into: list[Frame]) -> None:
    while (block := await source.receive()) is not None:
        into += block.frames()
