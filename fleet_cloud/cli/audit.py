"""`fleet-cloud audit`: who did what, and the proof that the record is whole.  Works while the cloud runs."""

import argparse
import datetime as dt
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Unavailable
from fairway.signers.opening import open_signer
from fleet_cloud.adapters.fleet_files import audit_key, open_fleet
from fleet_cloud.adapters.registry_audit import SqlAudit
from fleet_cloud.adapters.whole_files import write_whole
from fleet_cloud.audit.chain import Entry, Head, read_line, written
from fleet_cloud.audit.ports import Wanted
from fleet_cloud.audit.verify import Keys, public_keys, verify, verify_export
from fleet_cloud.cli import settings
from fleet_cloud.cli.exports import content, opened

LISTED = 50
LISTED_MAX = 10_000


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "audit", help="who did what; export and verify the record"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list acts, newest first")
    listing.add_argument("--actor", default="", help="of whom, as in key:3f9c or vehicle:VIN")
    listing.add_argument("--action", default="", help="what, as in vehicle.revoke or vehicle.")
    listing.add_argument("--object", default="", help="to what, as in vehicle:VIN")
    listing.add_argument("--limit", type=int, default=LISTED, help=f"how many (default {LISTED})")
    listing.set_defaults(run=_list)
    exporting = actions.add_parser(
        "export", help="write every entry and the signed heads as JSON lines"
    )
    exporting.add_argument(
        "--out", type=Path, metavar="FILE", help="where to (default: standard output)"
    )
    exporting.set_defaults(run=_export)
    proving = actions.add_parser(
        "verify",
        help="prove that no entry was changed, dropped or put in another order",
        description="Checks the log in the registry, or an export of it.  Exit code 1 and one sentence at the"
        " first thing that is wrong.",
    )
    proving.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="an export, - for standard input"
    )
    proving.add_argument(
        "--key",
        type=Path,
        action="append",
        metavar="FILE",
        help="a public key that heads may be signed with (default: the one of this data directory)",
    )
    proving.add_argument(
        "--kept",
        type=Path,
        metavar="FILE",
        help="an earlier export, or its heads, that was kept elsewhere: the log must continue it",
    )
    proving.set_defaults(run=_verify)
    telling = actions.add_parser("key", help="print the public key that the log is signed with")
    telling.set_defaults(run=_key)
    for action in (listing, exporting):
        action.add_argument(
            "--tenant", action="append", metavar="TENANT", help="whose (default: everybody's)"
        )
    for action in (listing, proving):
        action.add_argument("--json", action="store_true", help="for machines")
    for action in (listing, exporting, proving, telling):
        settings.add_arguments(action)


def _list(args: argparse.Namespace) -> int:
    if not 1 <= args.limit <= LISTED_MAX:
        raise BadInput(
            f"--limit {args.limit}: ask for 1 to {LISTED_MAX}, or use `fleet-cloud audit export`"
        )
    tenants = frozenset(args.tenant) if args.tenant else None
    wanted = Wanted(tenants, args.actor, args.action, args.object)
    with open_fleet(settings.read(args)) as fleet:
        found = [entry for _, entry in fleet.audit.newest(wanted, limit=args.limit)]
    for entry in found:
        print(json.dumps(entry.as_json(), ensure_ascii=False) if args.json else _shown(entry))
    if not found and not args.json:
        print("nothing was done yet that would be kept here")
    return 0


def _export(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        lines = _lines(fleet.audit, frozenset(args.tenant) if args.tenant else None)
        if args.out is None:
            for line in lines:
                sys.stdout.buffer.write(line)
            return 0
        try:
            write_whole(args.out, b"".join(lines), secret=True)
        except OSError as error:
            raise Unavailable(f"cannot write {args.out}: {error.strerror}") from error
    return 0


def _lines(log: SqlAudit, tenants: frozenset[str] | None) -> Iterator[bytes]:
    for head in log.heads():
        if tenants is None or head.scope.tenant in tenants:
            for entry in log.chain(head.scope.tenant):
                if entry.number <= head.number:  # it may grow meanwhile
                    yield written(entry)
            yield written(head)


def _verify(args: argparse.Namespace) -> int:
    if args.file is not None:
        if args.kept is not None:
            raise BadInput("--kept belongs to the log itself: give no export beside it")
        with opened(args.file) as file:
            return _tell(args, verify_export(file, _keys(args)))
    kept = []
    if args.kept is not None:
        with opened(args.kept) as file:
            kept = [one for line in file if isinstance(one := read_line(line), Head)]
    with open_fleet(settings.read(args)) as fleet:
        return _tell(args, verify(fleet.audit, _keys(args), kept))


def _tell(args: argparse.Namespace, proofs: Iterator[Head]) -> int:
    count = 0
    for head in proofs:
        count += head.number
        if args.json:
            print(json.dumps(head.as_json()), flush=True)
        else:
            print(
                f"{head.scope}: {head.number} entries, intact, up to {_at(head.time_ns)}",
                flush=True,
            )
    if not args.json:
        print(f"{count} entries verified")
    return 0


def _key(args: argparse.Namespace) -> int:
    print(_own_pem(args).decode(), end="")
    return 0


def _keys(args: argparse.Namespace) -> Keys:
    return public_keys(map(content, args.key) if args.key else [_own_pem(args)])


def _own_pem(args: argparse.Namespace) -> bytes:
    signer = open_signer(audit_key(settings.read(args)))
    return signer.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _shown(entry: Entry) -> str:
    act = entry.act
    details = " ".join(f"{name}={text}" for name, text in sorted(act.details.items()))
    outcome = "" if act.outcome == "done" else f" {act.outcome.upper()}"
    return (
        f"{_at(entry.time_ns)}  {act.tenant:12} {act.actor:24} {act.action:20} {act.object}{outcome}"
        f"{'  ' + details if details else ''}"
    )


def _at(time_ns: int) -> str:
    return dt.datetime.fromtimestamp(time_ns // NS_PER_S, tz=dt.UTC).isoformat()
