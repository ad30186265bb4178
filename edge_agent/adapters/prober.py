"""Asks services how they are: by a command, over HTTP, over gRPC, or by what they published.

    Command > Inside.execute    Http, Grpc > a socket in its folder, or its own loopback    Publishes > an age

Rule 1: an answer is "" or one sentence; nothing that a service says or does makes a probe raise.
Rule 2: a probe takes no longer than it may, and reads no more than it must.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable

from edge_agent.adapters import probe_grpc
from edge_agent.adapters.probe_sockets import to_port, to_socket
from edge_agent.services.instance import Instance
from edge_agent.services.runtime import Executed, Inside, Runtime
from fairway.errors import FairwayError, Unavailable
from fairway.services.model import Command, Grpc, Http, Probe, Publishes

# Of what a failed command said, a line of so much is told.
TOLD_MAX_CHARS = 200
_STATUS_LINE_MAX_BYTES = 1024
_READ_BYTES = 16_384
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |$)")
_PATH = re.compile(r"/[!-~]{0,1023}")
_GOOD = range(200, 400)

LastPublished = Callable[[str, str], float | None]
PidOf = Callable[[str], Awaitable[int]]


def pids_of(runtime: Runtime) -> PidOf:
    """Return what says of an instance which process it is, 0 for none."""

    async def pid_of(id_: str) -> int:
        seen = (await runtime.instances()).get(id_)
        return 0 if seen is None or seen.exit is not None else seen.pid

    return pid_of


class ServiceProber:
    """Probes running instances."""

    def __init__(self, inside: Inside, pid_of: PidOf, last_published: LastPublished) -> None:
        """Take what looks inside, what finds a process, and what tells the age of a signal in seconds."""
        self._inside, self._pid_of, self._last_published = inside, pid_of, last_published

    async def probe(self, instance: Instance, probe: Probe, *, timeout_s: float) -> str:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._probe(instance, probe, timeout_s)
        except TimeoutError:
            return f"{_what(probe)} was not answered within {timeout_s:g} s"
        except FairwayError as error:
            return str(error)
        except OSError as error:
            return f"{_what(probe)} failed: {error.strerror or error}"

    async def _probe(self, instance: Instance, probe: Probe, timeout_s: float) -> str:
        if isinstance(probe, Command):
            # It tells by itself what took too long, and ends it.
            done = await self._inside.execute(instance.id, probe.argv, timeout_s=timeout_s * 0.95)
            return _executed(probe, done)
        if isinstance(probe, Publishes):
            return self._published(instance, probe)
        connection = await self._connection(instance, probe)
        with connection:
            if isinstance(probe, Http):
                return await _http(connection, probe)
            return await _grpc(connection, probe)

    async def _connection(self, instance: Instance, probe: Http | Grpc) -> socket.socket:
        if probe.socket:
            return await to_socket(instance.sockets, probe.socket)
        pid = await self._pid_of(instance.id)
        if not pid:
            raise Unavailable(f"{instance.id} does not run")
        return await to_port(pid, probe.port)

    def _published(self, instance: Instance, probe: Publishes) -> str:
        for path in probe.paths:
            age_s = self._last_published(instance.id, path)
            if age_s is None:
                return f"{path} was not published yet"
            if age_s > probe.age_max_s:
                return f"{path} was published {age_s:.1f} s ago, {probe.age_max_s:g} s at most are wanted"
        return ""


async def _http(connection: socket.socket, probe: Http) -> str:
    if not _PATH.fullmatch(probe.path):
        return f"{probe.path[:80]!r} is no path to ask for"
    loop = asyncio.get_running_loop()
    words = f"GET {probe.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    await loop.sock_sendall(connection, words.encode("ascii"))
    said = b""
    while b"\n" not in said and len(said) < _STATUS_LINE_MAX_BYTES:
        chunk = await loop.sock_recv(connection, _READ_BYTES)
        if not chunk:
            break
        said += chunk
    status = _STATUS_LINE.match(said.split(b"\n", 1)[0].rstrip(b"\r"))
    if status is None:
        return f"GET {probe.path} was not answered in HTTP"
    return "" if int(status[1]) in _GOOD else f"GET {probe.path} was answered with {int(status[1])}"


async def _grpc(connection: socket.socket, probe: Grpc) -> str:
    loop = asyncio.get_running_loop()
    answer = probe_grpc.Answer()
    await loop.sock_sendall(connection, probe_grpc.request(probe.service))
    while not answer.is_over:
        reply = answer.receive(await loop.sock_recv(connection, _READ_BYTES))
        if reply:
            await loop.sock_sendall(connection, reply)
    if answer.problem:
        return f"its gRPC health cannot be told: {answer.problem}"
    return "" if answer.status == "SERVING" else f"its gRPC health is {answer.status}"


def _executed(probe: Command, done: Executed) -> str:
    if done.code == 0:
        return ""
    words = " ".join(done.output.split())
    told = "".join(char if char.isprintable() else "?" for char in words[:TOLD_MAX_CHARS])
    return f"{probe.argv[0]} ended with {done.code}" + (f": {told}" if told else "")


def _what(probe: Probe) -> str:
    if isinstance(probe, Command):
        return f"the command {' '.join(probe.argv)[:80]}"
    if isinstance(probe, Http):
        return f"GET {probe.path[:80]}"
    return "the gRPC health check" if isinstance(probe, Grpc) else "the look at its signals"
