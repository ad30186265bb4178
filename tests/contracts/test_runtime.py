"""What everything that runs services promises: container programs, container engines, plain processes.

A runtime that does not give everything says so in NOT_GIVEN: tests of what it lacks leave it out, and one test
holds it to what it declares.
"""

import asyncio
import contextlib
import dataclasses
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import pytest

from edge_agent.services.instance import Instance
from edge_agent.services.ports import Logs
from edge_agent.services.runtime import OUTPUT_MAX_BYTES, Exit, Guarantees, Inside, Runtime
from fairway.clock import NS_PER_S, SystemClock
from fairway.errors import BadInput, Unavailable
from fairway.services.model import MIB, Data, Resources
from tests.containers import need, oci_yard
from tests.engines import Podman
from tests.processes import process_yard
from tests.runtime_yard import RuntimeYard
from tests.waiting import until
from tests.yards import BUSYBOX, IGNORES_TERM, SLEEPS, open_oci


class Both(Runtime, Inside, Protocol):
    """A runtime that looks inside, too."""


@dataclass
class Kit:
    """A runtime, and what a test needs beside it."""

    runtime: Both
    script: Callable[
        ..., Instance
    ]  # name, script, fields of its Service > an instance that runs it
    another: Callable[[], Awaitable[Both]]  # an agent that starts when the first one is gone
    logs: Callable[[], Logs]  # of the newest agent


# Fields of Guarantees that a runtime does not give.
NOT_GIVEN: dict[str, frozenset[str]] = {
    "runc": frozenset({"exit_codes_after"}),
    "crun": frozenset({"exit_codes_after"}),
    "podman": frozenset(),
    "process": frozenset(
        {
            "read_only_root",
            "system_calls",
            "own_network",
            "own_files",
            "images",
            "exit_codes_after",
        }
    ),
}


@contextlib.asynccontextmanager
async def _oci(program: str, folder: Path) -> AsyncIterator[Kit]:
    need(program)
    async with oci_yard(folder) as yard:
        agents = [(await open_oci(yard, program))]

        async def another() -> Both:
            await agents[-1].close()
            agents.append(await open_oci(yard, program))
            return agents[-1]

        yield Kit(agents[0], yard.script, another, lambda: agents[-1].logs)
        for id_ in await agents[-1].instances():
            await agents[-1].stop(id_, grace_s=0)
        await agents[-1].close()


@contextlib.asynccontextmanager
async def _other(opened: AbstractAsyncContextManager[RuntimeYard]) -> AsyncIterator[Kit]:
    async with opened as yard:
        runtime = await yard.agent()
        yield Kit(runtime, yard.script, yard.agent, lambda: yard.logs)


PODMAN = Podman()


@pytest.fixture(scope="module", autouse=True)
def _engines() -> Iterator[None]:
    yield
    PODMAN.close()


KITS: dict[str, Callable[[Path], AbstractAsyncContextManager[Kit]]] = {
    "runc": lambda folder: _oci("runc", folder),
    "crun": lambda folder: _oci("crun", folder),
    "podman": lambda folder: _other(PODMAN.yard()),
    "process": lambda folder: _other(process_yard()),
}


@pytest.fixture
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    async with KITS[request.param](tmp_path) as made:
        yield made


def runtimes(*needs: str) -> pytest.MarkDecorator:
    """Let a test run with all runtimes that give what it needs."""
    names = [name for name in KITS if not NOT_GIVEN[name] & set(needs)]
    assert names, f"no runtime gives {needs}"
    return pytest.mark.parametrize("kit", names, indirect=True)


async def exit_of(runtime: Runtime, id_: str) -> Exit:
    """Wait until an instance has ended, and return how."""

    async def ended() -> Exit | None:
        seen = (await runtime.instances()).get(id_)
        return seen.exit if seen else None

    return await until(ended)


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


@runtimes()
async def test_a_command_runs_inside(kit: Kit):
    tyres = kit.script("tyres", SLEEPS)
    await kit.runtime.start(tyres)

    done = await kit.runtime.execute(
        tyres.id, (BUSYBOX, "sh", "-c", "echo out; echo err >&2; exit 3"), timeout_s=30
    )

    assert done.code == 3
    assert sorted(done.output.split()) == ["err", "out"]


@runtimes()
async def test_a_command_that_takes_too_long_is_ended(kit: Kit):
    tyres = kit.script("tyres", SLEEPS)
    await kit.runtime.start(tyres)
    before = await until_pids(kit, tyres, lambda pids: pids >= 1)

    with pytest.raises(Unavailable):
        await kit.runtime.execute(tyres.id, (BUSYBOX, "sleep", "1000"), timeout_s=0.5)

    await until_pids(kit, tyres, lambda pids: pids <= before + 1)
    assert (await kit.runtime.instances())[tyres.id].exit is None


@runtimes()
async def test_a_command_that_prints_too_much_is_cut(kit: Kit):
    tyres = kit.script("tyres", SLEEPS)
    await kit.runtime.start(tyres)

    done = await kit.runtime.execute(
        tyres.id, (BUSYBOX, "sh", "-c", "yes | head -c 1000000"), timeout_s=30
    )

    assert done.code == 0
    assert 0 < len(done.output) <= OUTPUT_MAX_BYTES


@runtimes()
async def test_a_command_that_is_not_there_fails_as_in_a_shell(kit: Kit):
    tyres = kit.script("tyres", SLEEPS)
    await kit.runtime.start(tyres)

    done = await kit.runtime.execute(tyres.id, ("/nowhere/to/be/found",), timeout_s=30)

    assert done.code == 127


@runtimes()
async def test_no_command_runs_in_what_does_not_run(kit: Kit):
    tyres = kit.script("tyres", "exit 0")
    await kit.runtime.start(tyres)
    await exit_of(kit.runtime, tyres.id)

    for id_ in (tyres.id, "battery.0123456789ab"):
        with pytest.raises(Unavailable):
            await kit.runtime.execute(id_, (BUSYBOX, "true"), timeout_s=30)
        with pytest.raises(Unavailable):
            await kit.runtime.usage(id_)


@runtimes("memory", "cpu", "pids")
async def test_what_an_instance_takes_is_counted(kit: Kit):
    tyres = kit.script("tyres", "while :; do :; done")
    await kit.runtime.start(tyres)

    async def busy() -> bool:
        return (await kit.runtime.usage(tyres.id)).cpu_ns > NS_PER_S // 50

    await until(busy)
    usage = await kit.runtime.usage(tyres.id)
    assert 0 < usage.memory_bytes < 16 * MIB
    assert usage.pids == 1
    assert usage.out_of_memory_kills == 0


@runtimes("memory")
async def test_running_out_of_memory_is_told_from_a_crash(kit: Kit):
    hog = kit.script(
        "hog", "x=x; while :; do x=$x$x; done", resources=Resources(memory_max_bytes=16 * MIB)
    )
    await kit.runtime.start(hog)

    exit_ = await exit_of(kit.runtime, hog.id)

    assert exit_.was_out_of_memory
    assert not exit_.is_success


@runtimes("cpu")
async def test_an_instance_gets_its_share_of_the_processor_and_no_more(kit: Kit):
    hog = kit.script("hog", "while :; do :; done", resources=Resources(cpu_max=0.2))
    await kit.runtime.start(hog)
    clock = SystemClock()
    first, started_ns = await kit.runtime.usage(hog.id), clock.monotonic_ns()

    await asyncio.sleep(1.5)
    usage = await kit.runtime.usage(hog.id)
    share = (usage.cpu_ns - first.cpu_ns) / (clock.monotonic_ns() - started_ns)

    assert 0 < share < 0.3  # a busy machine may give it less


@runtimes("pids")
async def test_an_instance_cannot_have_more_processes_than_it_may(kit: Kit):
    script = "for n in $(seq 40); do sleep 100 & done; echo never"
    bomb = kit.script("bomb", script, resources=Resources(pids_max=8))
    await kit.runtime.start(bomb)

    await exit_of(kit.runtime, bomb.id)
    assert any("fork" in line for line in said(kit, bomb))
    assert "stdout never" not in said(kit, bomb)


@runtimes("read_only_root")
async def test_an_instance_cannot_change_its_image(kit: Kit):
    tyres = kit.script("tyres", "echo x > /x || echo x > /bin/x || exit 9")
    await kit.runtime.start(tyres)

    assert (await exit_of(kit.runtime, tyres.id)).code == 9


@runtimes("no_capabilities", "system_calls")
async def test_an_instance_has_no_rights(kit: Kit):
    tyres = kit.script(
        "tyres", "grep -E '^(Cap(Eff|Prm|Bnd)|NoNewPrivs|Seccomp):' /proc/self/status"
    )
    await kit.runtime.start(tyres)
    await exit_of(kit.runtime, tyres.id)

    found = dict(line.split(" ", 1)[1].split(":\t") for line in said(kit, tyres))
    none = "0000000000000000"
    assert found == {
        "CapEff": none,
        "CapPrm": none,
        "CapBnd": none,
        "NoNewPrivs": "1",
        "Seccomp": "2",
    }


@runtimes("own_network")
async def test_an_instance_has_a_loopback_and_nothing_else(kit: Kit):
    tyres = kit.script("tyres", "ls /sys/class/net; ip address show lo | grep -c 'inet 127.0.0.1'")
    await kit.runtime.start(tyres)
    await exit_of(kit.runtime, tyres.id)

    assert said(kit, tyres) == ["stdout lo", "stdout 1"]


@runtimes("own_files")
async def test_an_instance_sees_its_own_sockets_and_no_others(kit: Kit):
    script = "touch /run/ecu/$0 && ls /run/ecu"
    for name in ("tyres", "battery"):
        instance = kit.script(name, script.replace("$0", name))
        await kit.runtime.start(instance)
        await exit_of(kit.runtime, instance.id)

        assert said(kit, instance) == [f"stdout {name}"]
        assert (instance.sockets / name).exists()


def said(kit: Kit, instance: Instance) -> list[str]:
    """Return what an instance said, without the times."""
    return [line.split(" ", 1)[1] for line in kit.logs().lines(instance.id, 1000)]


async def until_pids(kit: Kit, instance: Instance, is_so: Callable[[int], bool]) -> int:
    """Wait for a number of processes in an instance, where they are counted."""
    if not kit.runtime.gives.pids:
        return 0

    async def so() -> int:
        pids = (await kit.runtime.usage(instance.id)).pids
        return pids if is_so(pids) else 0

    return await until(so)
