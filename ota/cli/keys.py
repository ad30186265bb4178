"""`ota-release rotate`, `revoke` and `delegate`: who holds which role, and which images there no longer are."""

import argparse

from fairway.errors import BadInput
from ota.cli import told
from ota.cli.common import add_folder, add_keys, keys_in, now_ns, opened, say, tuf_keys
from ota.release import attesting, ceremony, founding, holding, listing
from ota.release.folder import Folder
from ota.release.holding import Change
from ota.release.plan import RELEASES_DAYS, KeyPlan, RolePlan
from ota.release.roles import known


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the commands."""
    rotating = commands.add_parser("rotate", help="change the keys of a role, or renew it")
    rotating.add_argument("role", metavar="ROLE", help="root, targets, releases ...")
    add_keys(rotating, "add-")
    rotating.add_argument(
        "--remove", action="append", default=[], metavar="KEY", help="label or beginning of the id"
    )
    rotating.add_argument("--threshold", type=int, metavar="N", help="how many have to sign")
    rotating.set_defaults(run=run_rotate)
    revoking = commands.add_parser("revoke", help="take an image off, or a key out of all roles")
    revoking.add_argument("--image", action="append", default=[], metavar="IMAGE", help="its path")
    revoking.add_argument("--key", metavar="KEY", help="label or beginning of the id")
    revoking.set_defaults(run=run_revoke)
    delegating = commands.add_parser("delegate", help="give a supplier or a team a role of its own")
    delegating.add_argument("role", metavar="ROLE", help="its name, a-z, 0-9 and -")
    add_keys(delegating, "")
    delegating.add_argument("--threshold", type=int, default=2, metavar="N", help="how many sign")
    delegating.add_argument(
        "--days", type=int, default=RELEASES_DAYS, metavar="N", help="how long a signature lives"
    )
    delegating.add_argument(
        "--prefix", default="", metavar="PATH", help="what its paths begin with; its name without"
    )
    delegating.add_argument("--bins", type=int, default=0, metavar="N", help="as for init")
    delegating.set_defaults(run=run_delegate)
    for parser in (rotating, revoking, delegating):
        add_folder(parser)


def run_rotate(args: argparse.Namespace) -> int:
    """Draft other keys."""
    change = Change(tuple(tuf_keys(args, "add-")), tuple(args.remove), args.threshold)
    with opened(args) as folder:
        if args.role in {"snapshot", "timestamp"} and change == Change():
            raise BadInput(f"role {args.role} is renewed with `ota-release timestamp --always`")
        roles = holding.rotate(folder, args.role, change, now_ns())
        return _said(args, folder, roles)


def run_revoke(args: argparse.Namespace) -> int:
    """Draft a repository without an image, or without a key."""
    if bool(args.image) == bool(args.key):
        raise BadInput("name either --image or --key")
    with opened(args) as folder:
        if args.key:
            return _said(args, folder, holding.revoke(folder, args.key, now_ns()))
        return _said(
            args, folder, listing.remove(folder, _with_bundles(folder, args.image), now_ns())
        )


def run_delegate(args: argparse.Namespace) -> int:
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
        return _said(args, folder, roles)


def _with_bundles(folder: Folder, paths: list[str]) -> list[str]:
    """A release without one of its images is none: it goes with it."""
    known_images = listing.listed(folder)
    bundles = [
        path
        for path, one in known_images.items()
        if one.image.kind == "bundle"
        and set(attesting.bundle_of(folder, one.image).images) & set(paths)
    ]
    return list(dict.fromkeys([*paths, *bundles]))


def _said(args: argparse.Namespace, folder: Folder, roles: tuple[str, ...]) -> int:
    waiting = ceremony.waiting(folder)
    said = {"changed": list(roles), "waiting": [told.standing_json(one) for one in waiting]}
    text = [f"changed: {told.short(roles)}", *told.waiting_lines(waiting)]
    say(args, said, lambda: "\n".join(text))
    return 0
