"""An agent of nothing but doors: battery and trip-log, until it is killed.  Run by test_doors_after_kill.py.

python doors_program.py FOLDER        prints a line when both are served and in force
"""

import asyncio
import sys
from pathlib import Path

from edge_agent.adapters.edge_audit import EdgeAudit
from edge_agent.adapters.kuksa import services_of
from edge_agent.adapters.service_doors import ServiceDoors
from edge_agent.adapters.service_tokens import Mint
from fairway.clock import SystemClock
from tests.edge_agent.adapters.service_rig import BATTERY, TRIP_LOG, Rig
from tests.edge_agent.vehicle_api import vehicle


async def main(folder: Path) -> None:
    clock, data = SystemClock(), vehicle()
    mint, audit = Mint.of(folder, clock), EdgeAudit(folder / "audit.jsonl", clock)
    doors = ServiceDoors(data, mint, audit, clock, services_of(data, clock))
    rig = Rig(folder, doors, data, mint, audit, clock)  # type: ignore[arg-type]
    battery = await rig.opened(BATTERY)
    await rig.opened(TRIP_LOG)
    await rig.in_force(battery)
    print("served", flush=True)
    await doors.run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
