"""The `ota-release` command line.  One file here is one command: `add(commands)` declares it, `run` does it."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

import ota.tuf_library  # noqa: F401 - first, so that it loads without the signers of all clouds
from fairway import command_line
from ota.cli import build, delta, init, inspect, keys, publish, sign, timestamp, verify


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    root = argparse.ArgumentParser(
        prog="ota-release", description="Builds, signs and publishes releases of vehicles."
    )
    root.add_argument("--version", action="version", version=f"ota-release {version('fairway')}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND")
    for one in (init, build, delta, sign, timestamp, publish, inspect, verify, keys):
        one.add(commands)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 on success, 1 for an error we understand, 2 for a wrong command line."""
    return command_line.run(parser(), sys.argv[1:] if argv is None else argv)
