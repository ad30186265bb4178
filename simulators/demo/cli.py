"""`fairway`: simulated vehicles, their agents and the cloud with nothing else, and images of services."""

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fairway.command_line import Command, Program
from fairway.errors import BadInput

# More do not fit two cores at frame level: an agent and a simulated vehicle take some 15 % of one each.
VEHICLES_MAX = 8


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    demo = commands.add_parser(
        "demo", help="simulated vehicles, their agents and the cloud, all here"
    )
    demo.add_argument(
        "--seconds",
        type=float,
        metavar="N",
        help="drive so long, then stop (default: until Ctrl-C)",
    )
    demo.add_argument("--vehicles", type=int, default=3, metavar="N", help="how many (default: 3)")
    demo.add_argument("--json", action="store_true", help="print the summary for machines")
    demo.add_argument(
        "--dir",
        type=Path,
        metavar="DIR",
        help="keep data and logs here (default: deleted at the end)",
    )
    demo.add_argument(
        "--api", default="127.0.0.1:8080", metavar="HOST:PORT", help="where the API listens"
    )
    demo.add_argument(
        "--uplink", choices=("mqtt", "grpc"), default="mqtt", help="how vehicles reach the cloud"
    )
    demo.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 when every sample that an agent accepted was stored once."""
    from simulators.demo import show  # noqa: PLC0415 - the whole simulation, which images do not need

    if args.seconds is not None and not 1 <= args.seconds <= 24 * 3600:
        raise BadInput(f"--seconds {args.seconds:g} is out of range: 1 to 86400")
    if not 1 <= args.vehicles <= VEHICLES_MAX:
        raise BadInput(f"--vehicles {args.vehicles} is out of range: 1 to {VEHICLES_MAX}")
    if args.api.rpartition(":")[2].strip("0") == "":
        raise BadInput(f"--api {args.api} names no port: write host:port, as in 127.0.0.1:8080")
    with ExitStack() as stack:
        folder = args.dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="fairway-demo-"))
        )
        options = show.Options(
            folder=folder.absolute(),
            vehicles=args.vehicles,
            seconds=args.seconds,
            api=args.api,
            uplink=args.uplink,
        )
        summary = asyncio.run(show.run(options, sys.stderr))
        print(summary.as_json() if args.json else summary.as_text())
        return 0 if summary.is_whole else 1


PROGRAM = Program(
    name="fairway",
    description="Fairway on one machine.",
    commands=(
        Command(
            "demo",
            "simulated vehicles, their agents and the cloud, all here",
            "simulators.demo.cli",
        ),
        Command("image", "build images of services, look into them", "simulators.images.cli"),
    ),
)
parser = PROGRAM.parser
main = PROGRAM.main
