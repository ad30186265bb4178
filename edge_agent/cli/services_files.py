"""`edge-agent services check|import`: manifests without an agent.

    check FILE...                         what the agent would say of it, and its digest
    import ankaios|greengrass|velocitas   a manifest of another system > ours, YAML, on standard output

Rule 1: what an import does not take over is said on standard error, with its place.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_agent.services.manifests import documents, image_name, read_manifest
from fairway.errors import BadInput
from fairway.services.foreign import Image, Imported
from fairway.services.manifest import MANIFEST_MAX_BYTES, service_digest, service_to_yaml
from fairway.services.model import Service

# What stands in for the digest of an image that is only named: nothing has it.
_UNKNOWN = f"sha256:{'0' * 64}"
_DIGEST = "sha256:"


def add(below: "argparse._SubParsersAction[Any]") -> None:
    """Declare the commands."""
    check = below.add_parser(
        "check",
        help="validate manifests, without an agent",
        description="Validate manifests as the agent would.",
    )
    check.add_argument("file", nargs="+", type=Path, metavar="FILE", help="manifests, YAML")
    check.add_argument("--json", action="store_true", help="print one JSON document")
    check.set_defaults(run=_check)
    group = below.add_parser(
        "import",
        help="make manifests of those of Ankaios, Greengrass or Velocitas",
        description="Make manifests of those of other systems.",
    )
    inner = group.add_subparsers(title="systems", metavar="SYSTEM", required=True)
    _foreign(inner, "ankaios", "a manifest of Eclipse Ankaios", _ankaios).add_argument(
        "--agent", default="", metavar="NAME", help="only the workloads of this Ankaios agent"
    )
    greengrass = _foreign(inner, "greengrass", "a recipe of AWS IoT Greengrass", _greengrass)
    greengrass.add_argument(
        "--root", default="", metavar="DIR", help="of Greengrass: its artifacts lie below it"
    )
    greengrass.add_argument("--thing", default="", metavar="NAME", help="what {iot:thingName} is")
    velocitas = _foreign(inner, "velocitas", "an AppManifest of Eclipse Velocitas", _velocitas)
    velocitas.add_argument("--version", default="0.0.0", metavar="V", help="of the service")


def _foreign(
    inner: Any, name: str, what: str, read: Callable[[argparse.Namespace, str], Imported]
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = inner.add_parser(
        name, help=f"read {what}", description=f"Make manifests of {what}."
    )
    command.add_argument("file", type=Path, metavar="FILE", help=what)
    command.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="NAME=DIGEST",
        help="what an image is: sha256:..., or an OCI layout that holds it (repeatable)",
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="a file for each service")
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.set_defaults(run=_import, read=read)
    return command


def _check(args: argparse.Namespace) -> int:
    told, is_good = list[dict[str, Any]](), True
    for path in args.file:
        try:
            told += [_checked(place, one) for place, one in documents(str(path), file_bytes(path))]
        except BadInput as error:
            is_good = False
            told.append({"file": str(path), "error": str(error)})
    if args.json:
        print(json.dumps(told))
        return 0 if is_good else 1
    for one in told:
        if "error" in one:
            print(one["error"], file=sys.stderr)
            continue
        named = f"; apply makes {one['image_name']} a digest" if one["image_name"] else ""
        print(f"{one['file']}: {one['name']} {one['version']} can run{named}")
    return 0 if is_good else 1


def _checked(place: str, content: bytes) -> dict[str, Any]:
    name = image_name(content, file=place)
    service = read_manifest(content, lambda _: _UNKNOWN, file=place)
    return {
        "file": place,
        "name": service.name,
        "version": service.version,
        "digest": "" if name else service_digest(service),  # of all that the manifest says
        "image_name": name or "",
    }


def _import(args: argparse.Namespace) -> int:
    content = file_bytes(args.file)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{args.file} is not UTF-8: {error.reason}") from error
    imported = args.read(args, text)
    for warning in imported.warnings:
        print(warning, file=sys.stderr)
    manifests = [(one, service_to_yaml(one)) for one in imported.services]
    if args.out is not None:
        _write(args.out, manifests)
    if args.json:
        documents_ = [{"name": one.name, "manifest": text} for one, text in manifests]
        print(json.dumps({"services": documents_, "warnings": list(imported.warnings)}))
    elif args.out is None:
        print("---\n".join(text for _, text in manifests), end="")
    return 0


def _write(folder: Path, manifests: list[tuple[Service, str]]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one, text in manifests:
            path = folder / f"{one.name}.yaml"
            path.write_text(text)
            print(path, file=sys.stderr)
    except OSError as error:
        raise BadInput(f"{folder} cannot be written: {error.strerror}") from error


def _ankaios(args: argparse.Namespace, text: str) -> Imported:
    from fairway.services.foreign_ankaios import services_of  # noqa: PLC0415

    images = dict(_image(one) for one in args.image)

    def find(name: str) -> Image:
        if name not in images:
            raise BadInput(f"which image {name} is, is not said: give --image {name}=sha256:...")
        return images[name]

    return services_of(text, find=find, file=str(args.file), agent=args.agent)


def _greengrass(args: argparse.Namespace, text: str) -> Imported:
    from fairway.services.foreign_greengrass import services_of  # noqa: PLC0415
    from fairway.services.foreign_recipe import Vehicle  # noqa: PLC0415

    vehicle = Vehicle(root=args.root or Vehicle().root, thing=args.thing)
    return services_of(text, vehicle, file=str(args.file))


def _velocitas(args: argparse.Namespace, text: str) -> Imported:
    from fairway.services.foreign_velocitas import services_of  # noqa: PLC0415

    if len(args.image) > 1:
        raise BadInput("an AppManifest is one service: give --image once at most")
    digest = _image(args.image[0])[1].digest if args.image else _UNKNOWN
    return services_of(text, image=digest, version=args.version, file=str(args.file))


def _image(said: str) -> tuple[str, Image]:
    """Return the name and the image of NAME=DIGEST or NAME=LAYOUT.  Raises BadInput."""
    name, equals, what = said.partition("=")
    if not name or not equals or not what:
        raise BadInput(f"--image {said[:80]!r} is not NAME=DIGEST")
    if what.startswith(_DIGEST):
        return name, Image(what)
    from edge_agent.adapters.image_look import look_at  # noqa: PLC0415

    seen = look_at(Path(what))
    return name, Image(seen.digest, seen.entry_point)


def file_bytes(path: Path) -> bytes:
    """Return a file, - for standard input.  Raises BadInput."""
    if str(path) == "-":
        return sys.stdin.buffer.read(16 * MANIFEST_MAX_BYTES + 1)
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"the manifest {path} cannot be read: {error.strerror}") from error
