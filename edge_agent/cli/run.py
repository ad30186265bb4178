"""`edge-agent run`: the agent itself, until it is told to stop."""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from edge_agent.config import Config
from fairway import config, log


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    command = commands.add_parser(
        "run",
        help="collect signals and deliver them to the cloud",
        description="Run the agent: buses in, batches out, until SIGTERM or SIGINT.",
    )
    command.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="settings, TOML"
    )
    command.add_argument(
        "--until-drained",
        action="store_true",
        help="end when a replayed log has ended and the cloud has stored everything",
    )
    command.add_argument("--json", action="store_true", help="print what was done as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the agent."""
    from edge_agent import app  # noqa: PLC0415 - the other commands need none of it

    settings = config.load(Config, args.config)
    log.set_up(level=settings.log.level, as_json=settings.log.json)
    summary = dataclasses.asdict(app.run(settings, until_drained=args.until_drained))
    if args.json:
        print(json.dumps(summary))
    else:
        print(
            "{frames} frames, {samples} samples in {batches} batches of {request_bytes} bytes; "
            "{stored} stored, {duplicate} known already, {refused} refused, {waiting_batches} waiting".format(
                **summary
            )
        )
    return 0
