"""Runs simulated ECUs on a bus, in real time."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge_agent.canbus.frames import FrameBlock
from fairway.clock import NS_PER_S, Clock
from simulators.bus import Bus, BusSource
from simulators.ecu_node import EcuNode


async def serve(nodes: Sequence[EcuNode], bus: Bus, source: BusSource, clock: Clock) -> None:
    """Answer until cancelled: what can be said at once, and what takes its time when it is due."""
    while True:
        frames = await _received(nodes, source, clock)
        now_ns = clock.monotonic_ns()
        for node in nodes:
            if frames is not None:
                node.take(frames, now_ns=now_ns)
            out = node.due(now_ns=now_ns)
            if out is not None:
                stamp = np.full(len(out), clock.now_ns(), np.int64)
                await bus.send(replace(out, time_ns=stamp), sender=source)


async def _received(nodes: Sequence[EcuNode], source: BusSource, clock: Clock) -> FrameBlock | None:
    """Return the next frames, or None when an ECU has something to send before they come."""
    due = [due_ns for node in nodes if (due_ns := node.due_ns) is not None]
    wait_s = max(0, min(due) - clock.monotonic_ns()) / NS_PER_S if due else None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            return await source.receive()
    return None
