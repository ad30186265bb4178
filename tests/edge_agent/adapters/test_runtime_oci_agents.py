"""Containers whose agent dies: what the next one finds, takes over, and takes back."""

import asyncio
import contextlib
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from edge_agent.adapters import exits, pidfds
from edge_agent.services.runtime import Exit
from fairway.services.model import MIB, Resources
from tests.containers import need, oci_yard
from tests.oci_left import NOTHING, exit_of, left
from tests.shared_data import ROOT
from tests.waiting import until
from tests.yards import SLEEPS, Yard, open_oci

# The first process of a machine: it waits for every orphan, as an agent that dies leaves them.
INIT = """
import os, subprocess, sys
from edge_agent.adapters.exits import _inherit
_inherit(is_on=True)
agent = subprocess.Popen(sys.argv[1:])
print(agent.pid, flush=True)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    need("runc")
    async with oci_yard(tmp_path) as made:
        yield made


@contextlib.contextmanager
def program(*argv: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen([sys.executable, *argv], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


async def test_containers_run_on_when_their_agent_is_killed_and_the_next_one_knows_how_they_end(
    yard: Yard,
):
    script = "trap 'echo told; exit 5' TERM; echo up; sleep 1000 & wait"
    agent = ("-m", "tests.oci_agent", str(yard.folder))
    with program("-c", INIT, sys.executable, *agent, "start", "tyres", script) as init:
        first = int(line(init))
        assert [line(init), line(init)] == ["opened", "started"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: not Path(f"/proc/{first}").exists())

        with program(*agent, "watch") as second:
            id_, exit_ = next(iter(json.loads(line(second)).items()))
            assert exit_ is None
            await until(partial(yard.logs().lines, id_, 1))
            pid = int((yard.folder / "oci" / "bundles" / id_ / "pid").read_text())
            assert (
                pidfds.parent_of(pid) == init.pid
            )  # so that nobody but the kernel can tell the second
            os.kill(pid, signal.SIGTERM)

            assert json.loads(line(second)) == {id_: [5, None, False]}
            lines = [said.split(" ", 1)[1] for said in yard.logs().lines(id_, 10)]
            assert lines == ["stdout up", "stdout told"]


async def test_what_ended_while_there_was_no_agent_is_known_to_have_ended(yard: Yard):
    first = await open_oci(yard, "runc")
    tyres = yard.script("tyres", SLEEPS)
    hog = yard.script(
        "hog", "sleep 0.5; x=x; while :; do x=$x$x; done", resources=Resources(16 * MIB)
    )
    for instance in (tyres, hog):
        await first.start(instance)
    seen = await first.instances()
    await first.close()
    os.kill(seen[tyres.id].pid, signal.SIGKILL)
    for one in seen.values():  # orphans of the container program are children of this process
        await asyncio.to_thread(os.waitpid, one.pid, 0)

    second = await open_oci(yard, "runc")

    found = await second.instances()
    assert found[tyres.id].exit == Exit(None)
    assert found[hog.id].exit == Exit(
        None, was_out_of_memory=True
    )  # its control group was still there
    assert left(yard) == NOTHING | {"bundles": [hog.id, tyres.id]}
    await second.start(tyres)
    assert (await second.instances())[tyres.id].exit is None
    await second.stop(tyres.id)
    await second.close()


async def test_a_start_that_was_cut_off_is_taken_back(yard: Yard):
    first = await open_oci(yard, "runc")
    tyres = yard.script("tyres", SLEEPS)
    await first.start(tyres)
    await first.close()
    (yard.folder / "oci" / "bundles" / tyres.id / "pid").unlink()

    second = await open_oci(yard, "runc")

    assert await second.instances() == {}
    assert left(yard) == NOTHING
    await second.close()


async def test_what_a_power_cut_ended_has_not_failed(yard: Yard):
    first = await open_oci(yard, "runc")
    tyres = yard.script("tyres", "exit 3")
    await first.start(tyres)
    await exit_of(first, tyres.id)
    await first.close()
    (yard.folder / "oci" / "bundles" / tyres.id / "boot").write_text("an earlier one")

    second = await open_oci(yard, "runc")

    assert await second.instances() == {}
    assert left(yard) == NOTHING
    await second.close()


async def test_a_start_that_still_goes_on_without_its_agent_is_waited_for(yard: Yard):
    first = await open_oci(yard, "runc")
    tyres = yard.script("tyres", SLEEPS)
    await first.start(tyres)
    await first.close()
    with (yard.folder / "oci" / "bundles" / tyres.id / "starting").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        opening = asyncio.create_task(open_oci(yard, "runc"))
        done, _ = await asyncio.wait([opening], timeout=0.3)
        assert not done

    second = await opening
    assert (await second.instances())[tyres.id].exit is None
    await second.stop(tyres.id)
    await second.close()


@pytest.mark.parametrize("killed", ["agent", "agent and program"])
@pytest.mark.parametrize("delay_ms", [0, 30])
async def test_a_kill_at_any_moment_of_a_start_leaves_a_service_or_nothing(
    yard: Yard, delay_ms: int, killed: str
):
    agent = ("-m", "tests.oci_agent", str(yard.folder), "start", "tyres", "echo up; " + SLEEPS)
    with program(*agent) as first:
        assert line(first) == "opened"
        await asyncio.sleep((delay_ms + random.random() * 35) / 1000)
        children = exits.children_of(first.pid) if killed == "agent and program" else set[int]()
        first.kill()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        first.wait()

    second = await open_oci(yard, "runc")

    instances = await second.instances()
    for id_, seen in instances.items():
        if seen.exit is None:
            await until(partial(second.logs.lines, id_, 1))  # it does what it is for
        await second.stop(id_)
    assert left(yard) == NOTHING
    await second.close()


async def test_a_container_that_cannot_be_cleared_costs_no_other_one_anything(yard: Yard):
    runtime = await open_oci(yard, "runc")
    good = yard.script("good", SLEEPS)
    await runtime.start(good)
    await runtime.close()
    stuck = yard.folder / "oci" / "bundles" / "bad.000000000000" / "root"
    stuck.mkdir(parents=True)
    (stuck / "left").touch()  # it is no mount point any more, and not empty

    other = await open_oci(yard, "runc")

    seen = await other.instances()
    assert list(seen) == [good.id]
    assert seen[good.id].exit is None
    await other.stop(good.id, grace_s=0)
    await other.close()


async def test_what_nobody_knows_is_cleared_away(yard: Yard):
    first = await open_oci(yard, "runc")
    tyres = yard.script("tyres", SLEEPS)
    await first.start(tyres)
    await first.close()
    bundle = yard.folder / "oci" / "bundles" / tyres.id
    pid = int((bundle / "pid").read_text())
    subprocess.run(["umount", str(bundle / "root")], check=True)
    (yard.folder / "elsewhere").mkdir()
    bundle.rename(yard.folder / "elsewhere" / tyres.id)

    second = await open_oci(yard, "runc")

    assert await second.instances() == {}
    assert left(yard) == NOTHING
    await until(lambda: not Path(f"/proc/{pid}/exe").exists())
    await second.close()


async def test_a_number_that_belongs_to_another_process_now_is_not_taken_for_the_container(
    yard: Yard,
):
    first = await open_oci(yard, "runc")
    tyres = yard.script("tyres", SLEEPS)
    await first.start(tyres)
    await first.close()
    (yard.folder / "oci" / "bundles" / tyres.id / "pid").write_text(str(os.getpid()))

    second = await open_oci(yard, "runc")

    assert (await second.instances())[tyres.id].exit == Exit(None)
    assert left(yard) == NOTHING | {"bundles": [tyres.id]}
    await second.close()
