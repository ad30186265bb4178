"""`edge-agent campaign dry-run`: what campaigns would do on recorded drives, before a vehicle runs them.

    hard-braking
      on 2 drives (1.9 h): 12 triggers, 3,114 samples, 18,240 bytes in 12 batches
      a vehicle-month of 30 h: 189 triggers, 49,168 samples, 0.288 MB

Rule 1: the result goes to standard output and nothing else does; progress is said on standard error.
Rule 2: a campaign that could not run is a failure (exit code 1) and says why; the others are tried.
"""

import argparse
from pathlib import Path
from typing import Any


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    command = commands.add_parser(
        "dry-run",
        help="predict triggers, samples, bytes and cost of campaigns on recorded drives",
        description="Run campaigns over recorded drives as a vehicle would, and say what they would send.",
    )
    command.add_argument(
        "--campaign",
        action="append",
        type=Path,
        required=True,
        metavar="FILE",
        help="a campaign document (repeatable)",
    )
    command.add_argument(
        "--log",
        nargs="+",
        type=Path,
        required=True,
        metavar="DRIVE",
        help="recorded drives: candump, ASC, BLF, TRC or MF4",
    )
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="the agent's settings: its buses and signals"
    )
    command.add_argument(
        "--dbc",
        action="append",
        metavar="CHANNEL=FILE[,FILE]",
        help="instead of settings: the databases of one channel (repeat for more channels)",
    )
    command.add_argument(
        "--catalog", action="append", type=Path, default=[], metavar="FILE", help="VSS catalogues"
    )
    command.add_argument(
        "--overlay",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="mappings onto VSS",
    )
    command.add_argument(
        "--hours-per-month",
        type=float,
        default=30.0,
        metavar="H",
        help="how long a vehicle is driven",
    )
    command.add_argument(
        "--price-per-mb", type=float, default=0.0, metavar="P", help="what a million bytes cost"
    )
    command.add_argument("--json", action="store_true", help="print the prediction as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Try the campaigns and print what they would do."""
    from edge_agent.cli import dry_run_drives  # noqa: PLC0415 - the whole campaign engine

    return dry_run_drives.run(args)
