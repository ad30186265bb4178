"""A bus that says how time passes, so that nothing can be missing or doubled unseen.  A program of its own.

python -m tests.e2e.test_campaigns.beacon SOCKET

BEACON.Count    one more every 10 ms
BEACON.Wave     9 for three seconds, 0 for two, by the time that has really passed, whatever a wall clock says
"""

import asyncio
import sys
from pathlib import Path

from edge_agent.canbus.frames import Frame, block_of
from fairway.clock import NS_PER_MS, NS_PER_S, SystemClock
from simulators.bus import Bus
from simulators.fronts import close_fronts, open_front

DBC = """VERSION ""
NS_ :
BS_:
BU_: ECU
BO_ 256 BEACON: 6 ECU
 SG_ Count : 0|32@1+ (1,0) [0|0] "" Vector__XXX
 SG_ Wave : 32|8@1+ (1,0) [0|0] "" Vector__XXX
"""
COUNT, WAVE = "can0.BEACON.Count", "can0.BEACON.Wave"
STEP_NS = 10 * NS_PER_MS
CREST_S, TROUGH_S = 3, 2
CYCLE_S = CREST_S + TROUGH_S


async def shine(path: Path) -> None:
    """Send until the process ends."""
    bus, clock = Bus(("can0",)), SystemClock()
    front = await open_front(f"unix:{path}", bus)
    start_ns, count = clock.monotonic_ns(), 0
    try:
        while True:
            wave = 9 if (clock.monotonic_ns() - start_ns) / NS_PER_S % CYCLE_S < CREST_S else 0
            data = count.to_bytes(4, "little") + bytes([wave, 0])
            await bus.send(block_of([Frame(256, data, time_ns=clock.now_ns())]))
            count += 1
            left_ns = start_ns + count * STEP_NS - clock.monotonic_ns()
            await asyncio.sleep(max(left_ns, 0) / NS_PER_S)
    finally:
        await close_fronts([front])


if __name__ == "__main__":
    asyncio.run(shine(Path(sys.argv[1])))
