"""Tells when somebody set the wall clock: stamps and ages jump with it, nothing is lost."""

import asyncio

from fairway import log
from fairway.clock import NS_PER_S, Clock, JumpWatch

EVENTS = log.get("edge_agent")

# A clock that was set is worth a line within a second or two; nothing else depends on it.
CLOCK_LOOK_S = 1.0


async def watch_clock(clock: Clock) -> None:
    """Watch until cancelled."""
    watch = JumpWatch(clock)
    while True:
        await asyncio.sleep(CLOCK_LOOK_S)
        if jump_ns := watch.jump_ns():
            EVENTS.warning("clock_jumped", by_s=round(jump_ns / NS_PER_S, 3))
