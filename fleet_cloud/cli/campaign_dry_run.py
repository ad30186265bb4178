"""`fleet-cloud campaign dry-run`: what a campaign would have done on drives that are stored.

Rule 1: an embedded telemetry store is one process's: while the cloud runs, its API is asked instead.
"""

import argparse
from typing import Any


def add(actions: Any) -> None:
    """Declare the action."""
    action: argparse.ArgumentParser = actions.add_parser(
        "dry-run", help="predict what a campaign would do, on stored drives"
    )
    action.add_argument(
        "what", metavar="NAME|FILE", help="a campaign, or the document of one that is not made yet"
    )
    action.add_argument(
        "--vehicle",
        action="append",
        required=True,
        metavar="VEHICLE",
        help="whose drives (repeatable)",
    )
    action.add_argument(
        "--from", dest="from_", required=True, metavar="TIME", help="when they begin, as in -7d"
    )
    action.add_argument("--to", default="", metavar="TIME", help="when they end; now by default")
    action.add_argument(
        "--stream",
        metavar="STREAM",
        help="only what this stream brought, else what no campaign did",
    )
    action.add_argument(
        "--hours-per-month",
        type=float,
        default=30.0,
        metavar="H",
        help="how long a vehicle is driven",
    )
    action.add_argument("--json", action="store_true", help="for machines")
    action.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from fleet_cloud.cli import campaign_trial  # noqa: PLC0415 - the telemetry store

    return campaign_trial.run(args)
