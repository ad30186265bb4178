"""`ota-release inspect`: how a release folder stands, or what one image is."""

import argparse
from typing import Any

from fairway.errors import BadInput
from ota.cli import told
from ota.cli.common import add_folder, opened, say
from ota.manifest import Kind
from ota.release import attesting, ceremony, listing
from ota.release.folder import Folder
from ota.release.keys import holder_of, label_of
from ota.release.roles import delegators, keys_of, known


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "inspect", help="say how a release folder stands, or what an image is"
    )
    parser.add_argument(
        "image", nargs="?", metavar="IMAGE", help="the path of an image or a bundle"
    )
    add_folder(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Say it."""
    with opened(args) as folder:
        if args.image is not None:
            said = _image(folder, args.image)
            say(args, said, lambda: _text(said))
            return 0
        roles = [_role(folder, role) for role in sorted(known(folder)) if "-bin-" not in role]
        waiting = ceremony.waiting(folder)
        images = sorted(listing.listed(folder).values(), key=lambda one: one.image.path)
    whole = {
        "roles": roles,
        "waiting": [told.standing_json(one) for one in waiting],
        "images": [
            {"role": one.role, "draft": one.is_draft} | told.image_json(one.image) for one in images
        ],
    }
    lines = [
        f"{one['role']:<12} version {one['version'] or '-'}  {one['threshold']} of {len(one['keys'])}"
        f"  ends {one['expires'] or '-'}  {', '.join(key['label'] for key in one['keys'])}"
        for one in roles
    ]
    lines += told.waiting_lines(waiting)
    lines += [("draft  " if one.is_draft else "") + told.image_line(one.image) for one in images]
    say(args, whole, lambda: "\n".join(lines))
    return 0


def _role(folder: Folder, role: str) -> dict[str, Any]:
    keys, threshold = keys_of(list(delegators(folder, role))[-1], role)
    latest = folder.latest(role)
    return {
        "role": role,
        "version": None if latest is None else latest.signed.version,
        "expires": None if latest is None else latest.signed.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "threshold": threshold,
        "keys": [
            {"label": label_of(key), "holder": holder_of(key), "keyid": keyid}
            for keyid, key in keys.items()
        ],
    }


def _image(folder: Folder, path: str) -> dict[str, Any]:
    found = listing.listed(folder).get(path)
    if found is None:
        raise BadInput(f"no image is listed as {path!r:.120}: `ota-release inspect` lists all")
    said = {"role": found.role, "draft": found.is_draft} | told.image_json(found.image)
    if found.image.kind is Kind.BUNDLE:
        bundle = attesting.bundle_of(folder, found.image)
        said["bundle"] = {
            "images": list(bundle.images),
            "purpose": bundle.purpose,
            "sbom_sha256": list(bundle.sbom_sha256),
            "provenance_sha256": list(bundle.provenance_sha256),
            "attestations": list(found.attestations),
        }
    return said


def _text(said: dict[str, Any]) -> str:
    return "\n".join(f"{key:<16} {value}" for key, value in said.items())
