"""Makes what the settings describe: the pipeline from frames to samples, and where a replayed log goes on."""

import hashlib
from collections.abc import Mapping

from edge_agent.adapters.sampling import Pipeline
from edge_agent.canbus import database
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.model import Database
from edge_agent.canbus.plan import BusDatabases, Plan, compile_plan
from edge_agent.config import Config, Replay
from edge_agent.telemetry.collection import Collection
from edge_agent.telemetry.spool import Cursor
from fairway import log
from fairway.catalog.load import load_catalog
from fairway.catalog.model import Catalog
from fairway.errors import BadInput
from fairway.signals import Dictionary
from fairway.wire.telemetry import dictionary_of

EVENTS = log.get("edge_agent")


def open_pipeline(
    config: Config, said: Mapping[str, Database]
) -> tuple[Pipeline, Dictionary, Catalog, Plan]:
    """Return what turns frames into samples, the dictionary of those, what their signals are, and the plan.

    `said` are databases that the cloud has sent, by bus: they go before the bus's own.
    Raises BadInput for databases and mappings that are none, or of which nothing would come.
    """
    buses = [
        BusDatabases(
            bus.name,
            (
                *(said[bus.name] for _ in range(bus.name in said)),
                *(database.load(path) for path in bus.databases),
            ),
        )
        for bus in config.bus
    ]
    plan = compile_plan(buses)
    catalog = load_catalog([*config.signals.catalogs, *config.signals.overlays])
    mapping = compile_mapping(plan, catalog, unmapped=config.telemetry.collect != "mapped")
    for problem in mapping.problems:
        EVENTS.warning("mapping_problem", problem=str(problem))
    if not len(mapping.table):
        raise BadInput(
            "no signal would be collected: give [signals] an overlay that maps some, or set "
            'telemetry.collect = "all"'
        )
    collection = None
    if config.telemetry.collect != "none":
        telemetry = config.telemetry
        collection = Collection(mapping.table, telemetry.interval_ms, telemetry.on_change)
    pipeline = Pipeline(make_decoder(plan), mapping, collection)
    return pipeline, dictionary_of(mapping.table), catalog, plan


def resumption(config: Config, dictionary: Dictionary, cursor: Cursor) -> tuple[bytes, int]:
    """Return the name of what is replayed, and how many of its samples are spooled already."""
    replay = config.replay
    if replay is None or not replay.resume:
        return bytes(8), 0
    if any(bus.source is not None for bus in config.bus):
        EVENTS.warning("replay_not_resumed", reason="live buses are merged with the log")
        return bytes(8), 0
    name = _replay_id(replay, dictionary, config)
    if cursor.replay != name:
        if cursor.samples:
            EVENTS.warning("replay_starts_over", reason="the log or what is collected has changed")
        return name, 0
    EVENTS.info("replay_resumed", samples=cursor.samples)
    return name, cursor.samples


def _replay_id(replay: Replay, dictionary: Dictionary, config: Config) -> bytes:
    """Return a name that changes when the samples of the replay would be others."""
    telemetry = config.telemetry
    facts = (
        replay.log.name,
        replay.log.stat().st_size if replay.log.exists() else 0,
        dictionary.id.hex(),
        telemetry.interval_ms,
        telemetry.on_change,
    )
    return hashlib.sha256(repr(facts).encode()).digest()[:8]
