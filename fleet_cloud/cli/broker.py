"""`fleet-cloud broker`: the rules of a broker that somebody else runs.  Works while the cloud runs."""

import argparse
import getpass
import os
from pathlib import Path
from typing import Any

from fairway.clock import SystemClock
from fairway.errors import Unavailable
from fleet_cloud.adapters.broker_rules import KINDS, ForBroker, rules_for
from fleet_cloud.adapters.fleet import Fleet
from fleet_cloud.adapters.fleet_files import open_fleet
from fleet_cloud.adapters.whole_files import write_whole
from fleet_cloud.cli import settings
from fleet_cloud.config import endpoint


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "broker", help="rules for a broker that somebody else runs"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    making = actions.add_parser(
        "rules",
        help="print or write what a broker must be told",
        description="Print the configuration with which a broker denies everything but what vehicles and the"
        " cloud do: a vehicle publishes below its own up/ and reads below its own down/.",
    )
    making.add_argument(
        "--for", dest="kind", choices=tuple(KINDS), required=True, help="which broker"
    )
    making.add_argument(
        "--out", type=Path, metavar="DIR", help="where the files go (default: they are printed)"
    )
    making.add_argument(
        "--listen",
        metavar="ADDRESS",
        help="where the broker takes connections (default: broker.listen)",
    )
    making.add_argument(
        "--place", default="", metavar="ARN", help="aws-iot: arn:aws:iot:REGION:ACCOUNT"
    )
    settings.add_arguments(making)
    making.set_defaults(run=_rules)


def _rules(args: argparse.Namespace) -> int:
    config = settings.read(args)
    out: Path | None = args.out.absolute() if args.out else None
    clock = SystemClock()
    with open_fleet(config) as fleet:
        known = Fleet(fleet.registry.vehicles, fleet.registry.certificates, clock)
        known.refresh()
        fleet.pki.write_revocations(known.certificates, clock.now_ns())
        files = rules_for(
            args.kind,
            ForBroker(
                members=known.members,
                pki=fleet.pki,
                folder=out or Path.cwd(),
                listen=endpoint(args.listen or config.broker.listen),
                user=getpass.getuser() if os.getuid() == 0 else "",
                place=args.place,
                fleetwise=config.fleetwise.prefixes,
                jobs=config.jobs.enabled,
            ),
        )
    if out is None:
        for name, text in files.items():
            print(f"==> {name} <==\n{text}" if len(files) > 1 else text)
        return 0
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_whole(out / name, text.encode(), secret=True)
    except OSError as error:
        raise Unavailable(f"cannot write to {out}: {error.strerror}") from error
    print(f"{', '.join(files)} in {out}, for {len(known.members)} vehicles")
    return 0
