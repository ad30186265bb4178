"""`ota-release sign` and `ota-release cosign`: the hand of CI, and the hand of a person."""

import argparse

from ota.cli import told
from ota.cli.common import add_folder, now_ns, opened, progress, say
from ota.release import ceremony, keys
from ota.release.keys import Holder


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the commands."""
    signing = commands.add_parser("sign", help="sign as CI, and vouch for the build")
    signing.set_defaults(holder=Holder.CI)
    cosigning = commands.add_parser("cosign", help="sign as a person, after CI")
    cosigning.set_defaults(holder=Holder.PERSON)
    for parser in (signing, cosigning):
        parser.add_argument("--key", required=True, metavar="KEY", help="the key to sign with")
        add_folder(parser)
        parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Sign all that awaits this key."""
    key = keys.opened(args.key)
    with opened(args) as folder:
        outcome = ceremony.sign(folder, key, args.holder, now_ns(), progress)
    say(args, told.signed_json(outcome), lambda: told.signed_text(outcome))
    return 0
