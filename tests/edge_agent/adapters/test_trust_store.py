"""Power cuts while trust is kept: it is the old or the new, wholly, and what was kept stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.adapters.trust_store import SqliteTrust
from ota.trust.kept import Kept
from tests.edge_agent.adapters.trust_child import number_of
from tests.power_cut import ROOT, compiler, cuts

CHILD = str(Path(__file__).with_name("trust_child.py"))
KEPT = 12


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="needs a C compiler")
def test_a_power_cut_at_any_sync_leaves_the_old_trust_or_the_new(tmp_path: Path):
    watched = tmp_path / "vehicle"
    watched.mkdir()
    command = [sys.executable, CHILD, str(watched / "trust"), str(KEPT)]
    highest, count = 0, 0
    for cut in cuts(command, watched, tmp_path / "work"):
        store = SqliteTrust(cut.folder / "trust", Kept())
        number = number_of(store.read())
        store.close()
        count += 1
        assert number >= highest - (cut.how != "dropped"), cut  # what was synced never falls back
        assert number <= highest + 1, cut
        highest = max(highest, number)

    assert highest == KEPT
    assert count >= 4 * KEPT
    print(f"{count} power cuts at {count // 4} syncs")


@pytest.mark.slow
def test_kill_9_at_any_time_loses_nothing_that_was_kept(tmp_path: Path):
    path, told, kills = tmp_path / "trust", 0, 0
    for after in range(1, 13):
        child = subprocess.Popen(
            [sys.executable, CHILD, str(path), "1000"],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(ROOT)},
        )
        assert child.stdout is not None
        for _ in range(after):
            told = int(child.stdout.readline())
        child.kill()
        left = child.stdout.read().split()
        told = int(left[-1]) if left else told
        child.stdout.close()
        child.wait()
        kills += 1

        store = SqliteTrust(path, Kept())
        number = number_of(store.read())
        store.close()
        assert number in {told, told + 1}
    assert kills == 12
