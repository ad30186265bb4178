"""The `vehicle-sim` command line.  One file here is one command: `add(commands)` declares it, `run` does it."""

import argparse
from collections.abc import Sequence

from fairway import command_line
from simulators.cli import body, drive, ecu, record, replay


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    root = argparse.ArgumentParser(
        prog="vehicle-sim", description="Simulated vehicles, buses and drives."
    )
    commands = root.add_subparsers(title="commands", metavar="COMMAND")
    body.add(commands)
    drive.add(commands)
    ecu.add(commands)
    record.add(commands)
    replay.add(commands)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 on success, 1 for an error we understand, 2 for a wrong command line."""
    return command_line.run(parser(), argv)
