"""The `edge-agent` command line.  One file here is one command: `add(commands)` declares it, `run` does it."""

import argparse
from collections.abc import Sequence

from edge_agent.cli import (
    campaign,
    decode,
    enroll,
    lint_dbc,
    run,
    services,
    signals,
    token,
    updates,
)
from fairway import command_line


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    root = argparse.ArgumentParser(
        prog="edge-agent", description="The Fairway agent in the vehicle."
    )
    commands = root.add_subparsers(title="commands", metavar="COMMAND")
    campaign.add(commands)
    decode.add(commands)
    enroll.add(commands)
    lint_dbc.add(commands)
    run.add(commands)
    services.add(commands)
    signals.add(commands)
    token.add(commands)
    updates.add(commands)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 on success, 1 for an error we understand, 2 for a wrong command line."""
    return command_line.run(parser(), argv)
