"""An agent that is killed (SIGKILL) after each thing it does, on real files: it ends wholly old or new."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_updates.killed_agents import WAYS

ROOT = Path(__file__).parents[3]
# A life costs some 50 ms; the model in memory (test_power_cuts.py) leaves out no moment.
STRIDE = 6


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_an_agent_killed_anywhere_leaves_the_old_or_the_new(way: str, tmp_path: Path):
    command = [sys.executable, "-m", "tests.e2e.test_updates.killed_agents"]
    done = subprocess.run(
        [*command, str(tmp_path), way, str(STRIDE)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    print(f"{way}: killed {said['kills']} times")
    assert said["ends"] == (["committed"] if way == "well" else ["rolled_back"])
    assert said["kills"] >= 7
