"""The telemetry store: how fast rows go in, how little room they take, how soon questions are answered.

1,000 vehicles with 20 signals each, every 30 s, in batches of 100 samples that arrive interleaved, 1,000
batches an insert.  The peer of the insert is clickhouse-connect, the engine's own client, which is handed the
same rows as ready Arrow tables, into a table like ours with the same fsync; the two take turns.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import numpy as np
import pyarrow as pa

from benchmarks.report import Row
from fairway.identity import DEFAULT_REGION, DEFAULT_TENANT
from fairway.ids import BatchName
from fairway.samples import SampleBlock, Signal, SignalTable
from fleet_cloud.adapters.clickhouse_native import Words
from fleet_cloud.adapters.clickhouse_rows import columns
from fleet_cloud.adapters.clickhouse_sql import COLUMNS, abilities, create_samples
from fleet_cloud.adapters.telemetry_store import Store, open_store
from fleet_cloud.ingest.ports import AcceptedBatch
from fleet_cloud.vehicles.telemetry import SignalSpan

S = 1_000_000_000
START_NS = 1_780_000_000 * S
VEHICLES = 1_000
SIGNALS = 20
STEP_NS = 30 * S
BATCH_SAMPLES = 100
INSERT_BATCHES = 1_000
HOUR_NS = 3_600 * S
QUESTIONS = 30
PEER = "peer"

TABLE = SignalTable(
    tuple(Signal(f"Vehicle.Powertrain.Signal{number:02d}", unit="V") for number in range(SIGNALS))
)


def run() -> list[Row]:
    """Measure inserts beside the engine's own client, then size and questions."""
    rows = int(os.environ.get("FAIRWAY_BENCH_ROWS", "10000000"))
    with tempfile.TemporaryDirectory(prefix="fairway-bench-") as name:
        folder = Path(name)
        store = open_store((), folder)
        try:
            ours, peer = _insert_rates(store, folder, rows)
            return [
                Row(
                    "telemetry store: bulk insert, fsync, 100,000 rows an insert",
                    f"{ours / 1e6:.2f} M rows/s",
                    f"clickhouse-connect {peer / 1e6:.2f} M rows/s",
                    ours / peer,
                    ">= 0.75",
                ),
                *_questions(store, rows),
            ]
        finally:
            store.close()


def _questions(store: Store, rows: int) -> list[Row]:
    told = store.statistics()
    end_ns = START_NS + rows // (VEHICLES * SIGNALS) * STEP_NS
    size = told.disk_bytes / told.rows
    among = f"among {told.rows / 1e6:.0f} million rows"

    def hour(vehicle: str) -> int:
        span = SignalSpan("default", vehicle, TABLE[7].name, end_ns - HOUR_NS, end_ns)
        return len(store.series(span, limit=10_000))

    def buckets(vehicle: str) -> int:
        span = SignalSpan("default", vehicle, TABLE[7].name)
        return len(store.buckets(span, bucket_ns=HOUR_NS, limit=10_000))

    def known(vehicle: str) -> int:
        stream = f"{int(vehicle.removeprefix('VIN')):016x}"
        return len(store.stored(DEFAULT_TENANT, vehicle, stream, range(1, 101)))

    asked: list[tuple[str, Callable[[str], int], str]] = [
        ("last hour of one signal", hour, "<= 50"),
        ("newest values of a vehicle", lambda name: len(store.latest("default", name)), "<= 50"),
        ("hourly buckets of one signal", buckets, "<= 50"),
        ("which of 100 batches are stored", known, "<= 50"),
    ]
    return [
        Row("telemetry store: room on disk", f"{size:.2f} bytes/row", "-", size, "<= 2.5", "bytes"),
        *(
            Row(f"telemetry store: {what} {among}", f"{took:.1f} ms", "-", took, goal, "ms")
            for what, ask, goal in asked
            for took in [_median_ms(ask)]
        ),
    ]


def _median_ms(ask: Callable[[str], int]) -> float:
    took = []
    for number in range(QUESTIONS):
        vehicle = f"VIN{number * 37 % VEHICLES:014d}"
        start = time.perf_counter()
        assert ask(vehicle) > 0
        took.append((time.perf_counter() - start) * 1e3)
    return statistics.median(took)


def _insert_rates(store: Store, folder: Path, rows: int) -> tuple[float, float]:
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder / "telemetry/engine"))
    try:
        client.command(f"CREATE DATABASE {PEER}")
        client.command(f"USE {PEER}")
        version = str(client.command("SELECT version()"))
        client.command(create_samples(abilities(version), free_min_bytes=0))
        ours = theirs = 0.0
        for group in _groups(rows):
            table = _arrow(group)
            start = time.perf_counter()
            store.append(group)
            between = time.perf_counter()
            client.insert_arrow("samples", table, database=PEER)
            ours += between - start
            theirs += time.perf_counter() - between
        client.command(f"DROP DATABASE {PEER} SYNC")
        return rows / ours, rows / theirs
    finally:
        client.close()


def _arrow(group: list[AcceptedBatch]) -> pa.Table:
    def array(column: Any) -> pa.Array:
        if isinstance(column, Words):
            index = pa.array(column.index.astype(np.int32))
            return pa.DictionaryArray.from_arrays(index, pa.array(column.words, pa.string()))
        return pa.array(column)

    built = columns(group, DEFAULT_REGION)
    return pa.table({name: array(built[name][1]) for name in COLUMNS})


def _groups(rows: int) -> Iterator[list[AcceptedBatch]]:
    """Yield inserts that together have `rows` rows, as a fleet sends them: every vehicle a batch in turn."""
    walk = np.round(np.cumsum(np.random.default_rng(1).normal(size=4096))) * 0.1
    group = []
    for number in range(rows // BATCH_SAMPLES):
        group.append(_batch(number % VEHICLES, number // VEHICLES, walk))
        if len(group) == INSERT_BATCHES:
            yield group
            group = []


def _batch(vehicle: int, turn: int, walk: np.ndarray) -> AcceptedBatch:
    sample = np.arange(BATCH_SAMPLES)
    signal, step = sample % SIGNALS, sample // SIGNALS + turn * (BATCH_SAMPLES // SIGNALS)
    block = SampleBlock(
        TABLE,
        signal.astype(np.int32),
        START_NS + step * STEP_NS + vehicle,
        walk[(step * 7 + vehicle * 13) % len(walk)] + signal,
    )
    name = BatchName(f"VIN{vehicle:014d}", f"{vehicle:016x}", turn + 1)
    return AcceptedBatch("default", name, block, START_NS)
