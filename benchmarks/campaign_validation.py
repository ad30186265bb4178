"""Campaigns in the cloud: documents validated against a catalogue, and what a change costs a large fleet.

A document is read from its bytes, its expressions are parsed and typed, and its signals are held against a
catalogue of 1,000 signals: what the API does before it keeps one, and when it is asked for a check.  A change
is what a process does until the lists of 10,000 vehicles are ready for its doors, with a registry in SQLite.
"""

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.report import Row
from fairway.campaign.document import campaign_from_json, campaign_of, sync_id
from fairway.control import CheckIn
from fairway.samples import Signal, SignalTable
from fairway.wire.control import to_vehicle_to_bytes
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.catalogues import KeptCatalogues
from fleet_cloud.adapters.registry import open_registry
from fleet_cloud.campaigns.check import Fit, prepare, verdict
from fleet_cloud.campaigns.desk import Desk, Stores
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.control.listing import Heard
from fleet_cloud.control.ports import (
    Vehicle,
)
from fleet_cloud.control.targets import (
    Target,
    TargetKind,
)

DOCUMENTS = 2_000
SIGNALS = 1_000
# Comparisons of one condition: 127 nodes of its tree, as the agent's own benchmark has them.
COMPARISONS = 32
VEHICLES = 10_000
NOW_NS = 1_780_000_000_000_000_000


def run() -> list[Row]:
    """Measure validation, a change for everybody, and everybody checking in."""
    rate, by_the_wall = _validated_per_minute()
    with tempfile.TemporaryDirectory(prefix="fairway-bench-") as folder:
        change_s, check_in_s = _fleet(Path(folder))
    rows = [
        Row(
            f"campaign documents with 127-node conditions validated against {SIGNALS} signals",
            f"{rate:,.0f} a minute of processor time, {by_the_wall:,.0f} by the wall",
            "-",
            rate,
            ">= 15000",
            "a minute",
        ),
        Row(
            f"a campaign started: lists of {VEHICLES} vehicles ready to be sent",
            f"{change_s * 1000:.0f} ms",
            "-",
            change_s,
            "<= 1",
            "s",
        ),
    ]
    return [
        *rows,
        Row(
            f"{VEHICLES} vehicles check in at once: kept and answered",
            f"{check_in_s * 1000:.0f} ms",
            "-",
            check_in_s,
            "<= 5",
            "s",
        ),
    ]


def _document(number: int) -> bytes:
    names = [f"Vehicle.Bench.Signal{(number * 7 + at) % SIGNALS}" for at in range(COMPARISONS)]
    compared = [f"$variable.`{name}` > {at}.5" for at, name in enumerate(names)]
    groups = [" && ".join(compared[at : at + 8]) for at in range(0, COMPARISONS, 8)]
    condition = " && ".join(f"({group})" for group in groups)
    collect = [{"name": name, "maxSampleCount": 100} for name in names]
    scheme = {"expression": condition, "minimumTriggerIntervalMs": 1000}
    return json.dumps(
        {
            "name": f"bench-{number}",
            "collectionScheme": {"conditionBasedCollectionScheme": scheme},
            "signalsToCollect": collect,
        }
    ).encode()


def _validated_per_minute() -> tuple[float, float]:
    table = SignalTable(tuple(Signal(f"Vehicle.Bench.Signal{at}") for at in range(SIGNALS)))
    documents = [_document(number) for number in range(DOCUMENTS)]
    begun, used = time.perf_counter(), time.process_time()
    for document in documents:
        found = verdict(prepare(campaign_from_json(document)), table)
        assert found.fit is Fit.WHOLE, found
    used, took = time.process_time() - used, time.perf_counter() - begun
    return DOCUMENTS / used * 60, DOCUMENTS / took * 60


def _fleet(folder: Path) -> tuple[float, float]:
    vehicles = [Vehicle("default", f"BENCH{number:05d}") for number in range(VEHICLES)]
    tenants = {vehicle.name: vehicle.tenant for vehicle in vehicles}
    registry = open_registry(sqlite_url(folder / "registry.sqlite"))
    stores = Stores(
        registry.plan,
        registry.lists,
        registry.said,
        registry.said,
        registry.commands,
        KeptCatalogues(registry.dictionaries),
    )
    desk = Desk(stores, lambda: tenants)
    desk.refresh(NOW_NS)
    campaign = campaign_of(json.loads(_document(1)))
    target = Target(TargetKind.QUERY, 'not id == ""')
    kept = Kept("default", campaign, sync_id(campaign), target, State.APPROVED, "a", 1, 1)
    registry.plan.add(kept)
    begun = time.perf_counter()
    registry.plan.change(replace(kept, state=State.RUNNING, version=2))
    told = desk.push(sorted(desk.refresh(NOW_NS) or ()))
    known: dict[int, bytes] = {}
    for one in told:
        if id(one.noun) not in known:
            known[id(one.noun)] = to_vehicle_to_bytes(one.noun)
    change_s = time.perf_counter() - begun
    assert len(told) == VEHICLES
    heard = [Heard(vehicle, CheckIn("1.0", NOW_NS), NOW_NS) for vehicle in vehicles]
    begun = time.perf_counter()
    for start in range(0, VEHICLES, 1000):
        answered = desk.heard(heard[start : start + 1000], NOW_NS)
        assert len(answered) == 1000
    check_in_s = time.perf_counter() - begun
    registry.close()
    return change_s, check_in_s
