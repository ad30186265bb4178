"""`python -m ota.conformance`: a plain TUF client on the trust core, as tuf-conformance drives one.

    --metadata-dir DIR init TRUSTED_ROOT
    --metadata-dir DIR --metadata-url URL refresh
    --metadata-dir DIR --metadata-url URL --target-name PATH ... --target-base-url URL --target-dir DIR download

Exit code: 0 when all of it succeeded, 1 otherwise, 2 for a wrong command line.
"""

import argparse
import sys
from pathlib import Path

from fairway.clock import SystemClock
from fairway.errors import FairwayError
from ota.conformance.client import Client
from ota.conformance.store import FileStore
from ota.conformance.web import fetched


def main(argv: list[str] | None = None) -> int:
    """Return 0 on success, 1 for an error we understand, 2 for a wrong command line."""
    args = _parser().parse_args(argv)
    try:
        _run(args)
    except FairwayError as error:
        print(f"ota.conformance: {error}", file=sys.stderr)
        return 1
    return 0


def _run(args: argparse.Namespace) -> None:
    store = FileStore(Path(args.metadata_dir))
    if args.command == "init":
        store.provision(Path(args.trusted_root))
        return
    client = Client(store, args.metadata_url, SystemClock().now_ns(), fetched)
    if args.command == "refresh":
        client.refresh()
        return
    for name in args.target_name:
        client.download(name, args.target_base_url, Path(args.target_dir))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ota.conformance", description="A TUF client.")
    parser.add_argument("--metadata-dir", required=True, help="folder of the trusted metadata")
    parser.add_argument("--metadata-url", default="", help="where the repository's metadata is")
    parser.add_argument("--target-name", action="append", default=[], help="path of a target")
    parser.add_argument("--target-base-url", default="", help="where the repository's targets are")
    parser.add_argument("--target-dir", default="", help="folder for downloaded targets")
    commands = parser.add_subparsers(dest="command", required=True)
    init = commands.add_parser("init", help="trust a root")
    init.add_argument("trusted_root", help="file with the root to trust")
    commands.add_parser("refresh", help="bring the metadata up to date")
    commands.add_parser("download", help="bring the metadata up to date and fetch targets")
    return parser


if __name__ == "__main__":
    sys.exit(main())
