"""The embedded engine: one owner, whole batches under kill -9, and a full disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fairway.errors import Conflict, Unavailable
from fairway.ids import BatchName
from fairway.samples import SampleBlock, Signal, SignalTable
from fleet_cloud.adapters.clickhouse_rows import BATCH_MAX_ROWS
from fleet_cloud.adapters.telemetry_store import Store, open_store
from fleet_cloud.ingest.ports import AcceptedBatch
from tests.clickhouse import embedded_store  # noqa: F401 - a fixture
from tests.shared_data import ROOT, missing
from tests.store_child import VEHICLES, rows_of

CHILD = ROOT / "tests" / "store_child.py"


def run(*arguments: str, wrapped_in: tuple[str, ...] = ()) -> list[object]:
    out = subprocess.run(
        [*wrapped_in, sys.executable, str(CHILD), *arguments],
        check=True,
        capture_output=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return list(json.loads(out.stdout))


def appended(folder: Path, first: int, count: int) -> int:
    """Let a process append until it told of `count` batches, kill it at once, and return the last it told."""
    with subprocess.Popen(
        [sys.executable, str(CHILD), "append", str(folder), str(first)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as child:
        assert child.stdout is not None
        told = first - 1
        for line in child.stdout:
            told = int(line)
            if told - first + 1 == count:
                child.kill()
        child.wait(timeout=30)
    return told


@pytest.mark.slow
def test_what_was_acknowledged_is_there_whole_after_kill_9(tmp_path: Path):
    acknowledged: set[int] = set()
    first = 1
    for count in (5, 23):
        last = appended(tmp_path, first, count)
        acknowledged |= set(range(first, last + 1))
        first = last + 1000

    for rows in run("read", str(tmp_path)):
        assert isinstance(rows, dict)
        found = {int(sequence): count for sequence, count in rows.items()}
        assert acknowledged <= set(found)
        assert found == {sequence: rows_of(sequence) for sequence in found}
        # At most the one that was being stored at each death is there without a word.
        assert len(set(found) - acknowledged) <= 2
    assert len(VEHICLES) == 2


@pytest.mark.slow
def test_a_full_disk_is_told_and_harms_nothing(tmp_path: Path):
    mount = f'mount -t tmpfs -o size=64m tmpfs "{tmp_path}" && exec "$@"'
    wrapped = ("unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    if subprocess.run([*wrapped, "true"], check=False, capture_output=True).returncode:
        missing("a private small disk cannot be made here: user namespaces are off")

    failure, before, after = run("full", str(tmp_path), wrapped_in=wrapped)

    assert "disk of the telemetry store" in str(failure)
    assert "is full" in str(failure)
    assert before == {"1": rows_of(1)}
    assert after == {"1": rows_of(1), "1000": rows_of(1000)}


@pytest.fixture
def store(embedded_store: Store) -> Store:  # noqa: F811
    return embedded_store


def large(vehicle: str, rows: int) -> AcceptedBatch:
    table = SignalTable((Signal("Vehicle.Speed"), Signal("Vehicle.Power")))
    block = SampleBlock(
        table,
        np.arange(rows, dtype=np.int32) % 2,
        np.arange(rows),
        (np.arange(rows) % 100).astype(np.float64),
    )
    return AcceptedBatch("default", BatchName(vehicle, "00000000000000aa", 1), block, 10**18)


def test_the_largest_batch_is_one_part(store: Store):
    parts = store.statistics().parts
    store.append([large("LARGEST", BATCH_MAX_ROWS)])

    assert store.statistics().parts <= parts + 1
    assert store.count("default", "LARGEST") == BATCH_MAX_ROWS


def test_a_directory_has_one_owner(store: Store, tmp_path: Path):
    folder = tmp_path / "telemetry"
    folder.mkdir()
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import fcntl; f = open('{folder}/lock', 'w'); fcntl.flock(f, 2); print(flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Conflict, match="open in another process"):
            open_store((), tmp_path)
        other.communicate(b"\n", timeout=30)


def test_a_process_has_one_embedded_store(store: Store, tmp_path: Path):
    with pytest.raises(Conflict, match="another one open"):
        open_store(("chdb:",), tmp_path)


def test_a_directory_that_cannot_be_made_is_unavailable(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="cannot be opened"):
        open_store((), tmp_path / "file")
