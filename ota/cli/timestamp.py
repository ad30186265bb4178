"""`ota-release timestamp`: says which versions count now, with the online keys."""

import argparse

from ota.cli.common import add_access, add_folder, now_ns, opened, place, say
from ota.release import keys, online


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "timestamp", help="make complete versions count: sign snapshot and timestamp"
    )
    parser.add_argument("--key", required=True, metavar="KEY", help="the key of role timestamp")
    parser.add_argument(
        "--snapshot-key", metavar="KEY", help="the key of role snapshot; --key without"
    )
    parser.add_argument("--always", action="store_true", help="sign anew even when nothing is due")
    parser.add_argument(
        "--place", metavar="PLACE", help="go on after what was signed there meanwhile"
    )
    add_folder(parser)
    add_access(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Sign snapshot and timestamp where they are due."""
    stamp = keys.opened(args.key)
    snapshot = keys.opened(args.snapshot_key) if args.snapshot_key else stamp
    with opened(args) as folder:
        always = args.always
        if args.place:
            there = place(args, args.place)
            always = always or online.is_overtaken(folder, there)
            online.adopt(folder, there)
        done = online.refresh(folder, snapshot, stamp, now_ns(), always=always)
    said = {"snapshot": done.snapshot, "timestamp": done.timestamp}
    signed = [f"{role} {version}" for role, version in said.items() if version is not None]
    say(args, said, lambda: f"signed {', '.join(signed)}" if signed else "nothing is due")
    return 0
