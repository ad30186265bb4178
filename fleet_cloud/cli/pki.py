"""`fleet-cloud pki`: the authorities of this region.  Works while the cloud runs."""

import argparse
import json
from pathlib import Path
from typing import Any

from fairway.clock import SystemClock
from fairway.crypto import fingerprint
from fairway.errors import BadInput
from fairway.identity import DEFAULT_TENANT, tenant_name
from fleet_cloud.adapters.data_dir import DataDir
from fleet_cloud.adapters.fleet_files import open_fleet, open_pki
from fleet_cloud.adapters.pki_certificates import Authority
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.audit.acts import Act
from fleet_cloud.cli import settings
from fleet_cloud.cli.people import actor


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "pki", help="the fleet's root and its issuing authorities"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    beginning = actions.add_parser(
        "init",
        help="make the root, and the authorities of this region below it",
        description="Make the root with its key in the directory --root, which is to be taken away then, and"
        " the authorities of this region.  Without it the first `serve` does so, with the key in its data.",
    )
    beginning.set_defaults(run=_init)
    making = actions.add_parser("authority", help="make the issuing authority of a tenant")
    making.add_argument("--tenant", required=True, help="whose")
    making.set_defaults(run=_authority)
    for action in (beginning, making):
        action.add_argument(
            "--root",
            type=Path,
            required=action is beginning,
            metavar="DIR",
            help="where the root's key is",
        )
        action.add_argument(
            "--passphrase-file",
            type=Path,
            metavar="FILE",
            help="what the root's key is sealed with",
        )
    listing = actions.add_parser("list", help="list the authorities")
    listing.add_argument("--json", action="store_true", help="for machines")
    listing.set_defaults(run=_list)
    dating = actions.add_parser(
        "crl", help="write the revocation lists anew, and say where they are"
    )
    dating.set_defaults(run=_crl)
    for action in (beginning, making, listing, dating):
        settings.add_arguments(action)


def _init(args: argparse.Namespace) -> int:
    config = settings.read(args)
    DataDir(config.folder).pin(config.region)
    pki = open_pki(config)
    now_ns, password = SystemClock().now_ns(), _password(args)
    pki.init(args.root.absolute(), now_ns, password=password)
    pki.ensure(config.tls.names, now_ns)
    # Written after it was done: until then there was nobody whose log it could be.
    with open_fleet(config) as fleet:
        fleet.audit.write(Act("pki.init", actor(), f"region:{config.region}"))
    print(
        f"the root's key is in {args.root}: take it away, it is needed only to make further authorities;"
        f" region {config.region} has authorities for services and tenant {DEFAULT_TENANT}"
    )
    return 0


def _authority(args: argparse.Namespace) -> int:
    tenant = tenant_name(args.tenant)
    config = settings.read(args)
    pki = open_pki(config)
    place = args.root.absolute() if args.root else None
    with open_fleet(config) as fleet:
        fleet.audit.write(Act("pki.authority", actor(), f"tenant:{tenant}", tenant))
    pki.add_tenant(tenant, SystemClock().now_ns(), place, password=_password(args))
    print(f"tenant {tenant} has an issuing authority in region {pki.region}")
    return 0


def _list(args: argparse.Namespace) -> int:
    pki = open_pki(settings.read(args))
    rows = _rows(pki)
    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print(f"{row['name']:40} until {row['until']}  {row['sha256'][:32]}")
    if not rows:
        print("no authorities yet: fleet-cloud pki init --root DIR")
    return 0


def _rows(pki: FilePki) -> list[dict[str, str]]:
    def row(name: str, authority: Authority) -> dict[str, str]:
        return {
            "name": name,
            "region": pki.region,
            "until": authority.anchor.not_valid_after_utc.isoformat(),
            "sha256": fingerprint(authority.anchor),
        }

    authorities = pki.authorities
    if not authorities.exist:
        return []
    tenants = [row(f"tenant {name}", authorities.tenant(name)) for name in authorities.tenants()]
    return [row("services", authorities.services()), *tenants]


def _crl(args: argparse.Namespace) -> int:
    clock = SystemClock()
    with open_fleet(settings.read(args)) as fleet:
        newest = fleet.registry.vehicles.changes(0).revision
        known = fleet.registry.certificates.changed(-1, newest)
        fleet.pki.write_revocations(known, clock.now_ns(), renews=True)
        print(fleet.pki.crl)
    return 0


def _password(args: argparse.Namespace) -> bytes | None:
    if args.passphrase_file is None:
        return None
    try:
        found: bytes = args.passphrase_file.read_bytes().partition(b"\n")[0]
    except OSError as error:
        raise BadInput(
            f"cannot read the passphrase in {args.passphrase_file}: {error.strerror}"
        ) from error
    if not found:
        raise BadInput(f"{args.passphrase_file} begins with an empty line, which is no passphrase")
    return found
