"""`fleet-cloud claim`: credentials of factory images, and which vehicles they may enrol."""

import argparse
import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairway.clock import NS_PER_S, SystemClock
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.identity import DEFAULT_TENANT, Kind, tenant_name
from fairway.signers import file
from fleet_cloud.adapters.fleet_files import FleetFiles, open_fleet
from fleet_cloud.adapters.handing_out import place_of
from fleet_cloud.adapters.whole_files import write_whole
from fleet_cloud.audit.acts import Act
from fleet_cloud.cli import settings
from fleet_cloud.cli.people import actor
from fleet_cloud.config import Config
from fleet_cloud.enrolment.model import Claim, claim_name, vehicles_listed
from fleet_cloud.vehicles.registry import checked_vehicle_name

# A production run, and the way of the last cars to their first start.
DAYS = 90
DAYS_MAX = 3650


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "claim", help="credentials of factory images: each enrols the vehicles of its list, once"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    creating = actions.add_parser(
        "create",
        help="make a claim, with its certificate and key",
        description="Make a claim.  DIR goes into the factory image: `edge-agent enroll --claim DIR`.",
    )
    creating.add_argument("name", metavar="NAME", help="as in line-4")
    creating.add_argument(
        "--days", type=int, default=DAYS, metavar="N", help="for how long it is good"
    )
    creating.add_argument(
        "--out", type=Path, metavar="DIR", help="where its files go (default: ./NAME)"
    )
    creating.set_defaults(run=_create)
    allowing = actions.add_parser(
        "allow", help="have a claim enrol further vehicles, or the same once more"
    )
    allowing.add_argument("name", metavar="NAME")
    allowing.set_defaults(run=_allow)
    for action in (creating, allowing):
        action.add_argument(
            "--vehicles",
            nargs="+",
            required=True,
            metavar="FILE|VIN",
            help="whom it may enrol: ids, or files with one a line",
        )
    revoking = actions.add_parser("revoke", help="end a claim; who was enrolled by it stays")
    revoking.add_argument("name", metavar="NAME")
    revoking.set_defaults(run=_revoke)
    listing = actions.add_parser("list", help="list claims, and what was done with them")
    listing.add_argument("--json", action="store_true", help="for machines")
    listing.set_defaults(run=_list)
    for action in (creating, allowing, revoking):
        action.add_argument("--tenant", default=DEFAULT_TENANT, help="whose claim it is")
    for action in (creating, allowing, revoking, listing):
        settings.add_arguments(action)


def _create(args: argparse.Namespace) -> int:
    config = settings.read(args)
    name, tenant = claim_name(args.name), tenant_name(args.tenant)
    if not 1 <= args.days <= DAYS_MAX:
        raise BadInput(f"--days is {args.days}; choose from 1 to {DAYS_MAX}")
    vehicles = vehicles_named(args.vehicles)
    out: Path = args.out or Path(name)
    now_ns = SystemClock().now_ns()
    with open_fleet(config) as fleet:
        endpoints = place_of(config, fleet.pki, fleet.data.endpoints()).endpoints
        if not endpoints.grpc_url:
            raise Conflict(
                "nobody knows yet at which gRPC port vehicles enrol: start fleet-cloud once, or choose one"
            )
        if fleet.registry.enrolments.standing(tenant, name, "", "").claim is not None:
            raise Conflict(f"tenant {tenant} has a claim called {name} already")
        fleet.pki.add_tenant(tenant, now_ns)
        signer = file.fresh()
        issued = fleet.pki.issue(
            fleet.pki.identity(Kind.CLAIM, tenant, name),
            signer.public_key(),
            now_ns,
            dt.timedelta(days=args.days),
        )
        claim = Claim(
            tenant,
            name,
            issued.sha256,
            issued.record.serial,
            now_ns,
            issued.record.expires_time_ns,
        )
        _write(out, signer.pem(), issued.certificate_pem, config, fleet)
        _audited(fleet, "create", claim.tenant, name, vehicles)
        fleet.registry.claims.create(claim, vehicles)
    print(
        f"claim {name} may enrol {len(vehicles)} vehicles of tenant {tenant}, once each, for {args.days} days;"
        f" its files are in {out}"
    )
    return 0


def _write(out: Path, key: bytes, certificate: bytes, config: Config, fleet: FleetFiles) -> None:
    place = place_of(config, fleet.pki, fleet.data.endpoints())
    endpoints = json.dumps(dataclasses.asdict(place.endpoints), indent=1) + "\n"
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(out / "key.pem", key, secret=True)
        write_whole(out / "certificate.pem", certificate)
        write_whole(out / "ca.pem", place.anchors_pem)
        write_whole(out / "endpoints.json", endpoints.encode())
    except OSError as error:
        raise Unavailable(f"cannot write the claim's files to {out}: {error}") from error


def _allow(args: argparse.Namespace) -> int:
    tenant, vehicles = tenant_name(args.tenant), vehicles_named(args.vehicles)
    with open_fleet(settings.read(args)) as fleet:
        _audited(fleet, "allow", tenant, args.name, vehicles)
        fleet.registry.claims.allow(tenant, args.name, vehicles)
    print(f"claim {args.name} may enrol {len(vehicles)} vehicles more, once each")
    return 0


def _revoke(args: argparse.Namespace) -> int:
    tenant = tenant_name(args.tenant)
    with open_fleet(settings.read(args)) as fleet:
        _audited(fleet, "revoke", tenant, args.name, [])
        fleet.registry.claims.revoke(tenant, args.name, SystemClock().now_ns())
    print(f"claim {args.name} enrols nobody from now on")
    return 0


def _list(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        found = fleet.registry.claims.claims()
    if args.json:
        rows = [
            dataclasses.asdict(claim) | {"vehicles": [dataclasses.asdict(one) for one in allowed]}
            for claim, allowed in found
        ]
        print(json.dumps(rows, indent=1))
        return 0
    for claim, allowed in found:
        used = sum(bool(one.used_key) for one in allowed)
        ends = "revoked" if claim.revoked_time_ns is not None else f"until {_day(claim)}"
        print(
            f"{claim.tenant}/{claim.name:32} {ends:22} {used} of {len(allowed)} vehicles enrolled"
        )
    if not found:
        print("no claims yet: fleet-cloud claim create NAME --vehicles FILE")
    return 0


def vehicles_named(words: Sequence[str]) -> list[str]:
    """Return the vehicles that a command line names: ids, and files of ids.  Raises BadInput."""
    found = dict[str, None]()
    for word in words:
        path = Path(word)
        try:
            lines = path.read_text("utf-8").splitlines() if path.is_file() else [word]
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot read the vehicles in {word}: {error}") from error
        try:
            found |= dict.fromkeys(map(checked_vehicle_name, vehicles_listed(lines)))
        except BadInput as error:
            raise BadInput(f"{word[:200]}: {error}") from error
    if not found:
        raise BadInput("no vehicle is named: a claim without a list enrols nobody")
    return list(found)


def _audited(fleet: FleetFiles, verb: str, tenant: str, name: str, vehicles: Sequence[str]) -> None:
    facts = {"vehicles": str(len(vehicles))} if vehicles else {}
    fleet.audit.write(Act(f"claim.{verb}", actor(), f"claim:{name}", tenant, details=facts))


def _day(claim: Claim) -> str:
    return (
        dt.datetime.fromtimestamp(claim.expires_time_ns // NS_PER_S, tz=dt.UTC).date().isoformat()
    )
