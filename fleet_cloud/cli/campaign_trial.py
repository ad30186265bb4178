"""What `fleet-cloud campaign dry-run` does: it has the telemetry store, which no other action needs."""

import argparse
import json
from pathlib import Path

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


def run(args: argparse.Namespace) -> int:
    """Try the campaign, and print what it would do."""
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
