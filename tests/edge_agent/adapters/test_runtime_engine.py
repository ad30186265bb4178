"""Services at podman: what an engine's containers are held by, whose they are, and engines that come and go."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.adapters.engine_http import EngineClient
from edge_agent.adapters.runtime_engine import EngineRuntime
from edge_agent.services.engine_spec import container_name
from edge_agent.services.runtime import Exit
from fairway.errors import BadInput, Unavailable
from fairway.services.foreign import Image
from fairway.services.foreign_ankaios import services_of
from fairway.services.model import MIB, Data, Resources
from tests.engines import BUSYBOX, DIGEST, EngineYard, Podman
from tests.shared_data import shared
from tests.waiting import until

ENGINE = Podman()
SLEEPS = "trap 'exit 0' TERM; while :; do sleep 0.05; done"


@pytest.fixture(scope="module", autouse=True)
def _engine() -> Iterator[None]:
    yield
    ENGINE.close()


@pytest.fixture
async def yard() -> AsyncIterator[EngineYard]:
    async with ENGINE.yard() as made:
        yield made


async def opened(yard: EngineYard) -> EngineRuntime:
    return await yard.opened_engine()


def said(yard: EngineYard, id_: str) -> list[str]:
    return [line.split(" ", 2)[2] for line in yard.logs.lines(id_, 1000)]


async def exit_of(runtime: EngineRuntime, id_: str) -> Exit:
    async def ended() -> Exit | None:
        return (await runtime.instances())[id_].exit

    found: Exit = await until(ended)
    return found


async def test_a_container_is_held_by_all_that_its_manifest_says(yard: EngineYard):
    runtime = await opened(yard)
    tyres = yard.script(
        "tyres",
        SLEEPS,
        resources=Resources(48 * MIB, 0.25, 17, 2 * MIB, 99),
        data=(Data("/var/lib/tyres"),),
        environment=(("A", "1"),),
    )
    await runtime.start(tyres)

    name = container_name(yard.name, tyres.id)
    seen = (await EngineClient(yard.socket).ask("GET", f"/containers/{name}/json")).document
    host = seen["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (48 * MIB, 48 * MIB, 17)
    assert host["CpuQuota"] / host["CpuPeriod"] == 0.25
    assert (host["ReadonlyRootfs"], host["NetworkMode"], host["Privileged"]) == (
        True,
        "none",
        False,
    )
    assert seen["Config"]["User"] == f"{tyres.uid}:{tyres.uid}"
    mounts = {one["Destination"]: one["Source"] for one in seen["Mounts"]}
    assert mounts["/run/ecu"] == str(tyres.sockets)
    assert mounts["/var/lib/tyres"] == str(tyres.data[0][0])
    inside = await runtime.execute(
        tyres.id, (BUSYBOX, "sh", "-c", "ulimit -n; ulimit -c; id -u; echo $A"), timeout_s=60
    )
    assert inside.output.split() == ["99", "0", str(tyres.uid), "1"]


async def test_an_agent_sees_its_own_containers_alone(yard: EngineYard):
    runtime = await opened(yard)
    tyres = yard.script("tyres", SLEEPS)
    await runtime.start(tyres)
    async with ENGINE.yard() as other:
        stranger = await opened(other)

        assert await stranger.instances() == {}
        await stranger.stop(tyres.id)
    assert (await runtime.instances())[tyres.id].exit is None


async def test_an_image_is_handed_over_once_and_collected_when_nobody_wants_it(yard: EngineYard):
    runtime = await opened(yard)
    await runtime.collect(frozenset())
    for name in ("tyres", "battery"):
        await runtime.start(yard.script(name, "exit 0"))
    assert yard.archives.written == 1

    await runtime.collect(frozenset({DIGEST}))
    await runtime.start(yard.script("lamp", "exit 0"))
    assert yard.archives.written == 1


async def test_an_image_that_is_not_here_never_runs(yard: EngineYard):
    runtime = await opened(yard)
    tyres = yard.script("tyres", SLEEPS)
    assert tyres.root is not None
    elsewhere = replace(tyres, root=replace(tyres.root, digest="sha256:" + "0" * 64))

    with pytest.raises(BadInput, match="is not here"):
        await runtime.start(elsewhere)

    assert await runtime.instances() == {}


async def test_a_start_that_is_given_up_leaves_no_container(yard: EngineYard):
    runtime = await opened(yard)
    tyres = yard.script("tyres", SLEEPS)
    for delay_s in (0.0, 0.05, 0.2):
        start = asyncio.ensure_future(runtime.start(tyres))
        await asyncio.sleep(delay_s)
        start.cancel()
        (answer,) = await asyncio.gather(start, return_exceptions=True)

        if isinstance(answer, asyncio.CancelledError):
            assert await runtime.instances() == {}
        else:  # it was quicker
            await runtime.stop(tyres.id, grace_s=0)


async def test_the_next_agent_reads_on_where_the_last_one_was(yard: EngineYard):
    runtime = await opened(yard)
    script = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.1; done"
    tyres = yard.script("tyres", script)
    await runtime.start(tyres)
    await until(lambda: len(said(yard, tyres.id)) > 2)

    await yard.agent()
    last = len(said(yard, tyres.id))
    await until(lambda: len(said(yard, tyres.id)) > last + 2)

    numbers = [int(line.split()[1]) for line in said(yard, tyres.id)]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_workload_of_ankaios_runs_here(yard: EngineYard):
    text = shared("edge/ankaios/mutating_hooks.manifest.yaml").read_text()
    service = services_of(text, find=lambda name: Image(DIGEST)).services[2]
    runtime = await opened(yard)
    normal = replace(yard.script("workload-normal", ""), service=service)
    await runtime.start(normal)

    await until(lambda: said(yard, normal.id) == ["workload_normal running"])
    assert (await runtime.instances())[normal.id].exit is None


async def test_what_ended_while_no_agent_ran_is_told_with_its_code_and_its_words(yard: EngineYard):
    runtime = await opened(yard)
    tyres = yard.script("tyres", "sleep 1; echo last words; exit 7")
    await runtime.start(tyres)
    await yard.close()
    client = EngineClient(yard.socket)
    name = container_name(yard.name, tyres.id)
    await client.ask("POST", f"/containers/{name}/wait")

    runtime = await opened(yard)
    assert await exit_of(runtime, tyres.id) == Exit(7)
    assert said(yard, tyres.id) == ["last words"]


async def test_an_end_while_the_engine_was_gone_is_noticed_when_it_is_back(yard: EngineYard):
    runtime = await opened(yard)
    tyres = yard.script("tyres", SLEEPS)
    await runtime.start(tyres)
    pid = (await runtime.instances())[tyres.id].pid
    assert ENGINE.service is not None
    ENGINE.service.kill()
    try:
        with pytest.raises(Unavailable, match="the container engine"):
            await runtime.instances()
        os.kill(pid, signal.SIGKILL)
    finally:
        ENGINE.service.start()

    async with asyncio.timeout(60):
        await runtime.until_changed()
    assert (await runtime.instances())[tyres.id].exit == Exit(None, signal.SIGKILL)


async def test_an_engine_that_is_not_there_is_unavailable(tmp_path: Path):
    yard = EngineYard(tmp_path, tmp_path / "none.sock", "car-1")

    with pytest.raises(Unavailable, match="the container engine is not at"):
        await yard.opened()


async def test_an_agent_whose_name_no_label_takes_is_refused(tmp_path: Path):
    with pytest.raises(BadInput, match="takes no such name"):
        await EngineYard(tmp_path, tmp_path / "none.sock", "a b").opened()
