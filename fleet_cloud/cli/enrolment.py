"""`fleet-cloud enrolment`: who was enrolled, and who waits for a person's word."""

import argparse
import dataclasses
import json
from typing import Any

from fairway.clock import SystemClock
from fleet_cloud.adapters.fleet_files import open_fleet
from fleet_cloud.cli import settings
from fleet_cloud.cli.people import actor, shown
from fleet_cloud.enrolment import desk
from fleet_cloud.enrolment.model import Enrolment, EnrolmentState


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "enrolment", help="who was enrolled; approve and reject replacements"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list enrolments, the newest first")
    listing.add_argument(
        "--state", choices=[state.value for state in EnrolmentState], help="only these"
    )
    listing.add_argument("--json", action="store_true", help="for machines")
    listing.set_defaults(run=_list)
    approving = actions.add_parser(
        "approve",
        help="let a replaced head unit in, and shut the old one out",
        description="Let a replaced head unit in.  The certificates of the old one are revoked at once.",
    )
    approving.set_defaults(run=_approve)
    rejecting = actions.add_parser("reject", help="refuse a replaced head unit; the old one stays")
    rejecting.set_defaults(run=_reject)
    for action in (approving, rejecting):
        action.add_argument("name", metavar="VEHICLE|ID", help="a vehicle, or an enrolment's id")
    for action in (listing, approving, rejecting):
        settings.add_arguments(action)


def _list(args: argparse.Namespace) -> int:
    state = EnrolmentState(args.state) if args.state else None
    with open_fleet(settings.read(args)) as fleet:
        found = fleet.registry.enrolments.enrolments(state)
    if args.json:
        print(json.dumps([_as_json(one) for one in found], indent=1))
        return 0
    for one in found:
        by = f"claim {one.claim}" if one.claim else "renewal"
        print(f"{one.id}  {one.vehicle:24} {one.state:9} {shown(one.requested_time_ns)}  {by}")
    if not found:
        print("no enrolments")
    return 0


def _approve(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        enrolment, revoked = desk.approve(
            fleet.registry.enrolments,
            fleet.registry.certificates,
            fleet.audit,
            name=args.name,
            actor=actor(),
            now_ns=SystemClock().now_ns(),
        )
    print(
        f"{enrolment.vehicle} approved: its new head unit is let in when it asks again;"
        f" {revoked} certificates of the old one are revoked"
    )
    return 0


def _reject(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        enrolment = desk.reject(
            fleet.registry.enrolments,
            fleet.audit,
            name=args.name,
            actor=actor(),
            now_ns=SystemClock().now_ns(),
        )
    print(f"{enrolment.vehicle} rejected: that key is never let in")
    return 0


def _as_json(one: Enrolment) -> dict[str, object]:
    row = dataclasses.asdict(one)
    row["certificate_pem"] = one.certificate_pem.decode("ascii", "replace")
    return row
