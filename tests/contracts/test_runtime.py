"""What everything that runs services promises: how instances start and end, and what outlives an agent.

test_runtime_inside.py has the rest: commands inside, what is counted, and what is kept apart.
"""

import asyncio
import dataclasses
import os
import signal
from dataclasses import fields

import pytest

from edge_agent.services.runtime import Exit, Guarantees
from fairway.clock import NS_PER_S, SystemClock
from fairway.errors import BadInput, Unavailable
from fairway.services.model import Data
from tests.runtime_kits import KITS, NOT_GIVEN, Kit, exit_of, runtimes, said
from tests.waiting import until
from tests.yards import IGNORES_TERM, SLEEPS


@pytest.mark.parametrize("kit", KITS, indirect=True)
async def test_it_gives_what_it_declares_and_no_more(kit: Kit, request: pytest.FixtureRequest):
    name = request.node.callspec.params["kit"]

    not_given = {one.name for one in fields(Guarantees) if not getattr(kit.runtime.gives, one.name)}
    assert not_given == NOT_GIVEN[name]


@runtimes()
async def test_an_instance_that_was_started_is_seen_running(kit: Kit):
    before_ns = SystemClock().now_ns()
    tyres = kit.script("tyres", SLEEPS)

    await kit.runtime.start(tyres)

    seen = (await kit.runtime.instances())[tyres.id]
    assert seen.exit is None
    assert seen.pid > 0
    assert before_ns - NS_PER_S <= seen.started_ns <= SystemClock().now_ns() + NS_PER_S


@runtimes()
async def test_what_is_stopped_may_say_good_bye_and_leaves_nothing(kit: Kit):
    tyres = kit.script("tyres", "trap 'echo bye; exit 0' TERM; echo up; sleep 1000 & wait")
    await kit.runtime.start(tyres)
    await until(lambda: said(kit, tyres) == ["stdout up"])

    await kit.runtime.stop(tyres.id, grace_s=30)

    assert await kit.runtime.instances() == {}
    # A signal that goes to all of its processes makes a shell say so.
    assert [line for line in said(kit, tyres) if "stdout" in line] == ["stdout up", "stdout bye"]


@runtimes()
async def test_it_is_stopped_with_the_signal_that_it_wants(kit: Kit):
    script = "trap 'echo int; exit 0' INT; echo up; sleep 1000 & wait"
    tyres = kit.script("tyres", script)
    await kit.runtime.start(tyres)
    await until(lambda: said(kit, tyres))

    await kit.runtime.stop(tyres.id, signal="INT", grace_s=30)

    assert said(kit, tyres)[-1] == "stdout int"


@runtimes()
async def test_what_does_not_want_to_end_is_ended(kit: Kit):
    tyres = kit.script("tyres", IGNORES_TERM)
    await kit.runtime.start(tyres)

    async with asyncio.timeout(30):
        await kit.runtime.stop(tyres.id, grace_s=0.1)

    assert await kit.runtime.instances() == {}


@runtimes()
async def test_stopping_what_is_not_there_is_fine(kit: Kit):
    await kit.runtime.stop("tyres.0123456789ab")


@runtimes()
@pytest.mark.parametrize("code", [0, 3, 255])
async def test_the_code_that_an_instance_ended_with_is_told(kit: Kit, code: int):
    tyres = kit.script("tyres", f"exit {code}")
    await kit.runtime.start(tyres)

    exit_ = await exit_of(kit.runtime, tyres.id)

    assert exit_ == Exit(code)
    assert exit_.is_success is (code == 0)


@runtimes()
async def test_the_signal_that_an_instance_ended_by_is_told(kit: Kit):
    tyres = kit.script("tyres", SLEEPS)
    await kit.runtime.start(tyres)

    os.kill((await kit.runtime.instances())[tyres.id].pid, signal.SIGKILL)

    exit_ = await exit_of(kit.runtime, tyres.id)
    assert exit_ == Exit(None, signal.SIGKILL)
    assert not exit_.is_success


@runtimes()
async def test_the_end_of_an_instance_is_noticed(kit: Kit):
    await kit.runtime.start(kit.script("tyres", SLEEPS))
    battery = kit.script("battery", "sleep 0.2; exit 1")
    await kit.runtime.start(battery)

    async with asyncio.timeout(30):
        await kit.runtime.until_changed()

    assert (await kit.runtime.instances())[battery.id].exit == Exit(1)


@runtimes()
async def test_an_end_before_anybody_waits_is_noticed_all_the_same(kit: Kit):
    tyres = kit.script("tyres", "exit 1")
    await kit.runtime.start(tyres)
    await exit_of(kit.runtime, tyres.id)

    async with asyncio.timeout(30):
        await kit.runtime.until_changed()


@runtimes()
async def test_what_has_ended_is_started_again_in_its_place(kit: Kit):
    tyres = kit.script("tyres", "echo run; exit 1")
    for _ in range(3):
        await kit.runtime.start(tyres)
        await exit_of(kit.runtime, tyres.id)

    assert list(await kit.runtime.instances()) == [tyres.id]
    assert said(kit, tyres) == ["stdout run"] * 3


@runtimes()
async def test_an_instance_that_runs_is_not_started_twice(kit: Kit):
    tyres = kit.script("tyres", SLEEPS)
    await kit.runtime.start(tyres)
    first = (await kit.runtime.instances())[tyres.id]

    await kit.runtime.start(tyres)

    assert (await kit.runtime.instances())[tyres.id] == first


@runtimes()
async def test_two_versions_of_a_service_run_beside_each_other(kit: Kit):
    old, new = kit.script("tyres", SLEEPS), kit.script("tyres", SLEEPS)
    await asyncio.gather(kit.runtime.start(old), kit.runtime.start(new))

    await kit.runtime.stop(old.id)

    instances = await kit.runtime.instances()
    assert list(instances) == [new.id]
    assert instances[new.id].exit is None


@runtimes()
async def test_both_streams_of_an_instance_are_in_its_log(kit: Kit):
    tyres = kit.script("tyres", "echo out; echo err >&2")
    await kit.runtime.start(tyres)
    await exit_of(kit.runtime, tyres.id)

    assert sorted(said(kit, tyres)) == ["stderr err", "stdout out"]


@runtimes()
async def test_an_instance_has_the_environment_of_its_manifest(kit: Kit):
    environment = (("PRESSURE", "2.4 bar"), ("EMPTY", ""))
    tyres = kit.script("tyres", 'echo "$PRESSURE,$EMPTY,${NOT-not}"', environment=environment)
    await kit.runtime.start(tyres)
    await exit_of(kit.runtime, tyres.id)

    assert said(kit, tyres) == ["stdout 2.4 bar,,not"]


@runtimes("own_files")
async def test_what_it_keeps_in_its_data_is_there_for_its_next_version(kit: Kit):
    old, new = (
        kit.script("tyres", script, data=(Data("/data"),))
        for script in ("echo kept > /data/x", "cat /data/x")
    )
    for tyres in (old, new):
        await kit.runtime.start(tyres)
        assert await exit_of(kit.runtime, tyres.id) == Exit(0)

    assert said(kit, new) == ["stdout kept"]


@runtimes()
async def test_a_program_that_is_not_there_never_will_run(kit: Kit):
    tyres = kit.script("tyres", "")
    nowhere = dataclasses.replace(
        tyres, service=dataclasses.replace(tyres.service, command=("/nowhere/to/be/found",))
    )

    with pytest.raises(BadInput):
        await kit.runtime.start(nowhere)

    assert await kit.runtime.instances() == {}


@runtimes()
async def test_an_instance_without_a_command_never_will_run(kit: Kit):
    tyres = kit.script("tyres", "")
    nothing = dataclasses.replace(
        tyres,
        root=None,
        service=dataclasses.replace(tyres.service, command=()),
    )

    with pytest.raises(BadInput):
        await kit.runtime.start(nothing)


@runtimes("survives_agent")
async def test_another_agent_finds_what_runs_and_how_it_ends(kit: Kit):
    tyres = kit.script("tyres", "trap 'echo more; exit 5' TERM; echo up; sleep 1000 & wait")
    await kit.runtime.start(tyres)
    first = (await kit.runtime.instances())[tyres.id]
    await until(lambda: said(kit, tyres))

    another = await kit.another()

    assert (await another.instances())[tyres.id] == first
    os.kill(first.pid, signal.SIGTERM)
    async with asyncio.timeout(30):
        await another.until_changed()
    assert (await another.instances())[tyres.id].exit == Exit(5)
    assert said(kit, tyres) == ["stdout up", "stdout more"]


@runtimes("survives_agent")
async def test_another_agent_stops_what_it_finds(kit: Kit):
    tyres = kit.script("tyres", SLEEPS)
    await kit.runtime.start(tyres)

    another = await kit.another()
    await another.stop(tyres.id)

    assert await another.instances() == {}
    with pytest.raises(Unavailable):
        await another.usage(tyres.id)


@runtimes("survives_agent")
async def test_another_agent_knows_how_those_ended_that_the_first_saw_end(kit: Kit):
    tyres = kit.script("tyres", "exit 7")
    await kit.runtime.start(tyres)
    await exit_of(kit.runtime, tyres.id)

    another = await kit.another()

    assert (await another.instances())[tyres.id].exit == Exit(7)
    await another.start(tyres)
    assert await exit_of(another, tyres.id) == Exit(7)
