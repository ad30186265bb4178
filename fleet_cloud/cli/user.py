"""`fleet-cloud user`: people of the issuer of our own, for `[api] sign_in`.  Works while the cloud runs.

Rule 1: a password is read from a file or typed twice, never an argument: those are in everybody's process list.
"""

import argparse
import getpass
import json
import secrets
import sys
from pathlib import Path
from typing import Any

from fairway.clock import SystemClock
from fairway.errors import BadInput
from fairway.identity import DEFAULT_TENANT
from fleet_cloud.access.grants import ALL, Grant, scope_name
from fleet_cloud.access.roles import Role
from fleet_cloud.access.users import User, kept_password, user_name
from fleet_cloud.adapters.fleet_files import open_fleet
from fleet_cloud.audit.acts import Act, chain_of
from fleet_cloud.cli import settings
from fleet_cloud.cli.people import actor, shown


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "user", help="add, list and remove people who sign in here"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    adding = actions.add_parser("add", help="add somebody, with a password")
    adding.add_argument("name", metavar="NAME", help="how they sign in")
    adding.add_argument("--role", required=True, choices=list(Role), help="what they may do")
    adding.add_argument(
        "--tenant", default=DEFAULT_TENANT, help="whose vehicles; * for those of all"
    )
    adding.add_argument("--fleet", default=ALL, help="which of them; * for all")
    adding.add_argument(
        "--password-file", type=Path, metavar="FILE", help="its first line is the password"
    )
    adding.set_defaults(run=_add)
    listing = actions.add_parser("list", help="list the people")
    listing.add_argument("--json", action="store_true", help="for machines")
    listing.set_defaults(run=_list)
    removing = actions.add_parser("remove", help="forget somebody, and refuse their tokens")
    removing.add_argument("name", metavar="NAME")
    removing.set_defaults(run=_remove)
    for action in (adding, listing, removing):
        settings.add_arguments(action)


def _add(args: argparse.Namespace) -> int:
    grant = Grant(Role(args.role), scope_name(args.tenant), scope_name(args.fleet))
    name = user_name(args.name)
    password, is_ours = _password(args.password_file)
    user = User(name, grant, kept_password(password), SystemClock().now_ns())
    with open_fleet(settings.read(args)) as fleet:
        fleet.audit.write(_act("user.add", user))
        fleet.registry.users.add(user)
    print(f"{name} added as {grant}" + (f"; password: {password}" if is_ours else ""))
    return 0


def _list(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        found = fleet.registry.users.users()
    if args.json:
        rows = [
            {
                "name": user.name,
                "role": user.grant.role.value,
                "tenant": user.grant.tenant,
                "fleet": user.grant.fleet,
                "created_time_ns": user.created_time_ns,
            }
            for user in found
        ]
        print(json.dumps(rows, indent=1))
        return 0
    for user in found:
        print(f"{user.name:24} {user.grant!s:32} since {shown(user.created_time_ns)}")
    if not found:
        print("nobody yet: fleet-cloud user add NAME --role ROLE")
    return 0


def _remove(args: argparse.Namespace) -> int:
    with open_fleet(settings.read(args)) as fleet:
        user = fleet.registry.users.user(args.name)
        if user is None:
            raise BadInput(f"nobody is called {args.name[:80]!r} here: see `fleet-cloud user list`")
        fleet.audit.write(_act("user.remove", user))
        fleet.registry.users.remove(user.name)
    print(f"{args.name} removed: their tokens are refused from now on")
    return 0


def _password(path: Path | None) -> tuple[str, bool]:
    """Return a password, and whether it is one that we made up and so must show."""
    if path is not None:
        try:
            return path.read_text().partition("\n")[0], False
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot read a password in {path}: {error}") from error
    if not sys.stdin.isatty():
        return secrets.token_urlsafe(15), True
    typed = getpass.getpass("password: ")
    if typed != getpass.getpass("again: "):
        raise BadInput("the passwords differ")
    return typed, False


def _act(action: str, user: User) -> Act:
    details = {"grant": str(user.grant)}
    return Act(action, actor(), f"user:{user.name}", chain_of(user.grant.tenant), details=details)
