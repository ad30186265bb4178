"""Runs a command inside a container of an engine, and ends it when it takes too long.

    POST /containers/<id>/exec > POST /exec/<id>/start > frames > GET /exec/<id>/json > code

Rule 1: the API cannot end a command: its process is ended here, with all that it started.
"""

import asyncio
import contextlib
import re
import signal
from pathlib import Path

from edge_agent.adapters import pidfds
from edge_agent.adapters.engine_containers import Found
from edge_agent.adapters.engine_http import EngineClient
from edge_agent.adapters.engine_logs import Frames
from edge_agent.services.runtime import OUTPUT_MAX_BYTES, Executed
from fairway.errors import Unavailable

# As a shell says that there is no such program.
NOT_FOUND = 127
_NOT_FOUND = re.compile(r"no such file or directory|executable file .*not found", re.IGNORECASE)
_CODE_WITHIN_S = 5.0
_ASK_AGAIN_S = 0.02


async def execute(
    client: EngineClient, found: Found, argv: tuple[str, ...], *, timeout_s: float
) -> Executed:
    """Run a command in a container, as its user and under its limits.  Raises Unavailable."""
    wanted = {"AttachStdout": True, "AttachStderr": True, "Tty": False, "Cmd": list(argv)}
    made = await client.ask("POST", f"/containers/{found.container}/exec", wanted)
    if not made.is_good:
        raise Unavailable(f"{argv[0]} cannot be run: {made.reason}")
    id_ = str(made.document["Id"])
    output = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            await _read(client, id_, output)
    except TimeoutError as error:
        await _kill(client, id_)
        raise Unavailable(f"{argv[0]} did not end within {timeout_s:g} s") from error
    except asyncio.CancelledError:
        await asyncio.shield(_kill(client, id_))
        raise
    except Unavailable as error:
        if _NOT_FOUND.search(str(error)):
            return Executed(NOT_FOUND, str(error))
        raise
    return Executed(await _code(client, id_), output.decode("utf-8", "replace"))


async def _read(client: EngineClient, id_: str, output: bytearray) -> None:
    frames = Frames()
    started = {"Detach": False, "Tty": False}
    async with client.stream("POST", f"/exec/{id_}/start", started) as pieces:
        async for piece in pieces:
            for _, data in frames.feed(piece):
                output += data[: OUTPUT_MAX_BYTES - len(output)]


async def _code(client: EngineClient, id_: str) -> int:
    """Return the code that a command ended with; its output ends a moment before."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _CODE_WITHIN_S
    while True:
        said = (await client.ask("GET", f"/exec/{id_}/json")).document
        if isinstance(said, dict) and not said.get("Running"):
            return int(said.get("ExitCode") or 0)
        if loop.time() > deadline:
            raise Unavailable("the container engine does not say how a command ended")
        await asyncio.sleep(_ASK_AGAIN_S)


async def _kill(client: EngineClient, id_: str) -> None:
    with contextlib.suppress(Unavailable, KeyError, TypeError, ValueError):
        said = (await client.ask("GET", f"/exec/{id_}/json")).document
        pid = int(said["Pid"])
        if said.get("Running") and pid > 1:
            for one in (pid, *_below(pid)):
                pidfds.send(one, pidfds.start_ticks(one), signal.SIGKILL)


def _below(pid: int) -> list[int]:
    """Return all processes that one has started, and theirs."""
    parents = {
        int(place.name): pidfds.parent_of(int(place.name))
        for place in Path("/proc").iterdir()
        if place.name.isdigit()
    }
    found: set[int] = set()
    new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return sorted(found)
