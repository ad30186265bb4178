"""`fleet-cloud campaign dry-run`: what a campaign would have done on drives that are stored.

Rule 1: an embedded telemetry store is one process's: while the cloud runs, its API is asked instead.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from fairway.campaign.document import DOCUMENT_MAX_BYTES, campaign_from_json
from fairway.campaign.model import Campaign
from fairway.clock import SystemClock
from fairway.errors import BadInput
from fairway.ids import vehicle_id
from fairway.prediction import Assumptions, prediction_json, prediction_text
from fleet_cloud.adapters.catalogues import KeptCatalogues
from fleet_cloud.adapters.fleet_files import FleetFiles, open_fleet
from fleet_cloud.adapters.telemetry_store import open_store
from fleet_cloud.api.parameters import time_ns
from fleet_cloud.campaigns.trial import Trials, TrialWish, act_of
from fleet_cloud.cli import settings
from fleet_cloud.cli.people import actor
from fleet_cloud.config import Config


def add(actions: Any) -> None:
    """Declare the action."""
    action: argparse.ArgumentParser = actions.add_parser(
        "dry-run", help="predict what a campaign would do, on stored drives"
    )
    action.add_argument(
        "what", metavar="NAME|FILE", help="a campaign, or the document of one that is not made yet"
    )
    action.add_argument(
        "--vehicle",
        action="append",
        required=True,
        metavar="VEHICLE",
        help="whose drives (repeatable)",
    )
    action.add_argument(
        "--from", dest="from_", required=True, metavar="TIME", help="when they begin, as in -7d"
    )
    action.add_argument("--to", default="", metavar="TIME", help="when they end; now by default")
    action.add_argument(
        "--stream",
        metavar="STREAM",
        help="only what this stream brought, else what no campaign did",
    )
    action.add_argument(
        "--hours-per-month",
        type=float,
        default=30.0,
        metavar="H",
        help="how long a vehicle is driven",
    )
    action.add_argument("--json", action="store_true", help="for machines")
    action.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    config, clock = settings.read(args), SystemClock()
    wish = _wish(args, config, clock.now_ns())
    with open_fleet(config) as fleet:
        campaign = _campaign(args, fleet)
        for name in wish.vehicles:
            found = fleet.registry.vehicles.vehicle(name)
            if found is None or found.tenant != args.tenant:
                raise BadInput(f"no vehicle is called {name}: see `fleet-cloud vehicle list`")
        store = open_store(config.store.url, config.folder, region=config.region)
        try:
            registry = fleet.registry
            trials = Trials(
                store,
                registry.said,
                KeptCatalogues(registry.dictionaries),
                registry.progress,
                clock,
            )
            fleet.audit.write(act_of(args.tenant, campaign, wish, actor=actor()))
            prediction = trials.run(args.tenant, campaign, wish).prediction
        finally:
            store.close()
    if args.json:
        print(json.dumps(prediction_json(prediction, wish.assumptions), indent=1))
    else:
        print(prediction_text(prediction, wish.assumptions, config.campaigns.currency))
    return 1 if prediction.refused else 0


def _wish(args: argparse.Namespace, config: Config, now_ns: int) -> TrialWish:
    return TrialWish(
        tuple(vehicle_id(name) for name in args.vehicle),
        time_ns(args.from_, name="--from", now_ns=now_ns),
        time_ns(args.to, name="--to", now_ns=now_ns) if args.to else now_ns,
        args.stream,
        Assumptions(args.hours_per_month, config.campaigns.price_per_mb),
    )


def _campaign(args: argparse.Namespace, fleet: FleetFiles) -> Campaign:
    path = Path(args.what)
    if not path.is_file():
        kept = fleet.registry.plan.campaign(args.tenant, args.what)
        if kept is None:
            raise BadInput(f"no campaign and no file is called {args.what}")
        return kept.campaign
    try:
        with path.open("rb") as file:
            return campaign_from_json(file.read(DOCUMENT_MAX_BYTES + 1), name=path.stem)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
