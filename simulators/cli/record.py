"""`vehicle-sim record`: a bus into a log file, until it ends, is interrupted, or the time is up.

Rule 1: what was received is in the file when the program ends, however it is told to.
"""

import argparse
import asyncio
import contextlib
import math
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge_agent.adapters.log_replay import LogReplay
from edge_agent.adapters.log_writers import LogWriter, open_writer
from edge_agent.adapters.sources import KINDS, open_source
from edge_agent.canbus.source import FrameSource
from fairway.errors import BadInput, Unavailable

# How often a bus that is not there yet is looked for.
RETRY_S = 0.2


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    command = commands.add_parser(
        "record",
        help="record a bus in a log file",
        description="Record a bus in a log file, or turn one log into another.",
    )
    command.add_argument("--source", required=True, metavar="SOURCE", help=f"one of {KINDS}")
    command.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="the log to write: .log, .asc, .blf or .trc; .log.xz packs it",
    )
    command.add_argument("--seconds", type=float, metavar="N", help="stop after so many seconds")
    command.add_argument(
        "--wait", type=float, default=10.0, metavar="S", help="how long the bus may take to appear"
    )
    command.add_argument(
        "--names",
        default="",
        metavar="NAME[,NAME]",
        help="what the channels are called in the log (default can0, can1 ...)",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Record until the end."""
    names = tuple(args.names.split(",")) if args.names else ()
    if not all(names) or len(set(names)) != len(names):
        raise BadInput(f"--names {args.names} does not name each channel once")
    if args.seconds is not None and not 0 < args.seconds < math.inf:
        raise BadInput(f"--seconds {args.seconds:g} records nothing; give a number above 0")
    refuse_same_file(args.source, f"log:{args.out}")
    with contextlib.closing(_opened(args.source)) as source:
        writer = open_writer(args.out, names)
        try:
            asyncio.run(record(source, writer, seconds=args.seconds, wait_s=args.wait))
        finally:
            writer.close()
    lost = f", {source.dropped} dropped by the bus" if source.dropped else ""
    lost += f", {writer.left_out} that the format cannot hold" if writer.left_out else ""
    print(f"{writer.frames} frames in {args.out}{lost}", file=sys.stderr)
    return 0


def _opened(text: str) -> FrameSource:
    """Open the source; a log is taken with all its channels, as fast as it can be read."""
    kind, _, rest = text.partition(":")
    if kind == "replay" and rest:
        return LogReplay(Path(rest))
    if kind == "unix" and "#" not in rest:
        text += "#*"
    return open_source(text, name="can0")


async def record(
    source: FrameSource, writer: LogWriter, *, seconds: float | None = None, wait_s: float = 10.0
) -> None:
    """Write what `source` brings.  Raises Unavailable when it does not appear within `wait_s`."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + wait_s
    end = loop.call_later(seconds, source.close) if seconds is not None else None
    with stopped_by_signals(source.close):
        try:
            while True:
                try:
                    block = await source.receive()
                except Unavailable:
                    if writer.frames:
                        return  # the bus has gone: the recording ends with it
                    if loop.time() >= give_up:
                        raise
                    await asyncio.sleep(RETRY_S)
                    continue
                if block is None:
                    return
                writer.write(block)
        finally:
            source.close()
            if end is not None:
                end.cancel()


def refuse_same_file(*places: str) -> None:
    """Raise BadInput when two of `places` (replay:FILE, log:FILE) are one file: writing would destroy it."""
    files = set[Path]()
    for place in places:
        kind, _, name = place.partition(":")
        if kind not in ("replay", "log"):
            continue
        file = Path(name).resolve()
        if file in files:
            raise BadInput(
                f"{name} is named twice: a log cannot be written over what it is made of"
            )
        files.add(file)


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` on SIGINT and SIGTERM instead of dying in the middle."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
