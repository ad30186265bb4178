"""`fleet-cloud key`: API keys, for CI, dashboards and whoever else has no one to sign in.

Works while the cloud runs; whoever may use it holds the machine, and the audit log says which login that was.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from fairway.clock import NS_PER_S, SystemClock
from fairway.errors import BadInput
from fairway.identity import DEFAULT_TENANT
from fleet_cloud.access.aws_keys import fresh_aws_key
from fleet_cloud.access.grants import ALL, Grant, scope_name
from fleet_cloud.access.keys import ApiKey, fresh_key
from fleet_cloud.access.roles import Role
from fleet_cloud.adapters.aws_root import aws_root
from fleet_cloud.adapters.first_key import key_act, write_key
from fleet_cloud.adapters.fleet_files import open_fleet
from fleet_cloud.cli import settings
from fleet_cloud.cli.people import actor, shown

DAYS_MAX = 3650

# As a file of credentials of AWS's clients has it.
_CREDENTIALS = "[default]\naws_access_key_id = {}\naws_secret_access_key = {}"


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "key", help="make, list and revoke API keys"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    making = actions.add_parser("create", help="make a key, and show it this once")
    making.add_argument("name", metavar="NAME", help="what it is for")
    making.add_argument("--role", required=True, choices=list(Role), help="what it may do")
    making.add_argument(
        "--tenant", default=DEFAULT_TENANT, help="whose vehicles; * for those of all"
    )
    making.add_argument("--fleet", default=ALL, help="which of them; * for all")
    making.add_argument("--days", type=int, default=90, metavar="N", help="for how long")
    making.add_argument(
        "--out", type=Path, metavar="FILE", help="write it there (mode 0600) instead of printing it"
    )
    making.add_argument(
        "--aws",
        action="store_true",
        help="as an access key for AWS's clients, which sign with it: see docs/reference/fleetwise-api.md",
    )
    making.set_defaults(run=_create)
    listing = actions.add_parser("list", help="list the keys there are, and were")
    listing.add_argument("--json", action="store_true", help="for machines")
    listing.set_defaults(run=_list)
    revoking = actions.add_parser("revoke", help="refuse a key from now on")
    revoking.add_argument("key", metavar="ID", help="its id, as `list` shows it")
    revoking.set_defaults(run=_revoke)
    for action in (making, listing, revoking):
        settings.add_arguments(action)


def _create(args: argparse.Namespace) -> int:
    if not 1 <= args.days <= DAYS_MAX:
        raise BadInput(f"--days {args.days} is out of range: 1 to {DAYS_MAX}")
    grant = Grant(Role(args.role), scope_name(args.tenant), scope_name(args.fleet))
    now_ns = SystemClock().now_ns()
    expires_ns = now_ns + args.days * 86_400 * NS_PER_S
    with open_fleet(settings.read(args)) as fleet:
        if args.aws:
            root = aws_root(fleet.data.folder)
            kept, pair = fresh_aws_key(root, args.name, grant, now_ns, expires_time_ns=expires_ns)
            text = _CREDENTIALS.format(pair.access_key_id, pair.secret_access_key)
        else:
            kept, text = fresh_key(args.name, grant, now_ns, expires_time_ns=expires_ns)
        if args.out is not None:
            write_key(args.out, text)
        fleet.audit.write(key_act("key.create", actor(), kept))
        fleet.registry.keys.add(kept)
    print(text if args.out is None else f"key {kept.id} is in {args.out}")
    return 0


def _list(args: argparse.Namespace) -> int:
    now_ns = SystemClock().now_ns()
    with open_fleet(settings.read(args)) as fleet:
        found = fleet.registry.keys.listed()
    if args.json:
        print(json.dumps([_as_json(key) for key in found], indent=1))
        return 0
    for key in found:
        print(
            f"{key.id}  {_state(key, now_ns):8} {key.grant!s:32} last used {shown(key.used_time_ns):26}"
            f" {key.name}"
        )
    if not found:
        print("no keys yet: fleet-cloud key create NAME --role ROLE")
    return 0


def _revoke(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        key = fleet.registry.keys.key(args.key)
        if key is None or key.revoked_time_ns is not None:
            raise BadInput(
                f"no key in force has the id {args.key[:40]!r}: see `fleet-cloud key list`"
            )
        fleet.audit.write(key_act("key.revoke", actor(), key))
        fleet.registry.keys.revoke(key.id, SystemClock().now_ns())
    print(f"key {args.key} revoked: it is refused from now on")
    return 0


def _state(key: ApiKey, now_ns: int) -> str:
    if key.revoked_time_ns is not None:
        return "revoked"
    is_over = key.expires_time_ns is not None and key.expires_time_ns <= now_ns
    return "expired" if is_over else "active"


def _as_json(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.grant.role.value,
        "tenant": key.grant.tenant,
        "fleet": key.grant.fleet,
        "created_time_ns": key.created_time_ns,
        "expires_time_ns": key.expires_time_ns,
        "revoked_time_ns": key.revoked_time_ns,
        "used_time_ns": key.used_time_ns,
    }
