"""`fairway image`: images of services are built from folders, and looked into."""

import argparse
import json
import os
import platform
import shlex
import sys
from pathlib import Path

from fairway.errors import BadInput
from fairway.oci import platforms
from fairway.oci.model import Compression, Platform
from fairway.oci.packed import Limits
from ota.images import members, python_root
from ota.images import source as sources
from ota.images.build import Planned, Recipe, Settings, build
from ota.images.inspect import inspected
from simulators.images.cli import told


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to those of a program."""
    image = commands.add_parser("image", help="build images of services, look into them")
    below = image.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_build(
        below.add_parser(
            "build", help="build an image from folders; the same input is the same bytes"
        )
    )
    look = below.add_parser(
        "inspect", help="say what an image is, and whether a vehicle would take it"
    )
    look.add_argument(
        "path", type=Path, metavar="PATH", help="OCI layout (folder or tar) or docker-archive"
    )
    _add_common(look)
    look.set_defaults(run=run_inspect)


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, required=True, metavar="PATH", help="OCI layout, or FILE.tar"
    )
    parser.add_argument("--name", metavar="NAME", help="what the layout calls the image")
    parser.add_argument(
        "--base", type=Path, metavar="LAYOUT", help="begin with the layers of this image"
    )
    parser.add_argument(
        "--python", action="store_true", help="begin with the Python that runs this"
    )
    parser.add_argument(
        "--package",
        action="append",
        metavar="NAME",
        help="an installed package, with all that it requires",
    )
    parser.add_argument(
        "--rootfs", type=Path, metavar="DIR", help="a root file system: owners and modes kept"
    )
    parser.add_argument(
        "--layer",
        action="append",
        metavar="DIR[:PREFIX]",
        help="a layer from a folder, put at PREFIX",
    )
    parser.add_argument("--entrypoint", metavar="WORDS", help="what is run, as in a shell")
    parser.add_argument(
        "--command", metavar="WORDS", help="its arguments, which a manifest may replace"
    )
    parser.add_argument("--env", action="append", metavar="NAME=VALUE", help="a variable")
    parser.add_argument("--workdir", metavar="DIR", help="the folder in which it runs")
    parser.add_argument(
        "--user", metavar="USER", help="who it is where nobody else says (UID[:GID] or a name)"
    )
    parser.add_argument("--stop-signal", metavar="NAME", help="what asks it to end, as SIGTERM")
    parser.add_argument("--label", action="append", metavar="KEY=VALUE", help="a label")
    parser.add_argument(
        "--compress", choices=("zstd", "gzip", "none"), default="zstd", help="how layers are packed"
    )
    parser.add_argument(
        "--epoch",
        type=int,
        metavar="SECONDS",
        help="time of all files (default: SOURCE_DATE_EPOCH, or 0)",
    )
    _add_common(parser)
    parser.set_defaults(run=run_build)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--platform", metavar="OS/ARCH", help="which platform (default: that of this machine)"
    )
    parser.add_argument("--json", action="store_true", help="print it for machines")


def run_build(args: argparse.Namespace) -> int:
    """Build an image."""
    epoch_s = _epoch(args.epoch)
    here = _platform(args.platform)
    if args.python and (args.base or here != _platform(None)):
        raise BadInput(
            "--python is this machine's, and a base of its own: leave --base and --platform out"
        )
    if args.package and not args.python:
        raise BadInput("--package goes with --python, which it is installed for")
    layers = _layers(args, epoch_s)
    if not layers and not args.base:
        raise BadInput("the image would be empty: name --layer, --rootfs, --python or --base")
    recipe = Recipe(
        layers=layers,
        settings=Settings(
            entrypoint=_words(args.entrypoint, "--entrypoint"),
            command=_words(args.command, "--command"),
            environment=(
                *(python_root.ENVIRONMENT if args.python else ()),
                *(_pair(one, "--env") for one in args.env or ()),
            ),
            folder=_absolute(args.workdir),
            user=args.user or "",
            stop_signal=args.stop_signal or "",
            labels=tuple(_pair(one, "--label") for one in args.label or ()),
        ),
        platform=here,
        name=args.name or "",
        base=args.base,
        compression=Compression("" if args.compress == "none" else args.compress),
        epoch_s=epoch_s,
    )
    built = build(recipe, args.output, _progress)
    print(json.dumps(told.built_json(built)) if args.json else told.built_text(built))
    return 0


def run_inspect(args: argparse.Namespace) -> int:
    """Look into all images of a layout or an archive."""
    source = sources.opened(args.path)
    if not source.entries:
        raise BadInput(f"{args.path} lists no image")
    here = _platform(args.platform)
    seen = [inspected(source, entry, here, Limits(), _progress) for entry in source.entries]
    if args.json:
        print(json.dumps([told.image_json(one) for one in seen], indent=2))
    else:
        print("\n\n".join(told.image_text(one) for one in seen))
    return 0


def _layers(args: argparse.Namespace, epoch_s: int) -> tuple[Planned, ...]:
    layers: list[Planned] = []
    # What is asked for is looked up before what takes long.
    installed = python_root.packages(args.package, epoch_s=epoch_s) if args.package else []
    if args.python:
        version = platform.python_version()
        layers.append(Planned(python_root.python(epoch_s=epoch_s), f"Python {version}"))
    if args.package:
        layers.append(Planned(installed, "packages " + " ".join(sorted(args.package))))
    if args.rootfs:
        listed = members.members(members.RootFs(args.rootfs), epoch_s=epoch_s)
        layers.append(Planned(listed, "root file system"))
    for layer in args.layer or ():
        folder, colon, prefix = layer.rpartition(":")
        if not colon:
            folder, prefix = layer, "/"
        listed = members.members(members.Folder(Path(folder), prefix), epoch_s=epoch_s)
        if args.python:
            listed = python_root.compiled(listed, epoch_s=epoch_s)
        layers.append(Planned(listed, f"files at {prefix}"))
    return tuple(layers)


def _epoch(said: int | None) -> int:
    text = os.environ.get("SOURCE_DATE_EPOCH", "")  # noqa: TID251 - what builders agreed on
    if said is None and text:
        if not text.isdigit():
            raise BadInput(f"SOURCE_DATE_EPOCH is {text!r}, no count of seconds")
        said = int(text)
    epoch_s = said or 0
    if not 0 <= epoch_s < 1 << 33:
        raise BadInput(f"--epoch {epoch_s} is out of range: 0 to {(1 << 33) - 1}")
    return epoch_s


def _platform(text: str | None) -> Platform:
    if text is None:
        return platforms.of_machine(platform.machine())
    parts = text.split("/")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise BadInput(f"--platform {text!r} is none: write it as linux/arm64")
    return Platform(*parts)


def _words(text: str | None, option: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text or ""))
    except ValueError as error:
        raise BadInput(f"{option} {text!r} cannot be split into words: {error}") from error


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise BadInput(f"{option} {text!r} is no NAME=VALUE")
    return name, value


def _absolute(text: str | None) -> str:
    if text and not text.startswith("/"):
        raise BadInput(f"--workdir {text!r} must begin with /")
    return text or ""


def _progress(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
