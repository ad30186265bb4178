"""Ingest, from a vehicle's socket to durable rows and back to its receipt, beside the store's own bulk insert.

Everything shares the machine: the sending vehicles, the broker, and one `fleet-cloud serve` that is decoding,
de-duplicating and storing.  The peer is the same rows in the same groups handed straight to the store.
"""

import contextlib
import io
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fleet_cloud.cli
from benchmarks.report import Row
from fairway.ids import BatchName
from fairway.samples import SampleBlock, Signal, SignalTable
from fairway.telemetry import Batch
from fairway.wire.telemetry import (
    batch_to_bytes,
    dictionary_of,
    dictionary_to_bytes,
)
from fleet_cloud.adapters.telemetry_store import open_store
from fleet_cloud.ingest.ports import AcceptedBatch

DOORS = {"mqtt": "MQTT", "grpc": "gRPC"}
ROUNDS = 3
VEHICLES = 4
BATCH_SAMPLES = 1_000
SIGNALS = 100
GROUP_BATCHES = 400  # 400,000 rows an insert: where the store is at its best
START_NS = 1_780_000_000_000_000_000


def run() -> list[Row]:
    """Measure both doors and the store alone in turn, and take the best of each: other load only slows."""
    batches = int(os.environ.get("FAIRWAY_BENCH_BATCHES", "8000"))
    best = dict.fromkeys(("store", *DOORS), 0.0)
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="fairway-bench-") as name:
            folder = Path(name)
            best["store"] = max(best["store"], _store_rate(folder / "store", batches))
            for door in DOORS:
                best[door] = max(best[door], _door_rate(folder, door, batches))
    peer = f"store alone {best['store'] / 1e6:.2f} M/s"
    size = f"{batches * BATCH_SAMPLES / 1e6:.0f} M samples in batches of {BATCH_SAMPLES}"
    rows = []
    for door, words in DOORS.items():
        ours = f"{best[door] / 1e6:.2f} M samples/s"
        ratio = best[door] / best["store"]
        rows += [
            Row(f"ingest {words} to durable rows, {size}", ours, peer, ratio, ">= 0.75"),
            Row(f"ingest {words}, one process", ours, "-", best[door], ">= 1500000", "samples/s"),
        ]
    return rows


def _table() -> SignalTable:
    return SignalTable(
        tuple(Signal(f"Vehicle.Bench.Signal{number}", scale=0.01) for number in range(SIGNALS))
    )


def _blocks(table: SignalTable) -> list[SampleBlock]:
    """Return some blocks that differ, as from buses: 100 signals, walks on a grid, frames of five signals."""
    random = np.random.default_rng(7)
    blocks = []
    for number in range(50):
        rows = np.arange(BATCH_SAMPLES)
        time_ns = START_NS + (number * BATCH_SAMPLES + rows // 5 * 5) * 2_000_000
        walk = np.cumsum(random.integers(-3, 4, BATCH_SAMPLES)) + 1000 * (rows % SIGNALS)
        value = np.asarray(walk * 0.01, np.float64)
        blocks.append(SampleBlock(table, (rows % SIGNALS).astype(np.int32), time_ns, value))
    return blocks


def _names(batches: int) -> Iterator[BatchName]:
    for number in range(batches):
        yield BatchName(f"BENCH{number % VEHICLES}", "00000000000000be", number // VEHICLES + 1)


def _store_rate(folder: Path, batches: int) -> float:
    folder.mkdir()
    blocks = _blocks(_table())
    accepted = [
        AcceptedBatch("default", name, blocks[name.sequence % len(blocks)], START_NS)
        for name in _names(batches)
    ]
    store = open_store((), folder)
    try:
        begun = time.perf_counter()
        for start in range(0, batches, GROUP_BATCHES):
            store.append(accepted[start : start + GROUP_BATCHES])
        return batches * BATCH_SAMPLES / (time.perf_counter() - begun)
    finally:
        store.close()


def _door_rate(parent: Path, door: str, batches: int) -> float:
    folder = parent / door
    folder.mkdir()
    table = _table()
    dictionary = dictionary_of(table)
    blocks = _blocks(table)
    messages: dict[str, list[bytes]] = {}
    for name in _names(batches):
        block = blocks[name.sequence % len(blocks)]
        data = batch_to_bytes(Batch(name, dictionary.id, block, START_NS))
        messages.setdefault(name.vehicle, [dictionary_to_bytes(dictionary)]).append(data)
    for vehicle, some in messages.items():
        framed = b"".join(struct.pack("<I", len(item)) + item for item in some)
        (folder / f"{vehicle}.messages").write_bytes(framed)
    (folder / "cloud.toml").write_text(
        '[api]\nlisten = "127.0.0.1:0"\n'
        f'[grpc]\nlisten = "127.0.0.1:{_free_port()}"\n'
        f'[broker]\nlisten = "127.0.0.1:{_free_port()}"\n'
    )
    where = ["--config", str(folder / "cloud.toml"), "--data", str(folder / "data")]
    for vehicle in messages:
        with contextlib.redirect_stdout(io.StringIO()):
            fleet_cloud.cli.main(
                ["vehicle", "add", vehicle, "--out", str(folder / vehicle), *where]
            )
    program = Path(sys.executable).parent / "fleet-cloud"
    with (folder / "log").open("wb") as log:
        cloud = subprocess.Popen([str(program), "serve", *where], stdout=log, stderr=log)
    try:
        while "REST API" not in (folder / "log").read_text():
            assert cloud.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        time.sleep(1.0)  # the doors are open a moment after the API
        sent = subprocess.run(
            [sys.executable, "-m", "benchmarks._vehicles", door, str(folder)],
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return batches * BATCH_SAMPLES / float(sent.stdout)
    finally:
        cloud.terminate()
        cloud.wait(60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
