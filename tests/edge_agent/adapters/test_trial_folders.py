"""Where a trial of services lies: beside other temporary files, unless its sockets had too long paths there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.config_services import RUN_DIR_MAX_BYTES

PROGRAM = """
from edge_agent.adapters.trial_folders import SOCKETS, trial_folder
with trial_folder() as folder:
    print(folder / SOCKETS)
"""


@pytest.mark.parametrize("deep", [0, 60])
def test_the_path_of_sockets_is_never_too_long(tmp_path: Path, deep: int):
    place = tmp_path / ("x" * deep) if deep else Path("/tmp")
    place.mkdir(exist_ok=True)

    said = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"TMPDIR": str(place)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()

    assert len(said.encode()) <= RUN_DIR_MAX_BYTES
    assert said.startswith("/tmp/fairway-try-")
    assert not Path(said).parent.exists()
