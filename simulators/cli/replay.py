"""`vehicle-sim replay`: a log as a live bus, for agents and other tools to connect to."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from edge_agent.adapters.log_replay import LogReplay
from fairway.errors import BadInput
from simulators.bus import Bus, Front
from simulators.cli.record import refuse_same_file, stopped_by_signals
from simulators.fronts import KINDS, close_fronts, open_front


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    command = commands.add_parser(
        "replay",
        help="play a log onto a bus",
        description="Play a log onto a bus: candump, ASC, BLF, TRC or MF4; .xz and .gz too.",
    )
    command.add_argument("--log", type=Path, required=True, metavar="FILE", help="the log to play")
    command.add_argument(
        "--to", action="append", required=True, metavar="FRONT", help=f"{KINDS} (repeatable)"
    )
    command.add_argument(
        "--speed", default="1", metavar="X", help="times real time, or max (default 1)"
    )
    command.add_argument(
        "--channels",
        default=",".join(f"can{number}" for number in range(8)),
        metavar="NAME[,NAME]",
        help="the channels of the log to play, in the order of the bus's channels (default can0 to can7)",
    )
    command.add_argument(
        "--wait-for", type=int, default=0, metavar="N", help="begin when N clients are connected"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Play to the end."""
    names = tuple(args.channels.split(","))
    if not all(names) or len(set(names)) != len(names):
        raise BadInput(f"--channels {args.channels} does not name each channel once")
    refuse_same_file(f"replay:{args.log}", *args.to)
    speed = _speed(args.speed)
    bus = Bus(names)
    replay = LogReplay(args.log, {name: number for number, name in enumerate(names)}, speed=speed)
    asyncio.run(play(replay, bus, args.to, wait_for=args.wait_for))
    said = f"{bus.sent} frames sent"
    if bus.dropped:
        said += f", {bus.dropped} dropped for slow clients"
    if replay.unlisted:
        said += "; skipped " + ", ".join(f"{n} of {name}" for name, n in replay.unlisted.items())
    if replay.report.malformed:
        line, what = replay.report.first_malformed[0]
        said += f"; {replay.report.malformed} lines could not be read, the first {line}: {what!r}"
    print(said, file=sys.stderr)
    return 0


async def play(replay: LogReplay, bus: Bus, fronts: list[str], *, wait_for: int = 0) -> None:
    """Open the fronts, wait for clients, play, and close when everything is delivered."""
    opened: list[Front] = []
    task = asyncio.current_task()
    assert task is not None
    try:
        with stopped_by_signals(task.cancel):
            try:
                for text in fronts:
                    opened.append(await open_front(text, bus))  # noqa: PERF401 - closed one by one, too
                for front in opened:
                    await front.wait_for(wait_for)
                while (block := await replay.receive()) is not None:
                    await bus.send(block)
            finally:
                replay.close()
                await close_fronts(opened)
    except asyncio.CancelledError:
        task.uncancel()


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise BadInput(f"--speed {text} is not a number, nor max") from error
