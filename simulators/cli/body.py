"""`vehicle-sim body`: door and climate control units on a bus, which obey the agent's commands and report."""

import argparse
import asyncio
import math
import sys
from typing import Any

from fairway.clock import NS_PER_MS, NS_PER_S, SystemClock
from fairway.errors import BadInput
from simulators.body_ecu import STEP_MS, BodyEcu
from simulators.bus import Bus, BusSource, Front
from simulators.cli.record import stopped_by_signals
from simulators.fronts import KINDS, close_fronts, open_front

FAULTS = ("none", "silent", "deaf")
_SPEED_MAX_KM_H = 300.0


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    command = commands.add_parser(
        "body",
        help="run door and climate control units on a bus",
        description="Run door and climate control units that obey commands of dbc/fairway_body.dbc and "
        "report how things are, until SIGTERM or SIGINT.",
    )
    command.add_argument(
        "--to", action="append", required=True, metavar="FRONT", help=f"{KINDS} (repeatable)"
    )
    command.add_argument(
        "--fault",
        choices=FAULTS,
        default="none",
        help="silent: it reports nothing; deaf: it obeys nothing (default none)",
    )
    command.add_argument(
        "--speed-km-h",
        type=float,
        default=0.0,
        metavar="V",
        help="what the gateway says (default 0)",
    )
    command.add_argument("--seconds", type=float, metavar="N", help="stop after so many seconds")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until stopped, or until the time is up."""
    if not 0 <= args.speed_km_h <= _SPEED_MAX_KM_H:
        raise BadInput(f"--speed-km-h {args.speed_km_h:g} is not 0 to {_SPEED_MAX_KM_H:g}")
    if args.seconds is not None and not 0 < args.seconds < math.inf:
        raise BadInput(f"--seconds {args.seconds:g} is not above 0")
    ecu = BodyEcu(obeys=args.fault != "deaf", reports=args.fault != "silent")
    ecu.state.speed_km_h = args.speed_km_h
    asyncio.run(_run(ecu, args))
    print(f"{ecu.state.rejected} commands rejected", file=sys.stderr)
    return 0


async def _run(ecu: BodyEcu, args: argparse.Namespace) -> None:
    bus, opened = Bus(("body",)), list[Front]()
    source = BusSource(bus)
    task = asyncio.current_task()
    assert task is not None
    try:
        with stopped_by_signals(task.cancel):
            try:
                for text in args.to:
                    opened.append(await open_front(text, bus))
                async with asyncio.TaskGroup() as tasks:
                    listening = tasks.create_task(_listen(ecu, source))
                    await _report(ecu, bus, source, args.seconds)
                    listening.cancel()
            finally:
                source.close()
                await close_fronts(opened)
    except asyncio.CancelledError:
        task.uncancel()


async def _listen(ecu: BodyEcu, source: BusSource) -> None:
    while (frames := await source.receive()) is not None:
        ecu.take(frames)


async def _report(ecu: BodyEcu, bus: Bus, source: BusSource, seconds: float | None) -> None:
    """Step in real time; a step that came late is made up for, and nothing waits for it."""
    clock = SystemClock()
    start_ns, steps = clock.monotonic_ns(), 0
    while seconds is None or steps * STEP_MS < seconds * 1000:
        steps += 1
        ecu.step()
        frames = ecu.due(clock.now_ns())
        if frames is not None:
            await bus.send(frames, sender=source)
        late_ns = clock.monotonic_ns() - start_ns - steps * STEP_MS * NS_PER_MS
        await asyncio.sleep(max(0.0, -late_ns / NS_PER_S))
