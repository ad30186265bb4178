"""`ota-release init`: a release folder with its keys, roles and first signatures."""

import argparse
from pathlib import Path

from fairway.errors import BadInput, Conflict
from ota.cli import told
from ota.cli.common import add_json, now_ns, progress, say
from ota.release import ceremony, founding, keys, online
from ota.release.folder import Folder
from ota.release.plan import SNAPSHOT, TIMESTAMP, Plan, checked_plan, plan_from_toml, profile
from ota.release.roles import Standing


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "init", help="make a release folder: keys, roles, first signatures"
    )
    parser.add_argument("path", type=Path, metavar="DIR", help="the folder to make")
    parser.add_argument(
        "--profile",
        choices=("demo", "production"),
        default="demo",
        help="how many keys, and of how many",
    )
    parser.add_argument(
        "--keys", type=Path, metavar="DIR", help="where to make the keys of the profile, as files"
    )
    parser.add_argument(
        "--keys-file",
        type=Path,
        metavar="FILE",
        help="says who holds which role, instead of --keys",
    )
    parser.add_argument(
        "--make-keys", action="store_true", help="make the keys of --keys-file that are not there"
    )
    parser.add_argument(
        "--bins",
        type=int,
        default=0,
        metavar="N",
        help="spread images over N files by hash, a power of two",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the folder."""
    if (args.keys is None) == (args.keys_file is None):
        raise BadInput("name either --keys or --keys-file")
    plan = checked_plan(_plan(args))
    if args.keys is not None or args.make_keys:
        _make(plan, must=args.keys is not None)
    folder = Folder.create(args.path)
    with folder.locked():
        founding.found(folder, plan, bins=args.bins, now_ns=now_ns())
        _sign(folder, plan)
        waiting = ceremony.waiting(folder)
    said = {"folder": str(args.path), "waiting": [told.standing_json(one) for one in waiting]}
    say(args, said, lambda: _text(args.path, waiting))
    return 0


def _plan(args: argparse.Namespace) -> Plan:
    if args.keys is not None:
        return profile(args.profile, args.keys)
    try:
        text = args.keys_file.read_bytes()
    except OSError as error:
        raise BadInput(f"{args.keys_file} cannot be read: {error.strerror}") from error
    return plan_from_toml(text, args.keys_file.name, args.keys_file.parent)


def _make(plan: Plan, *, must: bool) -> None:
    seen: set[str] = set()
    for role in plan.values():
        for key in role.keys:
            if key.is_elsewhere or key.name in seen:
                continue
            seen.add(key.name)
            try:
                keys.made(key.name)
            except Conflict:
                if must:
                    raise
            else:
                progress(f"made {key.name}")


def _sign(folder: Folder, plan: Plan) -> None:
    """Have all keys that are here sign: the first root, empty lists, and what says that they count."""
    seen: set[str] = set()
    for role in plan.values():
        for key in role.keys:
            if key.is_elsewhere or key.name in seen or key.holder is keys.Holder.ONLINE:
                continue
            seen.add(key.name)
            signer = keys.opened(key.name)
            if any(ceremony.awaits(folder, name, signer) for name in folder.drafts()):
                ceremony.sign(folder, signer, key.holder, now_ns(), progress)
    here = [
        [one for one in plan[role].keys if not one.is_elsewhere] for role in (SNAPSHOT, TIMESTAMP)
    ]
    if not folder.drafts() and all(here):
        signers = [keys.opened(one[0].name) for one in here]
        online.refresh(folder, signers[0], signers[1], now_ns(), always=False)


def _text(path: Path, waiting: tuple[Standing, ...]) -> str:
    if waiting:
        return "\n".join(told.waiting_lines(waiting))
    return f"{path} is ready: ota-release build RELEASE.toml --folder {path}"
