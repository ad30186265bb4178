"""What `edge-agent campaign dry-run` does: it has the whole campaign engine, which no other action needs."""

import argparse
import json
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge_agent.adapters.drives import Drives
from edge_agent.adapters.function_host import trial_functions
from edge_agent.cli.databases import databases_of
from edge_agent.config import Bus, Config, Functions, Signals
from fairway import config
from fairway.campaign.document import campaign_from_json
from fairway.campaign.engine import Limits
from fairway.campaign.model import Campaign
from fairway.clock import SystemClock
from fairway.dry_run import DryRun
from fairway.errors import BadInput
from fairway.prediction import Assumptions, prediction_json, prediction_text

# As long as a VIN: the vehicle's name is in every request.
_VEHICLE = "DRY-RUN-000000000"


def run(args: argparse.Namespace) -> int:
    """Try the campaigns and print what they would do."""
    if args.hours_per_month <= 0 or args.price_per_mb < 0:
        raise BadInput("--hours-per-month must be above 0, and --price-per-mb not below")
    around = _around(args)
    assumptions = Assumptions(args.hours_per_month, args.price_per_mb, around.max_request_bytes)
    campaigns = [_campaign(path) for path in args.campaign]
    table = around.drives.table()
    with closing(trial_functions(around.functions, SystemClock())) as functions:
        trial = DryRun(
            table,
            campaigns,
            vehicle=around.vehicle,
            functions=functions,
            assumptions=assumptions,
            limits=around.limits,
        )
        for number, log in enumerate(args.log, start=1):
            print(f"drive {number} of {len(args.log)}: {log}", file=sys.stderr)
            trial.drive(around.drives.blocks(log, table))
        for one in trial.predictions:
            report = functions.report(one.sync_id)
            one.notes += report.sentences if report else ()
    if args.json:
        print(
            json.dumps([prediction_json(one, assumptions) for one in trial.predictions], indent=2)
        )
    else:
        for one in trial.predictions:
            print(prediction_text(one, assumptions))
    return 1 if any(one.refused for one in trial.predictions) else 0


@dataclass(frozen=True, slots=True)
class _Around:
    """What a vehicle has around its campaigns."""

    drives: Drives
    vehicle: str
    max_request_bytes: int
    functions: Functions
    limits: Limits


def _campaign(path: Path) -> Campaign:
    try:
        return campaign_from_json(path.read_bytes(), name=path.stem)
    except OSError as error:
        raise BadInput(f"the campaign {path} cannot be read: {error.strerror}") from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def _around(args: argparse.Namespace) -> _Around:
    if (args.config is None) == (args.dbc is None):
        raise BadInput("give the agent's settings with --config, or databases with --dbc")
    if args.config is not None:
        settings = config.load(Config, args.config)
        return _Around(
            Drives(settings.bus, settings.signals, settings.telemetry.collect != "mapped"),
            settings.vehicle.id,
            settings.telemetry.batch_max_bytes,
            settings.functions,
            Limits(ring_bytes=settings.campaigns.memory_max_bytes),
        )
    buses = tuple(Bus(name, tuple(paths)) for name, paths in databases_of(args.dbc).items())
    drives = Drives(buses, Signals(tuple(args.catalog), tuple(args.overlay)), unmapped=True)
    return _Around(drives, _VEHICLE, Assumptions().max_request_bytes, Functions(), Limits())
