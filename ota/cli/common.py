"""What the commands have in common: the folder, the clock, progress, and how results are said."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from securesystemslib.signer import SSlibKey

import ota.tuf_library  # noqa: F401 - first, so that it loads without the signers of all clouds
from fairway.clock import SystemClock
from fairway.errors import BadInput
from ota.release.folder import Folder
from ota.release.keys import Holder, public_half, tuf_key
from ota.release.places.cloud import Access
from ota.release.places.opening import open_place
from ota.release.ports import Place

Commands = "argparse._SubParsersAction[argparse.ArgumentParser]"
_KEY_MAX_BYTES = 16_384


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add what all commands on a release folder take."""
    parser.add_argument(
        "--folder", type=Path, default=Path(), metavar="DIR", help="the release folder"
    )
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="for machines")


def add_access(parser: argparse.ArgumentParser) -> None:
    """Add how a fleet-cloud is asked."""
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="holds the API key for a fleet-cloud"
    )
    parser.add_argument("--tenant", default="", metavar="NAME", help="whose repository it is")
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="certificates to trust for https"
    )


def add_keys(parser: argparse.ArgumentParser, front: str) -> None:
    """Add options for keys of each kind of hand."""
    for holder in Holder:
        parser.add_argument(
            f"--{front}{holder}",
            action="append",
            default=[],
            metavar="LABEL=KEY",
            help=f"a key held by {_HANDS[holder]}; KEY is a file, pkcs11:..., awskms:... or public:FILE",
        )


_HANDS = {Holder.CI: "a pipeline", Holder.PERSON: "a person", Holder.ONLINE: "a server"}


def keys_in(args: argparse.Namespace, front: str) -> list[tuple[Holder, str, str]]:
    """Return the keys that were named: hand, label, name.  Raises BadInput."""
    found: list[tuple[Holder, str, str]] = []
    for holder in Holder:
        option = f"{front}{holder}"
        for said in getattr(args, option.replace("-", "_")):
            label, equals, name = said.partition("=")
            if not equals or not label or not name:
                raise BadInput(f"--{option} {said!r:.80} is no LABEL=KEY")
            found.append((holder, label, name))
    return found


def tuf_keys(args: argparse.Namespace, front: str) -> list[SSlibKey]:
    """Return the keys that were named, as they stand in metadata.  Raises BadInput, Unavailable."""
    return [
        tuf_key(public_half(name), holder, label) for holder, label, name in keys_in(args, front)
    ]


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[Folder]:
    """Open the release folder and keep others out.  Raises BadInput, Conflict."""
    folder = Folder(args.folder)
    with folder.locked():
        yield folder


def place(args: argparse.Namespace, name: str) -> Place:
    """Open a place.  Raises BadInput."""
    access = None
    if args.token_file is not None:
        try:
            key = args.token_file.read_bytes()[:_KEY_MAX_BYTES].decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot read the key in {args.token_file}: {error}") from error
        access = Access(key, args.tenant, args.ca_file)
    return open_place(name, access)


def now_ns() -> int:
    """Return the time."""
    return SystemClock().now_ns()


def progress(what: str) -> None:
    """Say what is being done, to people."""
    print(what, file=sys.stderr, flush=True)


def say(args: argparse.Namespace, said: object, text: Callable[[], str]) -> None:
    """Print a result for machines or for people."""
    print(json.dumps(said, indent=1) if args.json else text())
