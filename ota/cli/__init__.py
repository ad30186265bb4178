"""The `ota-release` command line.  One file here is one command: `add(commands)` declares it, `run` does it.

A file is loaded when its command is named: see fairway/command_line.py.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from fairway import command_line
from fairway.command_line import Command, Program

PROGRAM = Program(
    name="ota-release",
    description="Builds, signs and publishes releases of vehicles.",
    commands=(
        Command("init", "make a release folder: keys, roles, first signatures", "ota.cli.init"),
        Command(
            "build",
            "build a release from its file; the same input is the same bytes",
            "ota.cli.build",
        ),
        Command(
            "delta",
            "make differences against older images; each is applied and measured",
            "ota.cli.delta",
        ),
        Command("sign", "sign as CI, and vouch for the build", "ota.cli.sign"),
        Command("cosign", "sign as a person, after CI", "ota.cli.cosign"),
        Command(
            "timestamp",
            "make complete versions count: sign snapshot and timestamp",
            "ota.cli.timestamp",
        ),
        Command(
            "publish", "send what is complete; what is there is not sent twice", "ota.cli.publish"
        ),
        Command(
            "inspect", "say how a release folder stands, or what an image is", "ota.cli.inspect"
        ),
        Command("verify", "verify as a vehicle would, with bytes and builds", "ota.cli.verify"),
        Command("rotate", "change the keys of a role, or renew it", "ota.cli.rotate"),
        Command("revoke", "take an image off, or a key out of all roles", "ota.cli.revoke"),
        Command("delegate", "give a supplier or a team a role of its own", "ota.cli.delegate"),
    ),
)


def parser(argv: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """Return the parser of `argv`, or of all commands."""
    root = PROGRAM.parser(argv)
    root.add_argument("--version", action="version", version=f"ota-release {version('fairway')}")
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 on success, 1 for an error we understand, 2 for a wrong command line."""
    words = sys.argv[1:] if argv is None else argv
    return command_line.run(parser(words), words)
