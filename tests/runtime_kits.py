"""The runtimes that keep tests/contracts/test_runtime*.py, and what each needs beside it.

A runtime that does not give everything says so in NOT_GIVEN: tests of what it lacks leave it out, and one test
holds it to what it declares.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from edge_agent.services.instance import Instance
from edge_agent.services.ports import Logs
from edge_agent.services.runtime import Exit, Inside, Runtime
from tests.containers import need, oci_yard
from tests.engines import Podman
from tests.processes import process_yard
from tests.runtime_yard import RuntimeYard
from tests.waiting import until
from tests.yards import open_oci


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

KITS: dict[str, Callable[[Path], AbstractAsyncContextManager[Kit]]] = {
    "runc": lambda folder: _oci("runc", folder),
    "crun": lambda folder: _oci("crun", folder),
    "podman": lambda folder: _other(PODMAN.yard()),
    "process": lambda folder: _other(process_yard()),
}


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
