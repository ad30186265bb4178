"""`ota-release sign`: the hand of CI."""

import argparse

from ota.cli import told
from ota.cli.common import add_folder, now_ns, opened, progress, say
from ota.release import ceremony, keys
from ota.release.keys import Holder


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    declare(commands.add_parser("sign", help="sign as CI, and vouch for the build"), Holder.CI)


def declare(parser: argparse.ArgumentParser, holder: Holder) -> None:
    """Declare what both commands that sign take."""
    parser.add_argument("--key", required=True, metavar="KEY", help="the key to sign with")
    add_folder(parser)
    parser.set_defaults(run=run, holder=holder)


def run(args: argparse.Namespace) -> int:
    """Sign all that awaits this key."""
    key = keys.opened(args.key)
    with opened(args) as folder:
        outcome = ceremony.sign(folder, key, args.holder, now_ns(), progress)
    say(args, told.signed_json(outcome), lambda: told.signed_text(outcome))
    return 0
