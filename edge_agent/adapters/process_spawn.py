"""Starts plain processes and runs commands among them, without a thread and without a shell.

    posix_spawn of process_launch.py > pid > the caller writes down who it is > orders > the program runs

Rule 1: nothing but standard input, output and error reaches the program; its environment is what is said.
Rule 2: what was started and is not wanted any more is killed with its whole session, and waited for.
"""

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import signal
import sys
from pathlib import Path

from edge_agent.adapters import pidfds
from edge_agent.adapters.process_launch import ANSWER, ORDERS
from edge_agent.adapters.process_members import Belongs, tell
from edge_agent.services.runtime import OUTPUT_MAX_BYTES, Executed
from fairway.errors import BadInput, Unavailable

_PACKAGES = Path(__file__).parents[2]
_PROGRAM = (
    f"import sys; sys.path.append({str(_PACKAGES)!r});"
    " from edge_agent.adapters.process_launch import main; main()"
)
_PYTHON_OPTIONS = ("-I", "-S", "-B", "-c")

# From orders to the program: an interpreter's start, on a machine that is busy.
LAUNCH_TIMEOUT_S = 20.0
# A killed process is gone within that, or hangs in the kernel.
KILL_TIMEOUT_S = 10.0
# As a shell says that there is no such program.
_NOT_FOUND = 127
_ASK_AGAIN_S = 0.005
_READ_BYTES = 65_536
_ANSWER_MAX_BYTES = 4096
# Above the numbers that are handed to the child, so that none is overwritten before it is copied.
_DESCRIPTOR_MIN = 16
# With these a program will never run; the others (no memory, too many processes) may pass.
_NEVER = frozenset({"ENOENT", "EACCES", "ENOEXEC", "ENOTDIR", "ELOOP", "E2BIG", "ENAMETOOLONG"})


class Child:
    """A process that waits for its orders."""

    def __init__(self, out: int, err: int) -> None:
        """Start it with these descriptors as output and error, which stay the caller's.

        Raises Unavailable.
        """
        theirs: list[int] = []
        try:
            orders, self._orders = _pipe()
            theirs.append(orders)
            self._answer, answer = _pipe()
            theirs += [answer, _high(out), _high(err)]
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, *_PYTHON_OPTIONS, _PROGRAM],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, theirs[2], 1),
                    (os.POSIX_SPAWN_DUP2, theirs[3], 2),
                    (os.POSIX_SPAWN_DUP2, orders, ORDERS),
                    (os.POSIX_SPAWN_DUP2, answer, ANSWER),
                ],
                setsid=True,
                setsigmask=[],
            )
        except OSError as error:
            raise Unavailable(f"no process can be started: {error}") from error
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self.ticks = pidfds.start_ticks(self.pid)
        self.descriptor = os.pidfd_open(self.pid)

    async def run(self, orders: bytes, what: str) -> None:
        """Give it its orders, and return when its program runs.

        Raises BadInput when that can never be run, Unavailable when not now; then it has ended.
        """
        os.set_blocking(self._orders, False)
        os.set_blocking(self._answer, False)
        try:
            async with asyncio.timeout(LAUNCH_TIMEOUT_S):
                await _written(self._orders, orders)
                self._orders = _closed(self._orders)
                answer = await _read(self._answer, _ANSWER_MAX_BYTES)
        except (OSError, TimeoutError) as error:
            await self.end()
            raise Unavailable(f"{what} could not be started: {str(error) or 'it hangs'}") from error
        except asyncio.CancelledError:
            await self.end()
            raise
        if answer:
            await self.end()
            raise _refusal(answer, what)
        self._close_pipes()

    async def end(self) -> None:
        """Kill it, wait for it, and close what belongs to it."""
        self._close_pipes()
        session = Belongs(f"session {self.pid}", self.pid, self.ticks)
        async with asyncio.timeout(KILL_TIMEOUT_S):
            with contextlib.suppress(TimeoutError):
                while members := session.members():
                    tell(members, signal.SIGKILL)
                    await asyncio.sleep(_ASK_AGAIN_S)
        pidfds.exit_of(self.descriptor)  # waited for
        os.close(self.descriptor)

    def _close_pipes(self) -> None:
        self._orders, self._answer = _closed(self._orders), _closed(self._answer)


async def execute(orders: bytes, *, name: str, timeout_s: float) -> Executed:
    """Run a command, and return what it did.  Raises Unavailable."""
    output, theirs = os.pipe()
    os.set_blocking(output, False)
    try:
        child = Child(theirs, theirs)
    except Unavailable:
        os.close(output)
        raise
    finally:
        os.close(theirs)
    loop = asyncio.get_running_loop()
    said = bytearray()
    loop.add_reader(output, lambda: _collect(loop, output, said))
    try:
        async with asyncio.timeout(timeout_s):
            await child.run(orders, name)
            await readable(child.descriptor)
    except TimeoutError as error:
        raise Unavailable(f"{name} did not end within {timeout_s:g} s") from error
    except BadInput as error:
        return Executed(_NOT_FOUND, str(error))
    else:
        exit_ = pidfds.exit_of(child.descriptor)
        _collect(loop, output, said)
        code = (
            -1
            if exit_ is None
            else exit_.code
            if exit_.code is not None
            else 128 + (exit_.signal or 0)
        )
        return Executed(code, said.decode("utf-8", "replace"))
    finally:
        loop.remove_reader(output)
        os.close(output)
        with contextlib.suppress(OSError):
            await asyncio.shield(child.end())


async def readable(descriptor: int) -> None:
    """Wait until there is something to read, or a process has ended."""
    loop = asyncio.get_running_loop()
    come: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _resolve, come)
    try:
        await come
    finally:
        loop.remove_reader(descriptor)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _collect(loop: asyncio.AbstractEventLoop, output: int, said: bytearray) -> None:
    try:
        chunk = os.read(output, _READ_BYTES)
    except BlockingIOError:
        return
    if not chunk:
        loop.remove_reader(output)
    said += chunk[: OUTPUT_MAX_BYTES - len(said)]


async def _written(descriptor: int, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            free: asyncio.Future[None] = loop.create_future()
            loop.add_writer(descriptor, _resolve, free)
            try:
                await free
            finally:
                loop.remove_writer(descriptor)


async def _read(descriptor: int, most: int) -> bytes:
    """Return all that is said until the other end is closed."""
    said = b""
    while len(said) <= most:
        await readable(descriptor)
        chunk = os.read(descriptor, most)
        if not chunk:
            break
        said += chunk
    return said


def _refusal(answer: bytes, what: str) -> BadInput | Unavailable:
    try:
        said = json.loads(answer)
        step, number, reason = said["step"], said["number"], said["reason"]
    except (ValueError, KeyError, TypeError):
        return Unavailable(f"{what} could not be started")
    sentence = f"{what} could not be started, at its {step}: {reason}"
    is_final = (
        number is not None
        and errno.errorcode.get(number) in _NEVER
        and step in ("program", "working folder")
    )
    return BadInput(sentence) if is_final else Unavailable(sentence)


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    return _moved(reading), _moved(writing)


def _moved(descriptor: int) -> int:
    high = _high(descriptor)
    os.close(descriptor)
    return high


def _high(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _DESCRIPTOR_MIN)


def _closed(descriptor: int) -> int:
    if descriptor >= 0:
        os.close(descriptor)
    return -1
