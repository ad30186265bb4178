"""`ota-release delegate`: a supplier or a team gets a role of its own."""

import argparse

from fairway.errors import BadInput
from ota.cli.changed import changed
from ota.cli.common import add_folder, add_keys, keys_in, now_ns, opened
from ota.release import founding
from ota.release.plan import RELEASES_DAYS, KeyPlan, RolePlan
from ota.release.roles import known


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("delegate", help="give a supplier or a team a role of its own")
    parser.add_argument("role", metavar="ROLE", help="its name, a-z, 0-9 and -")
    add_keys(parser, "")
    parser.add_argument("--threshold", type=int, default=2, metavar="N", help="how many sign")
    parser.add_argument(
        "--days", type=int, default=RELEASES_DAYS, metavar="N", help="how long a signature lives"
    )
    parser.add_argument(
        "--prefix", default="", metavar="PATH", help="what its paths begin with; its name without"
    )
    parser.add_argument("--bins", type=int, default=0, metavar="N", help="as for init")
    add_folder(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draft a new role."""
    name = args.role
    if not name or not all(one.isalnum() or one == "-" for one in name) or not name.islower():
        raise BadInput(f"{name!r:.80} is no name of a role: use a-z, 0-9 and -")
    plan = RolePlan(
        args.threshold,
        args.days,
        tuple(KeyPlan(key, holder, label) for holder, label, key in keys_in(args, "")),
    )
    with opened(args) as folder:
        if name in known(folder):
            raise BadInput(f"role {name} is there already: `ota-release rotate` changes it")
        roles = founding.add_role(
            folder, name, plan, prefix=args.prefix or name, bins=args.bins, now_ns=now_ns()
        )
        return changed(args, folder, roles)
