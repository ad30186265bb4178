"""`fleet-cloud serve`: the whole cloud in one process."""

import argparse
from collections.abc import Mapping
from typing import Any

from fairway import log
from fleet_cloud.adapters.grpc_tls import refuse_tls_1_2
from fleet_cloud.cli import settings

_WORDS = {
    "api": "REST API, live feed, metrics",
    "mqtt": "MQTT door",
    "grpc": "gRPC door",
}


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="run the whole cloud: broker, ingest, stores, API",
        description="Run the whole cloud until SIGTERM.  Everything it needs it makes in DIR at first start.",
    )
    settings.add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until a signal ends it."""
    refuse_tls_1_2()
    from fleet_cloud import app  # noqa: PLC0415 - `vehicle` and `--help` need no telemetry engine

    config = settings.read(args)
    log.set_up(level=config.log.level, as_json=config.log.json)
    app.serve(config, _say)
    return 0


def _say(urls: Mapping[str, str]) -> None:
    for name, words in _WORDS.items():
        if name in urls:
            print(f"{urls[name]:32} {words}", flush=True)
