"""A process of its own around the embedded store, to be killed, crowded out or starved of disk.

python store_child.py append DIR FIRST    appends batches FIRST, FIRST + 1 ... for ever; prints each once stored
python store_child.py read DIR            prints the rows of every batch, as JSON
python store_child.py full DIR            fills the disk around the store, and says what became of the samples
"""

import contextlib
import json
import sys
from pathlib import Path

import numpy as np

from fairway.errors import FairwayError
from fairway.ids import BatchName
from fairway.samples import SampleBlock, Signal, SignalTable
from fleet_cloud.adapters.telemetry_store import Store, open_store
from fleet_cloud.ingest.ports import AcceptedBatch
from fleet_cloud.vehicles.telemetry import POINTS_MAX, SignalSpan

NOW = 1_700_000_000 * 1_000_000_000
STREAM = "00000000000000aa"
VEHICLES = ("VIN1", "VIN2")
TABLE = SignalTable((Signal("Sequence"),))


def rows_of(sequence: int) -> int:
    """How many samples the batch of that number has."""
    return 1 + sequence * 37 % 5000


def batches(sequence: int) -> list[AcceptedBatch]:
    """One batch a vehicle, every sample of which says the sequence."""
    rows = rows_of(sequence)
    block = SampleBlock(
        TABLE,
        np.zeros(rows, np.int32),
        np.arange(rows) + sequence * 10_000,
        np.full(rows, float(sequence)),
    )
    return [
        AcceptedBatch("default", BatchName(vehicle, STREAM, sequence), block, NOW)
        for vehicle in VEHICLES
    ]


def append(folder: Path, first: int) -> None:
    store = open_store((), folder)
    sequence = first
    while True:
        store.append(batches(sequence))
        print(sequence, flush=True)
        sequence += 1


def counted(store: Store, vehicle: str) -> dict[int, int]:
    """Return the number of stored rows of every batch."""
    values = store.series(SignalSpan("default", vehicle, "Sequence"), limit=POINTS_MAX).value
    found, counts = np.unique(values.astype(np.int64), return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def read(folder: Path) -> None:
    store = open_store((), folder)
    print(json.dumps([counted(store, vehicle) for vehicle in VEHICLES]))
    store.close()


def full(folder: Path) -> None:
    store = open_store((), folder, free_min_bytes=0)
    store.append(batches(1))
    ballast = folder / "ballast"
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
            file.flush()
    failure = ""
    try:
        for sequence in range(2, 100):
            store.append(batches(sequence))
    except FairwayError as error:
        failure = f"{type(error).__name__}: {error}"
    before = counted(store, "VIN1")
    ballast.unlink()
    store.append(batches(1000))
    print(json.dumps([failure, before, counted(store, "VIN1")]))
    store.close()


if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    if what == "append":
        append(Path(where), int(rest[0]))
    else:
        {"read": read, "full": full}[what](Path(where))
