"""`fleet-cloud release`: what is published and may be rolled out, and the key that keeps it fresh."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from cryptography.hazmat.primitives import serialization

from fairway.clock import SystemClock
from fairway.errors import BadInput
from fairway.identity import DEFAULT_TENANT, tenant_name
from fleet_cloud.adapters.fleet_files import open_artifacts, open_fleet
from fleet_cloud.api.ports import ReleasePorts
from fleet_cloud.api.releases import bundle_of
from fleet_cloud.artifacts.tidying import AGE_MIN_DAYS
from fleet_cloud.audit.acts import Act
from fleet_cloud.cli import settings
from fleet_cloud.cli.people import actor
from fleet_cloud.releasing import (
    make_online_key,
    open_repository,
    release_ports,
    repository_keeper,
    shelves,
)
from ota.manifest import Image, Kind


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "release", help="what is published for vehicles"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the releases that may be rolled out")
    listing.set_defaults(run=_list)
    showing = actions.add_parser("show", help="show the images of a release")
    showing.add_argument("path", metavar="PATH", help="as `list` tells it")
    showing.set_defaults(run=_show)
    for action in (listing, showing):
        action.add_argument("--json", action="store_true", help="for machines")
    key = actions.add_parser(
        "key", help="print the cloud's online key, made if there is none, for root to name it"
    )
    key.set_defaults(run=_key)
    renewing = actions.add_parser(
        "renew", help="sign snapshot and timestamp anew where half of their life is over"
    )
    renewing.set_defaults(run=_renew)
    tidying = actions.add_parser(
        "tidy", help="find, and with --remove remove, bytes that nothing names any more"
    )
    tidying.add_argument("--remove", action="store_true", help="remove them; without, only say so")
    tidying.add_argument(
        "--days",
        type=_days,
        default=AGE_MIN_DAYS,
        metavar="N",
        help="leave what came within so many days: it may wait for its metadata",
    )
    tidying.set_defaults(run=_tidy)
    for action in actions.choices.values():
        if action is not renewing:
            action.add_argument("--tenant", default=DEFAULT_TENANT, help="whose it is")
        settings.add_arguments(action)


def _list(args: argparse.Namespace) -> int:
    config, tenant = settings.read(args), tenant_name(args.tenant)
    with open_fleet(config) as fleet:
        ports = release_ports(config, fleet.registry, open_artifacts(config))
        found = [one for one in ports.repository.images(tenant) if one.kind is Kind.BUNDLE]
        rows = [_row(ports, one) for one in found]
    if args.json:
        print(json.dumps(rows))
    for row in () if args.json else rows:
        print(f"{row['path']}  {row['name']} {row['version']}  {row['images']} images")
    return 0


def _row(ports: ReleasePorts, image: Image) -> dict[str, Any]:
    bundle = bundle_of(ports, image)
    return {
        "path": image.path,
        "name": image.name,
        "version": image.version,
        "sha256": image.sha256,
        "purpose": bundle.purpose if bundle else "",
        "images": len(bundle.images) if bundle else 0,
    }


def _show(args: argparse.Namespace) -> int:
    config, tenant = settings.read(args), tenant_name(args.tenant)
    with open_fleet(config) as fleet:
        ports = release_ports(config, fleet.registry, open_artifacts(config))
        listed = {one.path: one for one in ports.repository.images(tenant)}
        release = listed.get(args.path)
        if release is None:
            raise BadInput(f"{args.path} is not published: see fleet-cloud release list")
        bundle = bundle_of(ports, release)
    paths = bundle.images if bundle else (release.path,)
    images = [listed[path] for path in paths if path in listed]
    if args.json:
        print(json.dumps([asdict(one) for one in images]))
        return 0
    print(f"{release.name} {release.version}  {bundle.purpose if bundle else ''}".rstrip())
    for one in images:
        hardware = ", ".join(one.hardware_ids)
        print(f"  {one.path}  {one.kind}  counter {one.release_counter}  for {hardware}")
        for source in one.sources:
            against = f" against {source.base_sha256[:12]}" if source.base_sha256 else ""
            print(f"    {source.form}  {source.blob.length} bytes{against}")
    return 0


def _key(args: argparse.Namespace) -> int:
    config, tenant = settings.read(args), tenant_name(args.tenant)
    public = make_online_key(config, tenant).public_key()
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    print(public.public_bytes(serialization.Encoding.PEM, kind).decode(), end="")
    return 0


def _renew(args: argparse.Namespace) -> int:
    config = settings.read(args)
    with open_fleet(config) as fleet:
        repository = open_repository(config, fleet.registry)
        count = repository_keeper(config, repository, SystemClock()).renew()
    print(f"signed anew for {count} tenants")
    return 0


def _tidy(args: argparse.Namespace) -> int:
    config, tenant, now_ns = settings.read(args), tenant_name(args.tenant), SystemClock().now_ns()
    with open_fleet(config) as fleet:
        kept = shelves(config, fleet.registry)
        old = kept.unnamed(tenant, now_ns, args.days)
        if args.remove:
            details = {"artifacts": str(len(old))}
            fleet.audit.write(
                Act("artifact.tidy", actor(), f"tenant:{tenant}", tenant, details=details)
            )
            old = kept.remove(tenant, old)
    for one in old:
        print(f"{one.digest}  {one.size_bytes} bytes")
    total, done = sum(one.size_bytes for one in old), "removed" if args.remove else "to remove"
    print(f"{done}: {len(old)} artifacts, {total} bytes")
    return 0


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 3650:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days from 1 to 3650")
    return int(text)
