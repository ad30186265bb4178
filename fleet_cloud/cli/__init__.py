"""The `fleet-cloud` command line.  One file here is one command: `add(commands)` declares it, `run` does it."""

import argparse
from collections.abc import Sequence

from fairway import command_line
from fleet_cloud.cli import (
    audit,
    broker,
    campaign,
    claim,
    enrolment,
    image,
    ingest,
    key,
    pki,
    release,
    serve,
    service,
    token,
    user,
    vehicle,
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    root = argparse.ArgumentParser(
        prog="fleet-cloud", description="The Fairway cloud for a fleet of vehicles."
    )
    commands = root.add_subparsers(title="commands", metavar="COMMAND")
    every = (
        serve,
        ingest,
        vehicle,
        campaign,
        service,
        image,
        release,
        claim,
        enrolment,
        pki,
        broker,
        key,
        user,
        token,
        audit,
    )
    for command in every:
        command.add(commands)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 on success, 1 for an error we understand, 2 for a wrong command line."""
    return command_line.run(parser(), argv)
