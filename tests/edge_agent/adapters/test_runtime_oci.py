"""Containers through starts that fail, stops, commands, and agents beside each other."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from edge_agent.adapters import cgroups, exits, oci_tool
from edge_agent.adapters.cgroups import Groups, Mode
from edge_agent.adapters.runtime_oci import OciRuntime
from edge_agent.services.runtime import Exit
from fairway.errors import BadInput, Unavailable
from fairway.services.model import Data
from tests.containers import need, oci_yard
from tests.oci_left import NOTHING, exit_of, left
from tests.waiting import until
from tests.yards import BUSYBOX, SLEEPS, Yard, open_oci


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    need("runc")
    async with oci_yard(tmp_path) as made:
        yield made


@pytest.fixture
async def runtime(yard: Yard) -> AsyncIterator[OciRuntime]:
    made = await open_oci(yard, "runc")
    yield made
    for id_ in await made.instances():
        await made.stop(id_, grace_s=0)
    await made.close()


async def test_what_was_stopped_leaves_no_trace(yard: Yard, runtime: OciRuntime):
    tyres = yard.script("tyres", SLEEPS, data=(Data("/data"),))
    await runtime.start(tyres)
    assert left(yard)["mounts"] == [str(yard.folder / "oci" / "bundles" / tyres.id / "root")]

    await runtime.stop(tyres.id)

    assert left(yard) == NOTHING
    assert tyres.data[0][0].is_dir()  # what it kept, it keeps


async def test_what_has_ended_holds_nothing_but_its_folder(yard: Yard, runtime: OciRuntime):
    tyres = yard.script("tyres", "exit 1")
    await runtime.start(tyres)
    await exit_of(runtime, tyres.id)

    await until(lambda: left(yard) == NOTHING | {"bundles": [tyres.id]})


@pytest.mark.parametrize(
    "how", ["no program", "no sockets", "a layer is gone", "data is a file", "cancelled"]
)
async def test_a_start_that_fails_leaves_no_trace(yard: Yard, runtime: OciRuntime, how: str):
    tyres = yard.script("tyres", SLEEPS, data=(Data("/data"),))
    error: type[BaseException] = Unavailable
    match how:
        case "no program":
            error = BadInput
            tyres = replace(tyres, service=replace(tyres.service, command=("/nowhere",)))
        case "no sockets":
            tyres = replace(tyres, sockets=yard.folder / "nowhere")
        case "a layer is gone":
            assert tyres.root is not None
            tyres = replace(tyres, root=replace(tyres.root, layers=(yard.folder / "nowhere",)))
        case "data is a file":
            tyres.data[0][0].parent.mkdir(parents=True)
            tyres.data[0][0].touch()
        case _:
            error = TimeoutError

    with pytest.raises(error):
        async with asyncio.timeout(0.02 if how == "cancelled" else None):
            await runtime.start(tyres)

    assert left(yard) == NOTHING
    assert await runtime.instances() == {}


async def test_a_start_that_failed_says_why(yard: Yard, runtime: OciRuntime):
    tyres = yard.instance("tyres", "/nowhere", "--fast")

    with pytest.raises(BadInput, match=rf'{tyres.id} cannot be started: .*"/nowhere"'):
        await runtime.start(tyres)


async def test_a_container_has_no_file_of_the_agent_open(yard: Yard, runtime: OciRuntime):
    tyres = yard.script("tyres", "echo up; " + SLEEPS)
    await runtime.start(tyres)
    await until(lambda: runtime.logs.lines(tyres.id, 1))
    pid = (await runtime.instances())[tyres.id].pid

    files = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}

    logs = yard.folder / "logs" / tyres.id
    assert files == {"/dev/null", str(logs / "stdout"), str(logs / "stderr")}


async def test_two_agents_on_one_machine_leave_each_other_alone(
    yard: Yard, runtime: OciRuntime, tmp_path: Path
):
    mine = yard.script("tyres", SLEEPS)
    await runtime.start(mine)
    (tmp_path / "other").mkdir()
    async with oci_yard(tmp_path / "other") as theirs:
        other = await open_oci(theirs, "runc")
        same = theirs.script("tyres", SLEEPS)
        assert same.id == mine.id
        await other.start(same)

        await other.stop(same.id, grace_s=0)

        assert await other.instances() == {}
        await other.close()
    assert (await runtime.instances())[mine.id].exit is None


async def test_commands_that_are_ended_do_not_keep_a_container_from_ending(
    yard: Yard, runtime: OciRuntime
):
    tyres = yard.script("tyres", SLEEPS)
    await runtime.start(tyres)
    commands = [
        runtime.execute(tyres.id, (BUSYBOX, "sleep", "1000"), timeout_s=0.2) for _ in range(4)
    ]

    done = await asyncio.gather(*commands, return_exceptions=True)
    await runtime.stop(tyres.id)

    assert all(isinstance(one, Unavailable) for one in done)
    assert left(yard) == NOTHING


async def test_a_command_runs_with_no_more_rights_than_its_service(yard: Yard, runtime: OciRuntime):
    tyres = yard.script("tyres", SLEEPS)
    await runtime.start(tyres)
    script = "grep -E '^(Uid|CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status; unshare -U true"

    done = await runtime.execute(tyres.id, (BUSYBOX, "sh", "-c", script), timeout_s=30)

    said = dict(one.split(":", 1) for one in done.output.splitlines() if "\t" in one)
    assert said["Uid"].split() == [str(tyres.uid)] * 4
    assert {said["CapBnd"].strip(), said["CapEff"].strip()} == {"0" * 16}
    assert (said["NoNewPrivs"].strip(), said["Seccomp"].strip()) == ("1", "2")
    assert done.code == 1
    assert "not permitted" in done.output


async def test_what_has_no_handler_for_a_signal_ends_at_once_as_it_would_elsewhere(
    yard: Yard, runtime: OciRuntime
):
    tyres = yard.instance("tyres", BUSYBOX, "sleep", "1000")
    await runtime.start(tyres)

    async with asyncio.timeout(30):
        await runtime.stop(tyres.id, grace_s=1000)

    assert left(yard) == NOTHING


async def test_what_ignores_a_signal_has_its_time(yard: Yard, runtime: OciRuntime):
    tyres = yard.script("tyres", "trap '' TERM; echo up; sleep 1; echo done")
    await runtime.start(tyres)
    await until(partial(runtime.logs.lines, tyres.id, 1))

    await runtime.stop(tyres.id, grace_s=1000)

    assert [said.split(" ", 1)[1] for said in runtime.logs.lines(tyres.id, 2)] == [
        "stdout up",
        "stdout done",
    ]


@pytest.mark.parametrize("name", ["INT", "SIGINT", "2"])
def test_a_signal_is_known_by_any_of_its_names(name: str):
    assert exits.signal_of(name) is signal.SIGINT


def test_what_is_no_signal_asks_to_end_all_the_same():
    assert exits.signal_of("PLEASE") is signal.SIGTERM


@pytest.mark.parametrize("id_", ["..", "../x.0123456789ab", "x", "", "x.0123456789ab/.."])
async def test_a_name_that_leads_elsewhere_is_refused(runtime: OciRuntime, id_: str):
    with pytest.raises(BadInput, match="no name of an instance"):
        await runtime.stop(id_)


async def test_many_start_and_end_at_once(yard: Yard, runtime: OciRuntime):
    instances = [yard.script(f"s{number}", "exit 3") for number in range(8)]

    await asyncio.gather(*(runtime.start(instance) for instance in instances))
    for instance in instances:
        assert await exit_of(runtime, instance.id) == Exit(3)
    await asyncio.gather(*(runtime.stop(instance.id) for instance in instances))

    assert left(yard) == NOTHING


async def test_the_program_is_chosen_by_how_control_groups_are_laid_out():
    need("runc")
    need("crun")
    here = cgroups.look()
    hybrid = replace(here, mode=Mode.HYBRID, unified_controls=frozenset({"hugetlb"}))

    assert (
        await oci_tool.find(replace(here, mode=Mode.V2, unified_controls=frozenset()))
    ).name == "crun"
    assert (await oci_tool.find(hybrid)).name == "runc"
    assert (await oci_tool.find(hybrid, "crun")).argv[0] == "unshare"
    assert (await oci_tool.find(here, "runc")).has_seccomp


async def test_a_program_without_seccomp_is_passed_over(tmp_path: Path, monkeypatch):
    for name, says in {
        "crun": "crun version 1.8.1\n+SYSTEMD",
        "runc": "runc version 1.1.5\nlibseccomp: 2.5",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    assert (await oci_tool.find(Groups(Mode.V2, {}))).name == "runc"
    with pytest.raises(BadInput, match="crun was built without seccomp"):
        await oci_tool.find(Groups(Mode.V2, {}), "crun")


async def test_a_program_that_makes_no_containers_is_refused():
    groups = Groups(Mode.V2, {})

    with pytest.raises(BadInput, match="neither runc nor crun"):
        await oci_tool.find(groups, "true")
    with pytest.raises(BadInput, match="there is no no-such-program"):
        await oci_tool.find(groups, "no-such-program")
