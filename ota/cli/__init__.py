"""The `ota-release` command line.  One file here is one command: `add(commands)` declares it, `run` does it."""

import argparse
from collections.abc import Sequence
from importlib.metadata import version

from fairway import command_line


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    root = argparse.ArgumentParser(
        prog="ota-release", description="Builds, signs and publishes releases of vehicles."
    )
    root.add_argument("--version", action="version", version=f"ota-release {version('fairway')}")
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 on success, 1 for an error we understand, 2 for a wrong command line."""
    return command_line.run(parser(), argv)
