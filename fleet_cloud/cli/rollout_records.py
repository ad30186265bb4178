"""`fleet-cloud rollout records|verify|rxswin|ecus|init|root`: what an auditor takes home, and the Director."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from fairway.clock import SystemClock
from fairway.errors import BadInput, Unavailable
from fairway.identity import tenant_name
from fairway.signers.opening import open_signer
from fleet_cloud.adapters.director_keys import make_director
from fleet_cloud.adapters.fleet_files import FleetFiles, audit_key, open_artifacts, open_fleet
from fleet_cloud.adapters.updates import Updates
from fleet_cloud.adapters.whole_files import write_whole
from fleet_cloud.audit.acts import Act
from fleet_cloud.audit.verify import public_keys
from fleet_cloud.cli import settings
from fleet_cloud.cli.exports import content, opened
from fleet_cloud.cli.people import actor
from fleet_cloud.rollouts.ecus import by_type
from fleet_cloud.rollouts.records import REPORTS, verify_export
from fleet_cloud.updating import director_keys, open_updates

ROOT_KEYS = 3
ROOT_THRESHOLD = 2


def add(actions: Any) -> None:
    """Declare the actions."""
    exporting = actions.add_parser(
        "records", help="export every record of a rollout with its proof, for an auditor"
    )
    exporting.add_argument("--rollout", default="", help="its id (default: what vehicles report)")
    exporting.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    exporting.set_defaults(run=_records)
    proving = actions.add_parser(
        "verify",
        help="prove that no record of an export was changed, dropped or put in another order",
    )
    proving.add_argument("file", type=Path, metavar="FILE", help="an export, - for standard input")
    proving.add_argument(
        "--key",
        type=Path,
        action="append",
        metavar="FILE",
        help="a public key that signed it (default: the audit key of this data directory)",
    )
    proving.set_defaults(run=_verify)
    counting = actions.add_parser("rxswin", help="count the RXSWINs that vehicles hold, by type")
    counting.add_argument("--by", default="model", help="the attribute that names the type")
    counting.add_argument("--vehicle", default="", help="show those of one vehicle instead")
    counting.set_defaults(run=_rxswin)
    ecus = actions.add_parser("ecus", help="list ECUs that wait to be accepted")
    ecus.add_argument("--vehicle", default="", help="show what this one is made of, and holds")
    ecus.add_argument("--accept", default="", metavar="VEHICLE", help="accept those of this one")
    ecus.set_defaults(run=_ecus)
    making = actions.add_parser(
        "init", help="make the keys and the root of a tenant's Director, or its next root"
    )
    making.add_argument(
        "--root-key",
        action="append",
        default=[],
        metavar="KEY",
        help="a root key, made when it is no file yet (default: three files to move away)",
    )
    making.add_argument("--threshold", type=int, default=ROOT_THRESHOLD, help="how many sign")
    making.set_defaults(run=_init)
    showing = actions.add_parser(
        "root", help="print the Director's newest root, which vehicles are made with"
    )
    showing.set_defaults(run=_root)
    for action in (counting, ecus, proving):
        action.add_argument("--json", action="store_true", help="for machines")


@contextmanager
def _opened(args: argparse.Namespace) -> Iterator[tuple[FleetFiles, Updates]]:
    config = settings.read(args)
    with open_fleet(config) as fleet:
        yield fleet, open_updates(config, fleet.registry, open_artifacts(config))


def _records(args: argparse.Namespace) -> int:
    now_ns = SystemClock().now_ns()
    with _opened(args) as (_, updates):
        series = args.rollout or REPORTS
        is_known = series == REPORTS or updates.rollouts.rollout([args.tenant], series) is not None
        if not is_known:
            raise BadInput(f"there is no rollout {series!r}: see `fleet-cloud rollout list`")
        lines = updates.records.export(args.tenant, series, now_ns)
        if args.out is None:
            for line in lines:
                sys.stdout.buffer.write(line)
            return 0
        try:
            write_whole(args.out, b"".join(lines), secret=True)
        except OSError as error:
            raise Unavailable(f"cannot write {args.out}: {error.strerror}") from error
    return 0


def _verify(args: argparse.Namespace) -> int:
    with opened(args.file) as file:
        for proof in verify_export(file, public_keys(_keys(args))):
            if args.json:
                said = {
                    "tenant": proof.scope.tenant,
                    "series": proof.series,
                    "records": proof.records,
                    "subjects": proof.subjects,
                    "seals": proof.seals,
                }
                print(json.dumps(said))
            else:
                print(
                    f"{proof.scope} {proof.series}: {proof.records} records of {proof.subjects} subjects"
                    f" in {proof.seals} seals, intact"
                )
    return 0


def _keys(args: argparse.Namespace) -> list[bytes]:
    if args.key:
        return [content(path) for path in args.key]
    signer = open_signer(audit_key(settings.read(args)))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return [signer.public_key().public_bytes(serialization.Encoding.PEM, form)]


def _rxswin(args: argparse.Namespace) -> int:
    with _opened(args) as (fleet, updates):
        if args.vehicle:
            one = dict(updates.vehicles.rxswin(args.tenant, args.vehicle))
            print(json.dumps(one) if args.json else _pairs(one))
            return 0
        held, after = [], ""
        while page := updates.vehicles.all_rxswin(args.tenant, after=after):
            held += page
            after = page[-1][0]
        facts = fleet.registry.plan.all_facts(args.tenant)
    types = {name: str(known.attributes.get(args.by, "")) for name, known in facts.items()}
    rows = [
        {"type": kind, "rxswin": name, "version": version, "vehicles": count}
        for kind, counts in sorted(by_type(types, held).items())
        for (name, version), count in sorted(counts.items())
    ]
    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print(
            f"{row['type'] or '-':20} {row['rxswin']} {row['version']}  {row['vehicles']} vehicles"
        )
    if not rows:
        print("no vehicle has reported an RXSWIN yet")
    return 0


def _pairs(held: dict[str, str]) -> str:
    return "\n".join(f"{name} {version}" for name, version in sorted(held.items())) or "none"


def _ecus(args: argparse.Namespace) -> int:
    with _opened(args) as (fleet, updates):
        if args.accept:
            act = Act("ecus.accept", actor(), f"vehicle:{args.accept}", args.tenant)
            fleet.audit.write(act)
            now_ns = SystemClock().now_ns()
            some = updates.ecus.accept(args.tenant, args.accept, actor(), now_ns)
            print(f"{args.accept} has {len(some)} ECUs")
            return 0
        rows = [
            {"vehicle": one.vehicle, "serial": ecu.serial, "hardware_id": ecu.hardware_id}
            for one in updates.ecus.waiting([args.tenant])
            for ecu in one.ecus
        ]
        if args.vehicle:
            rows = [
                {
                    "vehicle": one.vehicle,
                    "serial": one.known.serial,
                    "hardware_id": one.known.hardware_id,
                    "holds": one.installed.path if one.installed else "",
                }
                for one in updates.ecus.states(args.tenant, args.vehicle)
            ]
    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print("  ".join(filter(None, row.values())))
    if not rows:
        print("none")
    return 0


def _init(args: argparse.Namespace) -> int:
    config, tenant = settings.read(args), tenant_name(args.tenant)
    folder = config.folder / "director" / tenant
    roots = args.root_key or [str(folder / f"root-{n + 1}.pem") for n in range(ROOT_KEYS)]
    with _opened(args) as (fleet, updates):
        fleet.audit.write(Act("director.init", actor(), f"director:{tenant}", tenant))
        version = make_director(
            updates.director,
            director_keys(config),
            tenant,
            roots,
            threshold=args.threshold,
            now_ns=SystemClock().now_ns(),
        )
    print(f"the Director of {tenant} has root {version}, signed by {len(roots)} keys")
    if not args.root_key:
        print(f"move {folder}/root-*.pem away from this machine: they sign once a year")
    return 0


def _root(args: argparse.Namespace) -> int:
    tenant = tenant_name(args.tenant)
    with _opened(args) as (_, updates):
        root = updates.director.file(tenant, "", "root.json", SystemClock().now_ns())
    if root is None:
        raise BadInput(f"{tenant} has no Director yet: fleet-cloud rollout init")
    sys.stdout.buffer.write(root)
    return 0
