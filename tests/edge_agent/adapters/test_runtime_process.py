"""Services as plain processes: what holds them, how they end, and that nothing of them is left."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from edge_agent.adapters import pidfds
from edge_agent.services.runtime import Exit
from fairway.errors import BadInput, Unavailable
from fairway.services.model import MIB, Resources, Runner
from tests.edge_agent.adapters.process_site import Site, site
from tests.shared_data import missing

GENEROUS_S = 60


@pytest.fixture(params=["groups", "no-groups"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    with site(with_groups=request.param == "groups") as found:
        if found.groups is not None and not found.groups.is_there:
            missing("control groups cannot be made here: run the tests as root")
        try:
            yield found
        finally:
            await clean(found)


@pytest.fixture
async def grouped() -> AsyncIterator[Site]:
    with site(with_groups=True) as found:
        if found.groups is None or not (found.groups.memory and found.groups.pids):
            missing("control groups cannot be made here: run the tests as root")
        try:
            yield found
        finally:
            await clean(found)


async def clean(place: Site) -> None:
    for runtime in place.runtimes:
        await runtime.close()
    last = place.runtime()
    for id_ in await last.instances():
        await last.stop(id_, signal="KILL", grace_s=0)
    await last.close()


async def until(done: Callable[[], Any]) -> Any:
    async with asyncio.timeout(GENEROUS_S):
        while not (said := done()):
            await asyncio.sleep(0.01)
    return said


async def ended(runtime: Any, id_: str) -> Exit:
    async with asyncio.timeout(GENEROUS_S):
        while True:
            seen = (await runtime.instances())[id_]
            if seen.exit is not None:
                return seen.exit
            await runtime.until_changed()


def said(place: Site, id_: str) -> dict[str, str]:
    """Return the lines `name value` that an instance printed."""
    return dict(line.split(" ", 1) for line in place.outputs.text(id_).splitlines() if " " in line)


def alive(pid: int) -> bool:
    return not pidfds.has_ended(pid)


async def test_a_process_has_its_own_user_no_rights_and_no_descriptors_of_the_agent(place: Site):
    if os.geteuid() != 0:
        missing("only root can give a process a user of its own")
    leaked = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leaked, True)  # noqa: FBT003 - its own interface
    instance = place.instance(
        'echo "uid $(id -u) $(id -g) $(id -G)"; ls /proc/$$/fd | sed "s/^/fd/;s/$/ open/";'
        ' grep -E "^(Cap|NoNewPrivs)" /proc/self/status | tr "\\t" " ";'
        ' echo "open $(ulimit -n)"; echo "core $(ulimit -c)"; echo "session $(cut -d" " -f6 /proc/$$/stat) $$"',
        resources=Resources(files_max=77),
    )
    runtime = place.runtime()
    try:
        await runtime.start(instance)
        assert await ended(runtime, instance.id) == Exit(0)
    finally:
        os.close(leaked)

    found = said(place, instance.id)
    assert found["uid"] == f"{place.uid} {place.uid} {place.uid}"
    assert {name for name in found if name.startswith("fd")} == {"fd0", "fd1", "fd2"}
    assert {found[f"Cap{kind}:"] for kind in ("Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (found["NoNewPrivs:"], found["open"], found["core"]) == ("1", "77", "0")
    leader, pid = found["session"].split()
    assert leader == pid


async def test_a_process_starts_with_the_environment_it_is_given_and_nothing_of_the_agent(
    place: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SECRET", "of the agent")
    instance = place.instance('env; echo "PLACE=$(pwd)"', data=True)
    runtime = place.runtime()
    await runtime.start(instance)
    await ended(runtime, instance.id)

    found = dict(line.split("=", 1) for line in place.outputs.text(instance.id).splitlines())
    assert "SECRET" not in found
    assert found["FAIRWAY_SOCKETS"] == str(instance.sockets)
    assert found["FAIRWAY_DATA"] == found["PLACE"] == found["HOME"] == str(instance.data[0][0])
    assert found["TMPDIR"].startswith(str(place.folder / "run" / instance.id))


async def test_what_it_does_not_give_is_declared(place: Site):
    gives = place.runtime().gives

    assert not gives.is_isolated
    absent = ("own_files", "own_network", "read_only_root", "system_calls", "images")
    assert not any(getattr(gives, name) for name in (*absent, "exit_codes_after"))
    assert gives.no_capabilities
    assert gives.survives_agent
    assert gives.memory is gives.cpu is (place.groups is not None)


@pytest.mark.parametrize(
    ("script", "exit_"), [("exit 0", Exit(0)), ("exit 7", Exit(7)), ("kill -9 $$", Exit(None, 9))]
)
async def test_how_a_process_ended_is_told(place: Site, script: str, exit_: Exit):
    instance = place.instance(script)
    runtime = place.runtime()
    await runtime.start(instance)

    assert await ended(runtime, instance.id) == exit_


async def test_a_program_that_is_not_there_is_refused_and_nothing_is_left(place: Site):
    instance = place.instance("", argv=("no-such-program",))
    runtime = place.runtime()

    with pytest.raises(BadInput, match="lamp could not be started, at its program: No such file"):
        await runtime.start(instance)

    assert await runtime.instances() == {}
    assert not (place.folder / "run" / instance.id).exists()
    assert place.groups is None or place.groups.names() == set()


async def test_an_image_a_root_user_and_no_command_are_refused(place: Site):
    runtime = place.runtime()
    instance = place.instance("true")

    with pytest.raises(BadInput, match="no command"):
        await runtime.start(replace(instance, service=replace(instance.service, command=())))
    image = replace(instance.service, runner=Runner.CONTAINER)
    with pytest.raises(BadInput, match="is an image"):
        await runtime.start(replace(instance, service=image))
    if os.geteuid() == 0:
        with pytest.raises(BadInput, match="would run as root"):
            await runtime.start(place.instance("true", uid=0))


async def test_an_asked_process_ends_by_itself_and_nothing_is_left(place: Site):
    instance = place.instance(
        'trap "echo bye now; exit 0" TERM; echo ready now; while :; do sleep 0.05; done'
    )
    runtime = place.runtime()
    await runtime.start(instance)
    await until(lambda: "ready" in said(place, instance.id))

    await runtime.stop(instance.id, grace_s=GENEROUS_S)

    assert said(place, instance.id)["bye"] == "now"
    assert await runtime.instances() == {}
    assert not (place.folder / "run" / instance.id).exists()


async def test_one_that_does_not_listen_is_killed_with_all_that_it_started(place: Site):
    instance = place.instance(
        'trap "" TERM; sh -c \'trap "" TERM; echo child $$; while :; do sleep 1; done\' &'
        " setsid sh -c 'trap \"\" TERM; echo stray $$; while :; do sleep 1; done' &"
        " wait; while :; do sleep 1; done"
    )
    runtime = place.runtime()
    await runtime.start(instance)
    await until(lambda: {"child", "stray"} <= set(said(place, instance.id)))
    main = (await runtime.instances())[instance.id].pid
    found = said(place, instance.id)

    await runtime.stop(instance.id, grace_s=0.1)

    for pid in (main, int(found["child"]), int(found["stray"])):
        await until(partial(pidfds.has_ended, pid))


async def test_when_the_first_process_has_ended_the_others_are_ended(place: Site):
    instance = place.instance("sleep 1000 & echo child $!; exit 4")
    runtime = place.runtime()
    await runtime.start(instance)

    assert await ended(runtime, instance.id) == Exit(4)
    child = int(said(place, instance.id)["child"])
    await until(lambda: not alive(child))


async def test_an_ended_instance_is_replaced_by_a_new_start(place: Site):
    instance = place.instance("echo run $$; exit 3")
    runtime = place.runtime()
    for _ in range(2):
        await runtime.start(instance)
        assert await ended(runtime, instance.id) == Exit(3)

    assert place.outputs.text(instance.id).count("run") == 2


async def test_to_stop_what_is_not_there_is_fine(place: Site):
    await place.runtime().stop("lamp.0123456789ab")


async def test_a_command_runs_as_the_service_does_and_its_words_come_back(place: Site):
    instance = place.instance("echo ready now; exec sleep 1000")
    runtime = place.runtime()
    await runtime.start(instance)

    done = await runtime.execute(
        instance.id, ("sh", "-c", "id -u; echo $FAIRWAY_SOCKETS >&2; exit 3"), timeout_s=GENEROUS_S
    )

    uid = place.uid if os.geteuid() == 0 else os.geteuid()
    assert (done.code, done.output.split()) == (3, [str(uid), str(instance.sockets)])


async def test_a_command_that_takes_too_long_is_ended(place: Site):
    instance = place.instance("exec sleep 1000")
    runtime = place.runtime()
    await runtime.start(instance)

    with pytest.raises(Unavailable, match="did not end within"):
        await runtime.execute(instance.id, ("sh", "-c", "sleep 999 & sleep 999"), timeout_s=1.5)

    assert (await runtime.instances())[instance.id].exit is None
    async with asyncio.timeout(GENEROUS_S):
        while (await runtime.usage(instance.id)).pids != 1:
            await asyncio.sleep(0.01)


async def test_a_flood_of_words_is_cut(place: Site):
    instance = place.instance("exec sleep 1000")
    runtime = place.runtime()
    await runtime.start(instance)

    done = await runtime.execute(
        instance.id, ("sh", "-c", "yes | head -c 1000000; exit 2"), timeout_s=GENEROUS_S
    )

    assert (done.code, done.output) == (2, "y\n" * 2048)


async def test_a_command_in_what_does_not_run_is_unavailable(place: Site):
    runtime = place.runtime()

    with pytest.raises(Unavailable, match="does not run"):
        await runtime.execute("lamp.0123456789ab", ("true",), timeout_s=1)
    with pytest.raises(Unavailable, match="does not run"):
        await runtime.usage("lamp.0123456789ab")


async def test_what_a_process_takes_is_counted(place: Site):
    instance = place.instance("while :; do :; done & exec sleep 1000")
    runtime = place.runtime()
    await runtime.start(instance)

    async def busy() -> bool:
        used = await runtime.usage(instance.id)
        return used.cpu_ns > 50_000_000 and used.memory_bytes > 0 and used.pids == 2

    async with asyncio.timeout(GENEROUS_S):
        while not await busy():
            await asyncio.sleep(0.05)


async def test_too_much_memory_is_told_from_a_crash(grouped: Site):
    hungry = grouped.instance(
        "exec tail /dev/zero", name="hungry", resources=Resources(memory_max_bytes=24 * MIB)
    )
    crashing = grouped.instance("kill -9 $$", name="crashing")
    runtime = grouped.runtime()
    await runtime.start(hungry)
    await runtime.start(crashing)

    assert await ended(runtime, hungry.id) == Exit(None, 9, was_out_of_memory=True)
    assert await ended(runtime, crashing.id) == Exit(None, 9)


async def test_without_groups_a_process_gets_no_more_data_than_its_limit():
    with site(with_groups=False) as place:
        runtime = place.runtime()
        instance = place.instance(
            "exec tail /dev/zero", resources=Resources(memory_max_bytes=24 * MIB)
        )
        try:
            await runtime.start(instance)
            exit_ = await ended(runtime, instance.id)
        finally:
            await clean(place)

    assert exit_.code == 1
    assert "memory exhausted" in place.outputs.text(instance.id) or not exit_.was_out_of_memory


async def test_a_process_starts_no_more_processes_than_its_limit(place: Site):
    if not place.runtime().gives.pids:
        missing("processes are counted for root's services only")
    instance = place.instance(
        "i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i+1)); done; echo all started",
        resources=Resources(pids_max=12),
    )
    runtime = place.runtime()
    await runtime.start(instance)
    exit_ = await ended(runtime, instance.id)

    assert exit_.code != 0
    assert "all" not in said(place, instance.id)


async def test_a_start_that_is_given_up_leaves_nothing(place: Site):
    instance = place.instance("exec sleep 1000")
    runtime = place.runtime()
    start = asyncio.ensure_future(runtime.start(instance))
    await until((place.folder / "run" / instance.id / "record.json").exists)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start

    assert await runtime.instances() == {}
    assert not (place.folder / "run" / instance.id).exists()
