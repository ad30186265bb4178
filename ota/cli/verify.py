"""`ota-release verify`: what a vehicle would take, with bytes and builds, here or where it was published."""

import argparse
from pathlib import Path
from typing import Any

from fairway.errors import BadInput
from ota.cli.common import add_access, add_folder, now_ns, opened, place, progress, say
from ota.release import proving, publishing, vehicle
from ota.release.folder import Folder
from ota.release.verifying import Verified, verified


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("verify", help="verify as a vehicle would, with bytes and builds")
    parser.add_argument("--place", metavar="PLACE", help="what is published there, not this folder")
    parser.add_argument(
        "--root",
        type=Path,
        metavar="FILE",
        help="the root to trust; the folder's first one without",
    )
    add_folder(parser)
    add_access(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Verify."""
    with opened(args) as folder:
        root = _root(args, folder)
        if args.place:
            there = place(args, args.place)
            seen = verified(there.file, root, now_ns())
            images = (one.image for one in seen.images.values())
            vehicle.taken(there.file, root, images, now_ns())
            said = _said(seen) | {"blobs": proving.held(folder, there, seen, progress)}
            for one in seen.images.values():
                if one.image.kind == "bundle":
                    proving.build(folder.need_document, one, seen)
        else:
            publishing.checked(folder, now_ns())
            seen = verified(folder.files().get, root, now_ns())
            proof = proving.proved(folder, seen, progress)
            said = _said(seen) | {
                "blobs": proof.blobs,
                "bytes": proof.bytes,
                "bundles": proof.bundles,
                "applied": proof.applied,
            }
    say(args, said, lambda: _text(said))
    return 0


def _root(args: argparse.Namespace, folder: Folder) -> bytes:
    if args.root is not None:
        try:
            return bytes(args.root.read_bytes())
        except OSError as error:
            raise BadInput(f"{args.root} cannot be read: {error.strerror}") from error
    root = folder.files().get("1.root.json")
    if root is None:
        raise BadInput("this folder has no root yet: name the one to trust with --root")
    return root


def _said(seen: Verified) -> dict[str, Any]:
    return {
        "versions": {role: one for role, one in seen.versions.items() if "-bin-" not in role},
        "images": len(seen.images),
        "expires": seen.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _text(said: dict[str, Any]) -> str:
    more = "".join(f", {said[key]} {key}" for key in ("bundles", "blobs", "applied") if key in said)
    return f"all holds until {said['expires']}: {said['images']} images{more}"
