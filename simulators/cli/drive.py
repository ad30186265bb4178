"""`vehicle-sim drive`: a simulated vehicle on its buses, or into a log."""

import argparse
import asyncio
import json
import sys
from typing import Any

from fairway.clock import NS_PER_S, Clock, SystemClock
from fairway.errors import BadInput
from simulators.bus import Bus, Front
from simulators.cli.record import refuse_same_file, stopped_by_signals
from simulators.drive import Progress, drive
from simulators.drive_cycle import CYCLES, load_cycle
from simulators.fronts import KINDS, close_fronts, open_front
from simulators.vehicle import PROFILES, START_TIME_NS, Options, Vehicle

# A week: longer drives are several drives.
SECONDS_MAX = 604_800.0

_TOLD_EVERY_S = 1.0  # on a terminal


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    command = commands.add_parser(
        "drive",
        help="drive a simulated vehicle",
        description="Drive a simulated vehicle. The same arguments and seed give the same bytes, "
        "except in real time, where frames carry the time of day.",
    )
    command.add_argument("--profile", choices=PROFILES, default="ev", help="default ev")
    command.add_argument("--cycle", choices=CYCLES, default="wltc", help="default wltc")
    command.add_argument(
        "--seconds",
        type=float,
        metavar="N",
        help="virtual seconds to drive (default: the cycle once)",
    )
    command.add_argument("--seed", type=int, default=1, metavar="S", help="default 1")
    command.add_argument(
        "--number", type=int, default=0, metavar="N", help="tells vehicles of one seed apart"
    )
    command.add_argument("--vin", default="", help="17 characters (default: made from the seed)")
    command.add_argument(
        "--speed", metavar="realtime|xN|max", help="default realtime; max where all goes into logs"
    )
    command.add_argument(
        "--start",
        type=int,
        metavar="UNIX_S",
        help="what frames say of when the drive began (default: a fixed day; not for real time)",
    )
    command.add_argument(
        "--to", action="append", required=True, metavar="FRONT", help=f"{KINDS} (repeatable)"
    )
    command.add_argument(
        "--wait-for", type=int, default=0, metavar="N", help="begin when N clients are connected"
    )
    command.add_argument("--json", action="store_true", help="print the summary as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Drive to the end and say how it went."""
    clock = SystemClock()
    speed = _speed(args.speed, args.to)
    seconds = _seconds(args)
    refuse_same_file(*args.to)
    vehicle = Vehicle(
        Options(
            profile=args.profile,
            cycle=args.cycle,
            seed=args.seed,
            number=args.number,
            vin=args.vin,
            start_time_ns=_start_ns(args.start, speed),
        )
    )
    bus = Bus(vehicle.bus_names)
    teller = _Teller(vehicle, seconds, clock)
    asyncio.run(_drive(vehicle, bus, args, _Pace(clock, seconds, speed, teller)))
    teller.finish(bus, as_json=args.json, cycle=args.cycle, profile=args.profile)
    return 0


class _Pace:
    """How long and how fast to drive, and whom to tell."""

    def __init__(
        self, clock: Clock, seconds: float, speed: float | None, teller: "_Teller"
    ) -> None:
        self.clock = clock
        self.seconds = seconds
        self.speed = speed
        self.teller = teller


async def _drive(vehicle: Vehicle, bus: Bus, args: argparse.Namespace, pace: _Pace) -> None:
    """Open the fronts, wait for clients, drive, and close when everything is delivered."""
    opened: list[Front] = []
    task = asyncio.current_task()
    assert task is not None
    try:
        with stopped_by_signals(task.cancel):
            try:
                for text in args.to:
                    opened.append(await open_front(text, bus))  # noqa: PERF401 - closed one by one, too
                for front in opened:
                    await front.wait_for(args.wait_for)
                await drive(
                    vehicle,
                    bus,
                    clock=pace.clock,
                    seconds=pace.seconds,
                    speed=pace.speed,
                    tell=pace.teller.tell,
                )
            finally:
                await close_fronts(opened)
    except asyncio.CancelledError:
        task.uncancel()


class _Teller:
    """Says on the terminal how the drive stands."""

    def __init__(self, vehicle: Vehicle, seconds: float, clock: Clock) -> None:
        self._vehicle = vehicle
        self._seconds = seconds
        self._clock = clock
        self._told_ns = clock.monotonic_ns()
        self._progress = Progress()

    def tell(self, progress: Progress) -> None:
        """Rewrite the line on a terminal once a second; say nothing to a file."""
        self._progress = progress
        now_ns = self._clock.monotonic_ns()
        if not sys.stderr.isatty() or now_ns - self._told_ns < _TOLD_EVERY_S * NS_PER_S:
            return
        self._told_ns = now_ns
        facts = " ".join(f"{name} {value}" for name, value in self._facts().items())
        line = f"{progress.time_s:8.1f} of {self._seconds:.0f} s  {progress.frames} frames  {facts}"
        print(f"\r{line:<100.100}", end="", file=sys.stderr, flush=True)

    def finish(self, bus: Bus, *, as_json: bool, cycle: str, profile: str) -> None:
        """Print the summary."""
        if sys.stderr.isatty():
            print(file=sys.stderr)
        progress = self._progress
        rate = progress.frames / progress.time_s if progress.time_s else 0.0
        if as_json:
            summary = {
                "vin": self._vehicle.vin,
                "profile": profile,
                "cycle": cycle,
                "seconds": round(progress.time_s, 3),
                "frames": progress.frames,
                "frames_per_s": round(rate, 1),
                "dropped": bus.dropped,
                "bus_load": dict(
                    zip(
                        self._vehicle.bus_names,
                        (round(load, 4) for load in self._vehicle.bus_loads),
                        strict=True,
                    )
                ),
                "behind_s": round(progress.behind_s, 3),
                **self._facts(),
            }
            print(json.dumps(summary))
            return
        dropped = f", {bus.dropped} dropped for slow clients" if bus.dropped else ""
        facts = ", ".join(f"{name} {value}" for name, value in self._facts().items())
        print(
            f"{self._vehicle.vin} drove the {cycle} for {progress.time_s:.0f} s: "
            f"{progress.frames} frames ({rate:.0f} a second){dropped}; {facts}",
            file=sys.stderr,
        )

    def _facts(self) -> dict[str, float]:
        view = self._vehicle.view
        if view is None:
            return {}
        facts = {"speed_km_h": round(view.speed_km_h, 1), "distance_km": round(view.trip_km, 3)}
        if hasattr(view, "soc_percent"):
            facts["soc_percent"] = round(view.soc_percent, 2)
        return facts


def _speed(text: str | None, fronts: list[str]) -> float | None:
    """Return virtual over real time, None for as fast as possible."""
    if text is None:
        return None if all(front.startswith("log:") for front in fronts) else 1.0
    if text in ("max", "realtime"):
        return None if text == "max" else 1.0
    try:
        return float(text.removeprefix("x"))
    except ValueError as error:
        raise BadInput(f"--speed {text} is not realtime, xN or max") from error


def _seconds(args: argparse.Namespace) -> float:
    if args.seconds is None:
        return load_cycle(args.cycle).duration_s
    seconds: float = args.seconds
    if not 0.0 < seconds <= SECONDS_MAX:
        raise BadInput(f"--seconds {seconds} is not over 0 and up to {SECONDS_MAX:.0f}")
    return seconds


def _start_ns(start_s: int | None, speed: float | None) -> int:
    if start_s is None:
        return START_TIME_NS
    if speed == 1.0:
        raise BadInput(
            "--start is for --speed xN or max: in real time frames carry the time of day"
        )
    if not 0 <= start_s < 2**32:
        raise BadInput(f"--start {start_s} is not a time in seconds since 1970")
    return start_s * NS_PER_S
