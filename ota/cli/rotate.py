"""`ota-release rotate`: other keys or another threshold for a role, or its next version."""

import argparse

from fairway.errors import BadInput
from ota.cli.changed import changed
from ota.cli.common import add_folder, add_keys, now_ns, opened, tuf_keys
from ota.release import holding
from ota.release.holding import Change


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("rotate", help="change the keys of a role, or renew it")
    parser.add_argument("role", metavar="ROLE", help="root, targets, releases ...")
    add_keys(parser, "add-")
    parser.add_argument(
        "--remove", action="append", default=[], metavar="KEY", help="label or beginning of the id"
    )
    parser.add_argument("--threshold", type=int, metavar="N", help="how many have to sign")
    add_folder(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draft other keys."""
    change = Change(tuple(tuf_keys(args, "add-")), tuple(args.remove), args.threshold)
    with opened(args) as folder:
        if args.role in {"snapshot", "timestamp"} and change == Change():
            raise BadInput(f"role {args.role} is renewed with `ota-release timestamp --always`")
        roles = holding.rotate(folder, args.role, change, now_ns())
        return changed(args, folder, roles)
