"""Drives vehicles on their buses, in real time, faster, or as fast as the machine can.

    Vehicle.advance -> frames of the next slice -> wait for the slice's end -> Bus.send

Rule 1: a slice is sent at start + virtual time / speed, an absolute deadline: lateness never adds up.
Rule 2: a frame is never sent before the moment it is stamped with.
Rule 3: in real time stamps are the time of day, beginning when the drive does.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fairway.clock import NS_PER_S, Clock
from fairway.errors import BadInput
from simulators.bus import Bus
from simulators.network import STEP_MS, STEP_S
from simulators.vehicle import Vehicle

# As fast as possible: one block covers this much, some 1,400 frames; the loop breathes in between.
_FAST_TICKS = 100
# A slice is to take at least this long on the clock: shorter ones only cost wake-ups.
_SLICE_MS = 10

SPEED_MAX = 1_000.0


@dataclass(slots=True)
class Progress:
    """How a drive stands."""

    time_s: float = 0.0  # virtual
    frames: int = 0
    behind_s: float = 0.0  # the most that a slice was late


async def drive(
    vehicle: Vehicle,
    bus: Bus,
    *,
    clock: Clock,
    seconds: float | None = None,
    speed: float | None = 1.0,
    tell: Callable[[Progress], None] | None = None,
) -> Progress:
    """Drive for `seconds` of virtual time (without end where None) and return how it went.

    `speed` is virtual over real time, None for as fast as possible.  `tell` is called after every slice.
    Several vehicles drive in one process as several tasks.  Raises BadInput for an impossible speed.
    """
    if speed is not None and not 0.0 < speed <= SPEED_MAX:
        raise BadInput(f"a speed of {speed} is not over 0 and up to {SPEED_MAX:.0f}")
    slice_ticks = _slice_ticks(speed)
    total = None if seconds is None else max(round(seconds / STEP_S), 0)
    if speed == 1.0 and vehicle.time_s == 0.0:
        vehicle.begin(clock.now_ns())
    began_ns = clock.monotonic_ns()
    progress = Progress()
    done = 0
    while total is None or done < total:
        ticks = slice_ticks if total is None else min(slice_ticks, total - done)
        frames = vehicle.advance(ticks)
        done += ticks
        if speed is None:
            await asyncio.sleep(0)
        else:
            due_ns = began_ns + round(done * STEP_S / speed * NS_PER_S)
            left_s = (due_ns - clock.monotonic_ns()) / NS_PER_S
            progress.behind_s = max(progress.behind_s, -left_s)
            await asyncio.sleep(max(left_s, 0.0))
        if len(frames):
            await bus.send(frames)
        progress.time_s = done * STEP_S
        progress.frames += len(frames)
        if tell is not None:
            tell(progress)
    return progress


def _slice_ticks(speed: float | None) -> int:
    if speed is None:
        return _FAST_TICKS
    return min(max(round(_SLICE_MS * speed / STEP_MS), 1), _FAST_TICKS)
