"""`ota-release build`: a release file becomes a release that awaits signatures."""

import argparse
from pathlib import Path

from fairway.errors import BadInput
from ota.cli import told
from ota.cli.common import add_folder, now_ns, opened, progress, say
from ota.release import ceremony
from ota.release.building import LOCAL_BUILDER, Builder, Outcome, build


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "build", help="build a release from its file; the same input is the same bytes"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the release file")
    parser.add_argument(
        "--builder", default=LOCAL_BUILDER, metavar="URI", help="what builds, for the provenance"
    )
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="said in the provenance: repository, commit, run ...",
    )
    add_folder(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Build a release."""
    builder = Builder(args.builder, dict(_pair(one) for one in args.parameter))
    with opened(args) as folder:
        outcome = build(folder, args.file, builder, now_ns(), progress)
        waiting = ceremony.waiting(folder)
    said = {
        "bundle": told.image_json(outcome.bundle),
        "images": [told.image_json(image) for image in outcome.images],
        "sbom_sha256": outcome.sbom_sha256,
        "statement_sha256": outcome.statement_sha256,
        "packages": outcome.packages,
        "changed": list(outcome.drafts),
        "waiting": [told.standing_json(one) for one in waiting],
    }
    say(args, said, lambda: "\n".join([*_lines(outcome), *told.waiting_lines(waiting)]))
    return 0


def _lines(outcome: Outcome) -> list[str]:
    lines = [told.image_line(one) for one in (*outcome.images, outcome.bundle)]
    lines.append(f"bill of materials: {outcome.packages} packages, {outcome.sbom_sha256[:16]}")
    return lines if outcome.drafts else [*lines, "nothing has changed"]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals or name in {"name", "version"}:
        raise BadInput(f"--parameter {text!r:.80} is no NAME=VALUE, or is said by the release file")
    return name, value
