"""A program that this one keeps running: started, restarted when it dies, and never left behind.

Rule 1: a child that dies is started again, at once the first time, then ever later up to a limit.
Rule 2: a child ends when this process ends, however that comes about: the kernel sees to it (Linux), and a
stale child of an earlier life is never assumed.
Rule 3: only this process ends a child: it has a session of its own, so Ctrl-C in a terminal does not reach it.
Rule 4: what a child prints becomes log lines of ours.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence

from fairway import log as logs
from fairway.clock import NS_PER_S, Clock
from fairway.errors import Unavailable
from fleet_cloud.adapters.data_dir import listening

log = logs.get("fleet_cloud.child")

# A crash loop must not burn a core, and a broker that is back is what vehicles wait for.
RESTART_MIN_S, RESTART_MAX_S = 0.2, 10.0
# After so long alive, a death is a new story.
PROVEN_S = 30.0
# nats-server reads the users of 50,000 vehicles in 3 s, on a machine that is busy with others in 20.
READY_MAX_S = 60.0
STOP_MAX_S = 10.0
_LINE_MAX_BYTES = 64 * 1024

# Runs in the child before the program: ask the kernel for SIGTERM when the parent dies (PR_SET_PDEATHSIG, 1),
# end if it has died meanwhile, then become the program.
_LAUNCHER = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Child:
    """Keeps one program running that listens on `host`:`port`."""

    def __init__(self, command: Sequence[str], *, host: str, port: int, clock: Clock) -> None:
        self._command = list(command)
        self._host = host
        self._port = port
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._last_line = ""

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Return once the child listens.  Raises Unavailable, with its last words when it never does."""
        # An address that is taken, or none of ours, is known at once.
        listening(self._host, self._port).close()
        self._keeper = asyncio.create_task(self._keep())
        deadline_ns = self._clock.monotonic_ns() + int(READY_MAX_S * NS_PER_S)
        while not await self._is_listening():
            if self._clock.monotonic_ns() > deadline_ns:
                await self.stop()
                raise Unavailable(
                    f"{self._command[0]} does not listen on {self._host}:{self._port} after "
                    f"{READY_MAX_S:.0f} s; it said: {self._last_line or 'nothing'}"
                )
            await asyncio.sleep(0.02)

    def reload(self) -> None:
        """Tell the child to read its configuration again (SIGHUP)."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """End the child: politely, then not."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
        if self._keeper is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._keeper), STOP_MAX_S)
            except TimeoutError:
                if self._process is not None and self._process.returncode is None:
                    self._process.kill()
                await self._keeper

    async def _keep(self) -> None:
        delay_s = RESTART_MIN_S
        while not self._stopping.is_set():
            begun_ns = self._clock.monotonic_ns()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            lived_s = (self._clock.monotonic_ns() - begun_ns) / NS_PER_S
            delay_s = RESTART_MIN_S if lived_s > PROVEN_S else delay_s
            log.error(
                "child_died",
                program=self._command[0],
                code=code,
                lived_s=round(lived_s, 1),
                restart_in_s=delay_s,
                said=self._last_line,
            )
            await asyncio.sleep(delay_s)
            delay_s = min(RESTART_MAX_S, delay_s * 2)

    async def _run_once(self) -> int:
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
        process = await asyncio.create_subprocess_exec(
            *launcher,
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LINE_MAX_BYTES,
            start_new_session=True,
        )
        self._process = process
        if self._stopping.is_set():
            process.terminate()
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line beyond the limit: skip what was read of it
                continue
            if not line:
                break
            self._last_line = line.decode(errors="replace").strip()
            log.debug("child_said", program=self._command[0], line=self._last_line)
        return await process.wait()

    async def _is_listening(self) -> bool:
        with contextlib.suppress(OSError):
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            _, writer = await asyncio.open_connection(
                reachable(self._host), self._port, family=family
            )
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return True
        return False


def reachable(host: str) -> str:
    """Return where a program that listens on `host` can be reached from here."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
