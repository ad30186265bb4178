"""`ota-release revoke`: an image is taken off, or a key out of all roles."""

import argparse

from fairway.errors import BadInput
from ota.cli.changed import changed
from ota.cli.common import add_folder, now_ns, opened
from ota.release import attesting, holding, listing
from ota.release.folder import Folder


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("revoke", help="take an image off, or a key out of all roles")
    parser.add_argument("--image", action="append", default=[], metavar="IMAGE", help="its path")
    parser.add_argument("--key", metavar="KEY", help="label or beginning of the id")
    add_folder(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draft a repository without an image, or without a key."""
    if bool(args.image) == bool(args.key):
        raise BadInput("name either --image or --key")
    with opened(args) as folder:
        if args.key:
            return changed(args, folder, holding.revoke(folder, args.key, now_ns()))
        return changed(
            args, folder, listing.remove(folder, _with_bundles(folder, args.image), now_ns())
        )


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
