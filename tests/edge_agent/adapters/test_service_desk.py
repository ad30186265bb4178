"""The desk before a real supervisor over a runtime in memory; questions come over its real socket."""

import asyncio
import json
import os
import socket
import stat
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_agent.adapters.local_door import ASKING_MAX
from edge_agent.adapters.runtime_memory import MemoryRuntime
from edge_agent.adapters.service_desk import (
    REQUEST_MAX_BYTES,
    SOCKET_NAME,
    ServiceDesk,
    ask,
)
from edge_agent.services.records import instance_id
from fairway.clock import SystemClock
from fairway.errors import BadInput, Tampered, Unavailable
from fairway.services.manifest import service_document
from tests.edge_agent.adapters.services_rig import Vehicle, service


@dataclass(frozen=True, slots=True)
class _Held:
    digest: str
    names: tuple[str, ...]
    packed_bytes: int


class _Shelf:
    """A shelf that has what was taken, and refuses what is marked."""

    def __init__(self) -> None:
        self.taken: list[tuple[Path, str | None]] = []

    async def take(self, path: Path, digest: str | None = None) -> list[str]:
        if path.name == "forged":
            raise Tampered("layer 1 is not what its digest says")
        self.taken.append((path, digest))
        return ["sha256:" + "a" * 64]

    async def resolve(self, name: str) -> str:
        if name != "one:1":
            raise BadInput(f"no image in this vehicle is called {name!r}")
        return "sha256:" + "a" * 64

    async def list(self) -> list[_Held]:
        return [_Held("sha256:" + "a" * 64, ("one:1",), 1234)]


class Desk:
    """A desk, asked from a thread as a command does."""

    def __init__(self, path: Path, vehicle: Vehicle, shelf: _Shelf) -> None:
        self.path, self.vehicle, self.shelf = path, vehicle, shelf

    async def asked(self, question: str, **more):
        return await asyncio.to_thread(ask, self.path, question, **more)

    async def until(self, name: str, state: str) -> None:
        async with asyncio.timeout(20):
            while (await self.asked("list"))[0]["state"] != state:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def desk_in(folder: Path):
    vehicle, shelf = Vehicle(), _Shelf()
    # Real time: questions come from threads.
    vehicle.clock = SystemClock()  # type: ignore[assignment]
    vehicle.runtime = MemoryRuntime()
    async with vehicle.agent() as services:
        desk = ServiceDesk(folder / SOCKET_NAME, services, shelf)
        await desk.start()
        try:
            yield Desk(folder / SOCKET_NAME, vehicle, shelf)
        finally:
            await desk.stop()


ONE = service_document(service())


async def test_what_is_applied_runs_and_is_listed_and_explained(tmp_path: Path):
    async with desk_in(tmp_path) as desk:
        assert await desk.asked("apply", services=[ONE]) is None
        await desk.until("one", "Running")

        (one,) = await desk.asked("list")
        assert (one["name"], one["version"], one["is_isolated"]) == ("one", "1", False)
        why = await desk.asked("why", name="one")
        assert why["wanted"]["instance"] == instance_id(service())
        assert why["wanted"]["by"] == "local"


async def test_a_service_is_stopped_started_and_taken_back(tmp_path: Path):
    async with desk_in(tmp_path) as desk:
        await desk.asked("apply", services=[ONE])
        await desk.until("one", "Running")

        await desk.asked("stop", name="one")
        await desk.until("one", "NotScheduled")
        assert desk.vehicle.runtime.running == []
        await desk.asked("start", name="one")
        await desk.until("one", "Running")
        await desk.asked("restart", name="one")
        await desk.asked("remove", name="one")
        async with asyncio.timeout(20):
            while desk.vehicle.runtime.running:
                await asyncio.sleep(0.02)


async def test_what_a_service_said_is_told_the_newest_lines_first_cut(tmp_path: Path):
    async with desk_in(tmp_path) as desk:
        await desk.asked("apply", services=[ONE])
        desk.vehicle.logs.said[instance_id(service())] = [f"t stdout {n}" for n in range(9)]

        assert await desk.asked("logs", name="one", last=2) == ["t stdout 7", "t stdout 8"]
        with pytest.raises(BadInput, match="1 to 10000"):
            await desk.asked("logs", name="one", last=0)


async def test_images_are_taken_listed_resolved_and_collected(tmp_path: Path):
    async with desk_in(tmp_path) as desk:
        assert await desk.asked("load", path="/usb/one", digest=None) == ["sha256:" + "a" * 64]
        assert desk.shelf.taken == [(Path("/usb/one"), None)]
        assert (await desk.asked("images"))[0]["names"] == ["one:1"]
        assert await desk.asked("resolve", name="one:1") == "sha256:" + "a" * 64
        assert await desk.asked("collect") == 0
        with pytest.raises(Tampered, match="not what its digest says"):
            await desk.asked("load", path="/usb/forged")
        with pytest.raises(BadInput, match="whole path"):
            await desk.asked("load", path="usb/one")


@pytest.mark.parametrize(
    ("question", "more", "sentence"),
    [
        ("apply", {"services": []}, "give 1 to 200 services"),
        ("apply", {"services": [{"name": "X"}]}, r"services\[0\]"),
        ("apply", {"services": "one"}, "give 1 to 200 services"),
        ("why", {"name": "nobody"}, "there is no service 'nobody'"),
        ("stop", {"name": 7}, "name is no text"),
        ("dance", {}, "this is no question"),
        ("why", {}, "this is no question"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_sentence(tmp_path: Path, question, more, sentence):
    async with desk_in(tmp_path) as desk:
        with pytest.raises(BadInput, match=sentence):
            await desk.asked(question, **more)


async def test_an_order_that_is_refused_changes_nothing(tmp_path: Path):
    async with desk_in(tmp_path) as desk:
        both = [ONE, service_document(service("two", depends_on=(("nobody", "ADD_COND_RUNNING"),)))]
        with pytest.raises(BadInput, match="nobody"):
            await desk.asked("apply", services=both)

        assert await desk.asked("list") == []


async def test_only_the_agents_own_user_may_open_it(tmp_path: Path):
    async with desk_in(tmp_path) as desk:
        assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600
        if os.geteuid() != 0:
            pytest.skip("only root can be somebody else")
        tmp_path.chmod(0o755)
        assert await asyncio.to_thread(_refused_to_another, desk.path) == 0


def _refused_to_another(path: Path) -> int:
    """Return 0 when a process of another user cannot connect."""
    folder = os.open(path.parent, os.O_PATH)  # its parents are the test's own
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.fchdir(folder)
            os.setresgid(65_534, 65_534, 65_534)
            os.setresuid(65_534, 65_534, 65_534)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path.name)
        except PermissionError:
            code = 0
        finally:
            os._exit(code)
    os.close(folder)
    return os.waitpid(child, 0)[1]


@pytest.mark.parametrize(
    "said", [b"", b"\n", b"[]\n", b'{"ask": 1}\n', b"\xff\n", b"{" * 5000 + b"\n"]
)
async def test_garbage_is_answered_or_left_and_the_desk_stays(tmp_path: Path, said: bytes):
    async with desk_in(tmp_path) as desk:
        reader, writer = await asyncio.open_unix_connection(str(desk.path))
        writer.write(said)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()

        assert answer == b"" or "error" in json.loads(answer)
        assert await desk.asked("list") == []


async def test_a_question_that_never_ends_is_cut(tmp_path: Path):
    async with desk_in(tmp_path) as desk:
        _, writer = await asyncio.open_unix_connection(str(desk.path))

        async def endless() -> None:
            for _ in range(200):
                writer.write(b"x" * (REQUEST_MAX_BYTES // 16))
                await asyncio.wait_for(writer.drain(), 20)

        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            await endless()
        writer.close()

        assert await desk.asked("list") == []


async def test_a_crowd_is_told_to_come_again(tmp_path: Path):
    async with desk_in(tmp_path) as desk:
        idle = [await asyncio.open_unix_connection(str(desk.path)) for _ in range(ASKING_MAX + 2)]
        await asyncio.sleep(0)

        async def told() -> bool:
            try:
                await desk.asked("list")
            except Unavailable as error:
                return "try again" in str(error)
            return False

        async with asyncio.timeout(20):
            while not await told():
                await asyncio.sleep(0.02)
        for _, writer in idle:
            writer.close()
        async with asyncio.timeout(20):
            while await told():
                await asyncio.sleep(0.02)


def test_where_no_agent_runs_that_is_said(tmp_path: Path):
    with pytest.raises(Unavailable, match="no agent with services answers"):
        ask(tmp_path / SOCKET_NAME, "list")
    with pytest.raises(BadInput, match="at most go at once"):
        ask(tmp_path / SOCKET_NAME, "apply", services=["x" * REQUEST_MAX_BYTES])
