"""`edge-agent services images load|list|collect`: images that lie in the vehicle."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edge_agent.cli.services_desk import add_where, asked
from edge_agent.cli.signals_text import Column, shown, table

_MIB = 1 << 20


def add(below: "argparse._SubParsersAction[Any]") -> None:
    """Declare the commands."""
    group = below.add_parser(
        "images",
        help="take images into the vehicle, list them, remove those that nobody needs",
        description="Images that lie in the vehicle.",
    )
    inner = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    load = inner.add_parser(
        "load",
        help="take in the images of an OCI layout or archive",
        description="Take in images: each blob is verified, and an interrupted load goes on where it was.",
    )
    load.add_argument(
        "path", type=Path, metavar="PATH", help="OCI layout (folder, tar) or docker archive"
    )
    load.add_argument("--digest", metavar="SHA256", help="this image of it only")
    add_where(load)
    load.set_defaults(run=_load)
    listing = inner.add_parser("list", help="print all images", description="Print all images.")
    add_where(listing)
    listing.set_defaults(run=_list)
    collect = inner.add_parser(
        "collect",
        help="remove images that no service needs",
        description="Remove images; what runs, what is wanted and the last good ones stay.",
    )
    add_where(collect)
    collect.set_defaults(run=_collect)


def _load(args: argparse.Namespace) -> int:
    print(f"taking in {args.path}", file=sys.stderr)
    path = str(args.path.absolute())
    digests = asked(args.config, "load", path=path, digest=args.digest)
    if args.json:
        print(json.dumps(digests))
        return 0
    for digest in digests:
        print(digest)
    return 0


def _list(args: argparse.Namespace) -> int:
    images = asked(args.config, "images")
    if args.json:
        print(json.dumps(images))
        return 0
    columns = [
        Column("DIGEST", lambda one: shown(one["digest"])),
        Column("SIZE", lambda one: f"{one['packed_bytes'] / _MIB:.1f} MiB"),
        Column("NAMES", lambda one: shown(", ".join(one["names"]))),
    ]
    for line in table(images, columns)[0] if images else ["there are no images"]:
        print(line)
    return 0


def _collect(args: argparse.Namespace) -> int:
    freed = asked(args.config, "collect")
    print(json.dumps({"freed_bytes": freed}) if args.json else f"{freed / _MIB:.1f} MiB freed")
    return 0
