"""`ota-release delta`: differences between an image and an older one."""

import argparse

from fairway.errors import BadInput
from ota.cli import told
from ota.cli.common import add_folder, now_ns, opened, progress, say
from ota.delta.create import FORMS
from ota.manifest import Form
from ota.release import differences


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "delta", help="make differences against older images; each is applied and measured"
    )
    parser.add_argument("image", metavar="IMAGE", help="path of the new image")
    parser.add_argument(
        "--base",
        action="append",
        default=[],
        metavar="IMAGE",
        help="path of an older image; the version before it without",
    )
    parser.add_argument(
        "--form",
        action="append",
        default=[],
        choices=[form.value for form in FORMS],
        help="which kind; all without",
    )
    add_folder(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make differences."""
    forms = [Form(one) for one in args.form] or list(FORMS)
    with opened(args) as folder:
        bases = args.base or differences.before(folder, args.image)[:1]
        if not bases:
            raise BadInput(
                f"{args.image} is the first of its name: there is nothing to differ from"
            )
        found = [
            differences.add(folder, args.image, base, forms, now_ns(), progress) for base in bases
        ]
    said = [told.delta_json(one) for one in found]
    say(args, said, lambda: "\n".join(told.delta_text(one) for one in found))
    return 0
