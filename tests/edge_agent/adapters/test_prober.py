"""Probes of services that lie, stall, flood, point elsewhere, or have a network of their own."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters import probe_grpc
from edge_agent.adapters.prober import ServiceProber, pids_of
from edge_agent.services.instance import Instance
from edge_agent.services.runtime import Executed, Exit, Seen
from fairway.errors import BadInput, Unavailable
from fairway.services.model import Command, Grpc, Http, Probe, Publishes, Service
from tests.contracts.test_prober import INSTANCE, InsideOfOne, no_process
from tests.edge_agent.adapters.probed import bytes_server, health_server, http_server
from tests.ports import free_port
from tests.shared_data import missing

LONG_S = 60.0


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(INSTANCE, Service("battery", "1.0.0"), None, 1, tmp_path)


def prober(pid: int = 0) -> ServiceProber:
    async def pid_of(id_: str) -> int:
        return pid

    return ServiceProber(InsideOfOne(), pid_of, lambda id_, path: None)


async def ask(instance: Instance, probe: Probe, *, pid: int = 0, timeout_s: float = LONG_S) -> str:
    return await prober(pid).probe(instance, probe, timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("status", "said"), [(204, ""), (399, ""), (404, "answered with 404"), (199, "with 199")]
)
async def test_http_is_passed_with_200_to_399(instance: Instance, status: int, said: str):
    async with http_server(instance.sockets / "s", lambda: status):
        answer = await ask(instance, Http("/health", socket="s"))

    assert answer.endswith(said)
    assert bool(answer) is bool(said)


@pytest.mark.parametrize(
    "words",
    [b"", b"HTTP/2 200\r\n", b"SSH-2.0\r\n", b"x" * 100_000, b"\n", b"HTTP/1.1 2OO OK\r\n"],
)
@pytest.mark.parametrize("probe", [Http("/", socket="s"), Grpc(socket="s")])
async def test_what_is_no_answer_fails_the_probe(instance: Instance, words: bytes, probe: Probe):
    def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        writer.close()

    async with bytes_server(instance.sockets / "s", answer):
        said = await ask(instance, probe)

    assert said
    assert len(said) < 300


@pytest.mark.parametrize("probe", [Http("/", socket="s"), Grpc(socket="s")])
async def test_who_says_nothing_is_not_waited_for(instance: Instance, probe: Probe):
    async with bytes_server(instance.sockets / "s", lambda reader, writer: asyncio.sleep(LONG_S)):
        said = await ask(instance, probe, timeout_s=0.2)

    assert "was not answered within 0.2 s" in said


@pytest.mark.parametrize("probe", [Http("/", socket="s"), Grpc(socket="s")])
async def test_who_never_stops_talking_is_not_listened_to(instance: Instance, probe: Probe):
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(probe_grpc.frame(4, 0, 0, b"\0" * 6000))
                await writer.drain()
        except OSError:
            return

    async with bytes_server(instance.sockets / "s", flood):
        assert await ask(instance, probe)


async def test_a_link_in_the_socket_folder_is_not_followed(instance: Instance, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    async with http_server(elsewhere, lambda: 200):
        folder = tmp_path / "sockets"
        folder.mkdir()
        (folder / "s").symlink_to(elsewhere)
        (folder / "file").write_text("")
        own = Instance(INSTANCE, instance.service, None, 1, folder)

        assert await ask(own, Http("/", socket="s")) != ""
        assert "is no socket" in await ask(own, Http("/", socket="file"))
        assert "no name" in await ask(own, Http("/", socket="../elsewhere"))


async def test_a_path_with_a_line_of_its_own_is_not_sent(instance: Instance):
    async with http_server(instance.sockets / "s", lambda: 200):
        said = await ask(instance, Http("/x HTTP/1.1\r\nHost: y", socket="s"))

    assert "is no path" in said


async def test_the_health_of_a_service_that_the_server_does_not_know_is_none(instance: Instance):
    async with health_server(instance.sockets / "s", "battery", lambda: True):
        said = await ask(instance, Grpc("other", socket="s"))

    assert "gave no health status" in said


async def test_a_service_that_does_not_serve_is_told_so(instance: Instance):
    async with health_server(instance.sockets / "s", "battery", lambda: False):
        assert (await ask(instance, Grpc("battery", socket="s"))).endswith("NOT_SERVING")


@pytest.mark.net
@pytest.mark.usefixtures("socket_enabled")
async def test_ports_are_asked_on_the_loopback_that_the_process_sees(instance: Instance):
    port, other = free_port(), free_port()
    async with (
        http_server(port, lambda: 200),
        health_server(other, "battery", lambda: True),
    ):
        assert await ask(instance, Http("/", port=port), pid=os.getpid()) == ""
        assert await ask(instance, Grpc("battery", port=other), pid=os.getpid()) == ""
    assert "takes no connection" in await ask(instance, Http("/", port=port), pid=os.getpid())


_IN_A_NETWORK_OF_ITS_OWN = """
import asyncio, ctypes, fcntl, socket, struct, sys
sys.path.append(sys.argv[1])
kernel = ctypes.CDLL(None, use_errno=True)
if kernel.unshare(0x40000000) < 0:
    sys.exit("unshare")
with socket.socket() as s:  # SIOCSIFFLAGS: lo is up
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 0x49))
from tests.edge_agent.adapters.probed import health_server, http_server
async def main():
    async with http_server(8080, lambda: 200), health_server(8081, "battery", lambda: True):
        print("up", flush=True)
        await asyncio.sleep(1000)
asyncio.run(main())
"""


@pytest.fixture
def hidden() -> Iterator[int]:
    """Give the id of a process with servers on ports of a network of its own."""
    if os.geteuid() != 0:
        missing("only root can make a network of its own")
    root = str(Path(__file__).parents[3])
    child = subprocess.Popen(
        [sys.executable, "-c", _IN_A_NETWORK_OF_ITS_OWN, root], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    with child.stdout:
        try:
            assert child.stdout.readline() == b"up\n"
            yield child.pid
        finally:
            child.kill()
            child.wait(LONG_S)


def networks() -> set[Path]:
    """Return the networks that our threads are in."""
    found = set()
    for task in Path("/proc/self/task").glob("*/ns/net"):
        with contextlib.suppress(OSError):
            found.add(task.readlink())
    return found


@pytest.mark.net
@pytest.mark.usefixtures("socket_enabled")
async def test_a_port_in_a_network_of_its_own_is_reached_and_nobody_else_moves(
    instance: Instance, hidden: int
):
    assert await ask(instance, Http("/", port=8080), pid=hidden) == ""
    assert await ask(instance, Grpc("battery", port=8081), pid=hidden) == ""
    assert "its port 8082 takes no connection" in await ask(
        instance, Http("/", port=8082), pid=hidden
    )
    assert await ask(instance, Http("/", port=8080), pid=os.getpid()) != ""
    async with asyncio.timeout(LONG_S):  # a thread is seen for a moment after it has ended
        while networks() != {Path("/proc/thread-self/ns/net").readlink()}:
            await asyncio.sleep(0.01)


async def test_a_process_that_is_gone_has_no_port(instance: Instance):
    assert "does not run" in await ask(instance, Http("/", port=80))
    assert "is not there" in await ask(instance, Http("/", port=80), pid=2**22 + 1)


async def test_only_running_instances_have_a_process():
    class Three:
        async def instances(self) -> dict[str, Seen]:
            return {"runs": Seen(7), "ended": Seen(8, exit=Exit(0))}

    pid_of = pids_of(Three())  # type: ignore[arg-type]
    assert [await pid_of(id_) for id_ in ("runs", "ended", "unknown")] == [7, 0, 0]


async def test_a_command_says_what_it_found_in_one_line(instance: Instance):
    class Inside(InsideOfOne):
        async def execute(self, id_: str, argv: tuple[str, ...], *, timeout_s: float) -> Executed:
            return Executed(3, "cell 4\n\x1b[31m is low\n" + "x" * 4000)

    asked = ServiceProber(Inside(), no_process, lambda id_, path: None)
    said = await asked.probe(instance, Command(("check", "-v")), timeout_s=1)

    assert said.startswith("check ended with 3: cell 4 ?[31m is low xxx")
    assert len(said) < 250


async def test_a_command_that_hangs_is_not_waited_for(instance: Instance):
    class Inside(InsideOfOne):
        async def execute(self, id_: str, argv: tuple[str, ...], *, timeout_s: float) -> Executed:
            await asyncio.sleep(LONG_S)
            raise Unavailable("too late")

    asked = ServiceProber(Inside(), no_process, lambda id_, path: None)
    said = await asked.probe(instance, Command(("check",)), timeout_s=0.1)

    assert said == "the command check was not answered within 0.1 s"


@pytest.mark.parametrize(
    ("age_s", "said"),
    [
        (0.0, ""),
        (5.0, ""),
        (5.1, "Vehicle.X was published 5.1 s ago, 5 s at most are wanted"),
        (None, "Vehicle.X was not published yet"),
    ],
)
async def test_signals_are_published_in_time(instance: Instance, age_s: float | None, said: str):
    asked = ServiceProber(InsideOfOne(), no_process, lambda id_, path: age_s)

    assert await asked.probe(instance, Publishes(("Vehicle.X",), 5.0), timeout_s=1) == said


def test_a_name_that_no_service_has_is_not_asked_for():
    with pytest.raises(BadInput, match="longer name"):
        probe_grpc.request("x" * 101)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_garbage_never_is_a_health_status_and_never_raises(chunks: list[bytes]):
    answer = probe_grpc.Answer()
    for chunk in chunks:
        answer.receive(chunk)

    assert answer.status is None


frames = st.builds(
    probe_grpc.frame,
    st.integers(0, 9),
    st.integers(0, 255),
    st.integers(0, 3),
    st.binary(max_size=60),
)


@given(st.lists(frames, max_size=12), st.data())
def test_any_frames_in_any_pieces_are_read_the_same(said: list[bytes], data: st.DataObject):
    whole = b"".join(said)
    cut = data.draw(st.integers(0, len(whole)))
    at_once, in_pieces = probe_grpc.Answer(), probe_grpc.Answer()
    at_once.receive(whole or b"\0")
    for piece in (whole[:cut], whole[cut:]):
        if piece:
            in_pieces.receive(piece)

    if whole:
        assert (at_once.status, at_once.problem) == (in_pieces.status, in_pieces.problem)


@given(st.sampled_from(["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]), st.integers(0, 9))
def test_a_status_is_read_back_padded_or_not(name: str, padding: int):
    message = HealthCheckResponse(
        status=HealthCheckResponse.ServingStatus.Value(name)
    ).SerializeToString()
    body = b"\0" + len(message).to_bytes(4, "big") + message
    padded = bytes((padding,)) + body + b"\0" * padding
    for data in (probe_grpc.frame(0, 0, 1, body), probe_grpc.frame(0, 8, 1, padded)):
        answer = probe_grpc.Answer()
        answer.receive(data)
        assert answer.status == name
