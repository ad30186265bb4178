"""Plain processes outlive the agent: the next one finds them, sees how they end, and clears away the rest."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.adapters import pidfds
from edge_agent.adapters.process_groups import ProcessGroups
from edge_agent.services.runtime import Exit
from fairway.services.model import Resources
from tests.edge_agent.adapters.process_site import Site, site
from tests.edge_agent.adapters.test_runtime_process import (
    GENEROUS_S,
    alive,
    clean,
    ended,
    said,
    until,
)
from tests.shared_data import ROOT, missing

_AGENT = """
import asyncio, sys
from pathlib import Path
from edge_agent.adapters.process_groups import ProcessGroups
from tests.edge_agent.adapters.process_site import Site
async def main():
    folder, parent, script = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    place = Site(folder, ProcessGroups(parent) if parent else None)
    await place.runtime().start(place.instance(script, uid=int(sys.argv[4])))
    print("started", flush=True)
    await asyncio.sleep(1000)
asyncio.run(main())
"""


@pytest.fixture(params=["groups", "no-groups"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    with site(with_groups=request.param == "groups") as found:
        if found.groups is not None and not found.groups.is_there:
            missing("control groups cannot be made here: run the tests as root")
        try:
            yield found
        finally:
            await clean(found)


def agent_that_dies(place: Site, script: str) -> None:
    """Start an instance from an agent that is then killed as the kernel would."""
    instance = place.instance(script)
    parent = "" if place.groups is None else place.groups.parent
    agent = subprocess.Popen(
        [sys.executable, "-c", _AGENT, str(place.folder), parent, script, str(instance.uid)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert agent.stdout is not None
    with agent.stdout:
        try:
            assert agent.stdout.readline() == b"started\n"
        finally:
            agent.kill()
            agent.wait(GENEROUS_S)


async def test_the_next_agent_finds_a_running_process_and_sees_how_it_ends(place: Site):
    agent_that_dies(place, 'trap "exit 5" TERM; echo pid $$; while :; do sleep 0.05; done')
    id_ = place.instance("").id
    await until(lambda: "pid" in said(place, id_))
    pid = int(said(place, id_)["pid"])

    runtime = place.runtime()
    seen = (await runtime.instances())[id_]
    assert (seen.pid, seen.exit) == (pid, None)
    assert seen.started_ns > 0
    assert place.outputs.adopted == [id_]
    assert (await runtime.usage(id_)).pids >= 1
    assert (await runtime.execute(id_, ("sh", "-c", "exit 6"), timeout_s=GENEROUS_S)).code == 6

    os.kill(pid, signal.SIGTERM)
    expected = Exit(5) if pidfds.tells_exits() else Exit(None)
    assert await ended(runtime, id_) == expected


async def test_the_next_agent_stops_what_it_did_not_start(place: Site):
    agent_that_dies(place, "sleep 1000 & echo child $!; wait")
    id_ = place.instance("").id
    await until(lambda: "child" in said(place, id_))
    runtime = place.runtime()

    await runtime.stop(id_, grace_s=GENEROUS_S)

    assert await runtime.instances() == {}
    await until(lambda: not alive(int(said(place, id_)["child"])))


async def test_of_what_ended_unseen_nobody_says_how(place: Site):
    agent_that_dies(place, "echo pid $$; sleep 1000")
    id_ = place.instance("").id
    await until(lambda: "pid" in said(place, id_))
    pid = int(said(place, id_)["pid"])
    os.kill(pid, signal.SIGKILL)
    await until(lambda: pidfds.start_ticks(pid) == 0)

    runtime = place.runtime()
    assert (await runtime.instances())[id_].exit == Exit(None)
    async with asyncio.timeout(GENEROUS_S):
        await runtime.until_changed()


async def test_how_it_ended_is_still_known_to_the_agent_after_next(place: Site):
    instance = place.instance("exit 9")
    first = place.runtime()
    await first.start(instance)
    await ended(first, instance.id)
    await first.close()

    assert (await place.runtime().instances())[instance.id].exit == Exit(9)


@pytest.mark.parametrize("changed", [{"ticks": 1}, {"boot": "another"}])
async def test_a_process_that_only_has_the_number_is_left_alone(
    place: Site, changed: dict[str, object]
):
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        folder = place.folder / "run" / place.instance("").id
        folder.mkdir(parents=True)
        record = {
            "format": 1,
            "id": folder.name,
            "pid": stranger.pid,
            "ticks": pidfds.start_ticks(stranger.pid),
            "boot": pidfds.boot(),
            "started_ns": 1,
            "launch": {"argv": ["x"], "environment": [], "folder": "/", "uid": None, "limits": []},
            "exit": None,
        }
        (folder / "record.json").write_text(json.dumps({**record, **changed}))
        runtime = place.runtime()

        assert (await runtime.instances())[folder.name].exit == Exit(None)
        await runtime.stop(folder.name, grace_s=0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(GENEROUS_S)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1, "id": 1}', b"\xff\x00" * 9]
)
async def test_a_record_that_is_none_is_forgotten(place: Site, text: bytes):
    folder: Path = place.folder / "run" / "lamp.0123456789ab"
    folder.mkdir(parents=True)
    (folder / "record.json").write_bytes(text)

    assert await place.runtime().instances() == {}
    assert not folder.exists()


async def test_a_group_that_no_record_names_is_emptied():
    with site(with_groups=True) as place:
        groups = place.groups
        if groups is None or not groups.is_there:
            missing("control groups cannot be made here: run the tests as root")
        assert isinstance(groups, ProcessGroups)
        lost = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        for file in groups.make("lost.0123456789ab", Resources()):
            file.write_text(str(lost.pid))

        runtime = place.runtime()
        assert await runtime.instances() == {}
        assert lost.wait(GENEROUS_S) == -signal.SIGKILL
        await clean(place)
        await until(lambda: groups.remove("lost.0123456789ab"))
