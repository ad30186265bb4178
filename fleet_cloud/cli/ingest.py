"""`fleet-cloud ingest`: ingest alone, as many processes as the load needs."""

import argparse
from collections.abc import Mapping
from typing import Any

from fairway import log
from fleet_cloud.adapters.grpc_tls import refuse_tls_1_2
from fleet_cloud.cli import settings


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "ingest",
        help="run ingest alone, beside others",
        description="Run ingest until SIGTERM.  Processes share the load of one broker (MQTT 5 shared "
        "subscriptions), one registry and one telemetry store; each batch is stored once.",
    )
    settings.add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until a signal ends it."""
    refuse_tls_1_2()
    from fleet_cloud import app  # noqa: PLC0415 - `vehicle` and `--help` need no telemetry engine

    config = settings.read(args)
    log.set_up(level=config.log.level, as_json=config.log.json)
    app.ingest(config, _say)
    return 0


def _say(urls: Mapping[str, str]) -> None:
    print("ready", *(f"{name} {url}" for name, url in urls.items()), flush=True)
