"""The limit of open files, in a program of its own: it cannot be taken back in this one."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, logging, resource, sys
from edge_agent.adapters.open_files import raise_limit
from fairway import log
log.set_up(level="info", as_json=True)
soft, hard = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(json.dumps([raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""


@pytest.mark.parametrize(
    ("soft", "is_told"), [(256, True), (2048, False)], ids=["low", "already there"]
)
def test_the_soft_limit_becomes_the_hard_one_and_that_is_said(soft: int, is_told):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(soft), "2048"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert json.loads(done.stdout) == [2048, 2048, 2048]
    events = [json.loads(line) for line in done.stderr.splitlines()]
    told = [(one["event"], one["before"], one["now"]) for one in events]
    assert told == ([("open_files_raised", 256, 2048)] if is_told else [])
