"""`ota-release publish`: a release goes to a fleet-cloud, a bucket or a folder."""

import argparse

from ota.cli.common import add_access, add_folder, now_ns, opened, place, progress, say
from ota.release import publishing
from ota.release.listing import listed


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "publish", help="send what is complete; what is there is not sent twice"
    )
    parser.add_argument(
        "place",
        metavar="PLACE",
        help="https://HOST of a fleet-cloud, s3://BUCKET/PREFIX, or a folder",
    )
    parser.add_argument(
        "--bytes-only",
        action="store_true",
        help="send bytes that may await signatures, no metadata",
    )
    add_folder(parser)
    add_access(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Publish."""
    to = place(args, args.place)
    with opened(args) as folder:
        if args.bytes_only:
            sent = publishing.send_bytes(folder, to, listed(folder).values(), progress)
        else:
            sent = publishing.publish(folder, to, now_ns(), progress)
    said = {
        "blobs_sent": sent.blobs,
        "bytes_sent": sent.bytes,
        "blobs_there": sent.blobs_there,
        "files": list(sent.files),
    }
    say(
        args,
        said,
        lambda: (
            f"sent {sent.blobs} blobs ({sent.bytes} bytes) and {len(sent.files)} files;"
            f" {sent.blobs_there} blobs were there"
        ),
    )
    return 0
