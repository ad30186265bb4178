"""What everything that runs services promises of running instances: commands, counts, limits, walls."""

import asyncio

import pytest

from edge_agent.services.runtime import OUTPUT_MAX_BYTES
from fairway.clock import NS_PER_S, SystemClock
from fairway.errors import Unavailable
from fairway.services.model import MIB, Resources
from tests.runtime_kits import Kit, exit_of, runtimes, said, until_pids
from tests.waiting import until
from tests.yards import BUSYBOX, SLEEPS


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
