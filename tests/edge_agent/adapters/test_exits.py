"""How processes end that somebody else started."""

import asyncio
import os
import subprocess
import sys

import pytest

from edge_agent.adapters import exits, pidfds
from edge_agent.adapters.exits import Watched
from edge_agent.services.runtime import Exit
from fairway.errors import Unavailable
from tests.waiting import until

# A parent that tells its child's number, and waits for it when it is told to itself.
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-S", "-c", sys.argv[1]], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.readline()
child.stdin.close()
if sys.argv[2] == "waits":
    child.wait()
print("done", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize(
    ("code", "exit_"),
    [("", Exit(0)), ("raise SystemExit(200)", Exit(200)), ("import os; os.abort()", Exit(None, 6))],
)
async def test_how_a_child_ended_is_told(code: str, exit_: Exit):
    child = subprocess.Popen([sys.executable, "-S", "-c", code], stderr=subprocess.DEVNULL)
    told: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    Watched(child.pid, told.set_result)

    assert await asyncio.wait_for(told, 60) == exit_
    child.wait()


@pytest.mark.parametrize("parent_does", ["waits", "does not wait"])
async def test_how_the_child_of_another_ended_is_told(parent_does: str):
    code = "import sys; sys.stdin.read(); sys.exit(42)"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", PARENT, code, parent_does],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        told: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        Watched(int(parent.stdout.readline()), told.set_result)
        parent.stdin.write("end it\n")
        parent.stdin.flush()
        if parent_does == "waits":
            parent.stdout.readline()  # so that it was waited for before we ask

        exit_ = await asyncio.wait_for(told, 60)

        parent.kill()
    if parent_does == "waits" and exit_ == Exit(None):
        pytest.skip("kernels before 6.15 do not tell how a process ended that was waited for")
    assert exit_ == Exit(42)


async def test_what_is_forgotten_is_not_told_about():
    child = subprocess.Popen(["sleep", "1000"])
    told: list[Exit] = []
    watched = Watched(child.pid, told.append)

    watched.forget()
    watched.signal("KILL")  # of no effect any more
    child.kill()
    child.wait()
    await asyncio.sleep(0)

    assert told == []


async def test_a_signal_ends_what_is_watched():
    child = subprocess.Popen(["sleep", "1000"])
    told: list[Exit] = []
    watched = Watched(child.pid, told.append)

    watched.signal("TERM")

    await until(lambda: told)
    assert told == [Exit(None, 15)]
    child.wait()


async def test_there_must_be_a_process_to_be_watched():
    child = subprocess.Popen(["true"])
    child.wait()

    with pytest.raises(Unavailable, match=f"no process {child.pid}"):
        Watched(child.pid, print)


def test_the_children_of_a_process_are_told_and_its_parent():
    child = subprocess.Popen(["sleep", "1000"])
    try:
        assert child.pid in exits.children_of(os.getpid())
        assert pidfds.parent_of(child.pid) == os.getpid()
    finally:
        child.kill()
        child.wait()
    assert pidfds.parent_of(child.pid) == 0


def test_children_that_somebody_here_waits_for_are_left_to_him():
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    exits.reap_strays()

    assert child.wait() == 0
    assert child.returncode == 0
