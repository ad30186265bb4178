"""`edge-agent services try`: the same image with the same API, on a recorded drive.

    edge-agent services try --manifest tyres.yaml --image tyre-watch --log drive.log --dbc can0=car.dbc
        --catalog vss.json --overlay car.vspec --expect expect.yaml

Rule 1: exit code 1 when a service crashed, was denied something, was never ready, or an expectation is not met.
"""

import argparse
import dataclasses
import json
import math
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.cli.databases import databases_of
from edge_agent.cli.services_files import file_bytes
from edge_agent.cli.signals_text import Column, shown, table
from edge_agent.config import Config
from edge_agent.services.manifests import read_manifests
from edge_agent.services.trial import Expectations, Published, expectations_of, findings
from fairway import config
from fairway.errors import BadInput

_MIB = 1 << 20


def add(below: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    command = below.add_parser(
        "try",
        help="run services on a recorded drive, in an agent of their own",
        description="Run services on a recorded drive: the image, the API and the rights of the vehicle.",
    )
    for option, metavar, what in (
        ("--manifest", "FILE", "a manifest (repeatable)"),
        ("--image", "LAYOUT", "an OCI layout or archive with its image (repeatable)"),
    ):
        command.add_argument(
            option, action="append", type=Path, default=[], metavar=metavar, help=what
        )
    command.add_argument(
        "--log", type=Path, required=True, metavar="DRIVE", help="a recorded drive"
    )
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="settings: their buses and signals"
    )
    command.add_argument(
        "--dbc",
        action="append",
        metavar="CHANNEL=FILE[,FILE]",
        help="instead: databases (repeatable)",
    )
    for option, what in (
        ("--catalog", "VSS catalogues"),
        ("--overlay", "mappings, derived signals"),
    ):
        command.add_argument(
            option, action="append", type=Path, default=[], metavar="FILE", help=what
        )
    command.add_argument("--speed", default="1", metavar="X", help="1 is real time; max")
    command.add_argument(
        "--runtime",
        default="auto",
        choices=("auto", "runc", "crun", "process"),
        help="what runs it",
    )
    command.add_argument(
        "--settle-s", type=float, default=3.0, metavar="S", help="after the drive's end"
    )
    command.add_argument("--timeout-s", type=float, default=3600.0, metavar="S", help="of all")
    command.add_argument("--expect", type=Path, metavar="FILE", help="what has to come of it, YAML")
    command.add_argument("--json", action="store_true", help="print facts as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Try the services, and print what came of it."""
    from edge_agent.adapters.image_look import look_at  # noqa: PLC0415
    from edge_agent.adapters.service_trial import Trial, run_trial  # noqa: PLC0415

    if not args.manifest:
        raise BadInput("name what is tried with --manifest")
    if not args.log.exists():
        raise BadInput(f"the drive {args.log} is not there")
    looks = [look_at(path) for path in args.image]

    def digest_of(name: str) -> str:
        named = [one for one in looks if one.name == name] or (looks if len(looks) == 1 else [])
        if len(named) != 1:
            raise BadInput(f"which image {name} is, is not said: give its layout with --image")
        return named[0].digest

    # Told to end it ends as by Ctrl-C: nothing is left.
    # A shell that runs us beside something else has Ctrl-C ignored: containers would stay.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    services = read_manifests([(str(p), file_bytes(p)) for p in args.manifest], digest_of)
    expected = Expectations()
    if args.expect is not None:
        expected = expectations_of(file_bytes(args.expect), file=str(args.expect))
    buses, catalogs, overlays = _around(args)
    outcome = run_trial(
        Trial(
            tuple(services),
            tuple(args.image),
            args.log,
            buses,
            catalogs,
            overlays,
            _speed(args.speed),
            args.runtime,
            args.settle_s,
            args.timeout_s,
        ),
        lambda text: print(text, file=sys.stderr, flush=True),
    )
    wrong = findings(expected, outcome.published, outcome.ran)
    if args.json:
        print(json.dumps(dataclasses.asdict(outcome) | {"findings": wrong}))
    else:
        _tell(outcome, wrong)
    return 1 if wrong else 0


def _around(
    args: argparse.Namespace,
) -> tuple[Mapping[str, list[Path]], tuple[Path, ...], tuple[Path, ...]]:
    if (args.config is None) == (args.dbc is None):
        raise BadInput("give the agent's settings with --config, or databases with --dbc")
    if args.config is None:
        return databases_of(args.dbc), tuple(args.catalog), tuple(args.overlay)
    settings = config.load(Config, args.config)
    buses = {bus.name: list(bus.databases) for bus in settings.bus}
    catalogs = (*settings.signals.catalogs, *args.catalog)
    return buses, catalogs, (*settings.signals.overlays, *args.overlay)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        raise BadInput(f"--speed is {text[:40]!r}; give a factor, or max") from None
    if not 0 < speed < math.inf:
        raise BadInput(f"--speed is {text[:40]}; choose above 0")
    return speed


def _tell(outcome: Any, wrong: list[str]) -> None:
    columns = [
        Column("SIGNAL", lambda one: shown(one.path)),
        Column("COUNT", lambda one: str(one.count)),
        Column("FIRST", lambda one: shown(one.first)),
        Column("LAST", lambda one: shown(one.last)),
        Column("MIN", lambda one: shown(one.least)),
        Column("MAX", lambda one: shown(one.greatest)),
    ]
    rows: list[Published] = sorted(outcome.published.values(), key=lambda one: one.path)
    for line in table(rows, columns)[0] if rows else ["nothing was published"]:
        print(line)
    for one in outcome.ran:
        print(
            f"{shown(one.name)} {shown(one.version)}: {shown(one.state)}, {one.restarts} restarts, at most "
            f"{one.memory_peak_bytes / _MIB:.1f} MiB and {100 * one.cpu_peak:.0f} % of a core"
        )
    for sentence in wrong:
        print(f"not as expected: {shown(sentence)}")
    if wrong:
        for name, lines in outcome.logs.items():
            for line in lines[-20:]:
                print(f"{shown(name)}: {shown(line)}", file=sys.stderr)
    else:
        print("as expected")
