"""One running process of functions: launched, spoken to with a deadline, measured, killed.

    launch() > advance() until it is ready > call() ... > end()
                 walls, then sources                kill, reap, and why it ended

Rule 1: a launch waits for nothing; a call waits for its answer until its deadline and no longer.
Rule 2: after any error the pipes may be out of step: the process is of no more use and has to be ended.
Rule 3: CPU time is what the kernel counted for the process, not what it says.
"""

import contextlib
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge_agent.functions import causes, messages, walls
from edge_agent.functions.limits import PATIENCE_CALLS, Limits
from fairway.clock import NS_PER_MS, NS_PER_S
from fairway.errors import BadInput, Denied, Unavailable

_T = TypeVar("_T")

_PACKAGES = Path(__file__).parents[2]
# Appended: what stands beside us must not stand before the standard library.
_PROGRAM = (
    "import sys; sys.path.append({root!r});"
    " from edge_agent.adapters.function_child import main; main({memory_max_bytes}, {nice})"
)
# No environment, no site-packages, nothing written beside the sources.
_PYTHON_OPTIONS = ("-I", "-S", "-B", "-c")

# Of what functions print, the newest so many bytes are kept for whoever asks why.
PRINTED_MAX_BYTES = 4096
_READ_BYTES = 65_536
# One look takes that much of what is printed at most: a flood must not keep the agent reading.
_PRINTED_PER_LOOK_BYTES = 262_144
# A killed process is gone within this, or is reaped later.
_REAP_TIMEOUT_S = 0.5
# The kernel ends a process that used so much more than its call could when that was made: it counts in seconds.
_CPU_GRANT_NS = 2 * NS_PER_S


@dataclass(frozen=True, slots=True)
class _Owed:
    """A call whose answer did not come in time."""

    timeout_ns: int
    started_ns: int
    cpu_ns: int  # of the process when it was made


class FunctionProcess:
    """A child process with the functions of one campaign.  Of one thread."""

    def __init__(
        self, sources: Mapping[str, str], limits: Limits, *, without_seccomp: bool
    ) -> None:
        self._sources = sources
        self._limits = limits
        self._without_seccomp = without_seccomp
        self.walls: dict[str, str] = {}
        self.printed = b""
        self._received = bytearray()
        program = _PROGRAM.format(
            root=str(_PACKAGES), memory_max_bytes=limits.memory_max_bytes, nice=limits.nice
        )
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, no word of it foreign
                [sys.executable, *_PYTHON_OPTIONS, program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(
                f"no process for custom functions could be started: {error}"
            ) from error
        self._pipes = [
            pipe
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr)
            if pipe is not None
        ]
        self._requests, self._answers, self._prints = (pipe.fileno() for pipe in self._pipes)
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        self._reading = select.poll()
        self._reading.register(self._answers, select.POLLIN)
        self._reading.register(self._prints, select.POLLIN)
        self._cpu_ns = self._cpu_granted_ns = self._number = 0
        self._owed: _Owed | None = None

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def advance(self, wait_ns: int = 0) -> bool:
        """Go on with the start as far as it goes in `wait_ns`; return whether calls may come.

        Raises Denied when the walls do not suffice, BadInput when the sources can never work, Unavailable
        when the process is of no use.
        """
        deadline_ns = time.monotonic_ns() + wait_ns
        if not self.walls:
            said = self._receive_until(deadline_ns)
            if said is None:
                return False
            self.walls = _understood(messages.walls_from_bytes, said)
            self._check_walls()
            self._send(messages.framed(messages.sources_message(self._sources)), NS_PER_S)
        said = self._receive_until(deadline_ns)
        if said is None:
            return False
        refusal = _understood(messages.refusal_from_bytes, said)
        if refusal:
            raise BadInput(refusal)
        return True

    def call(
        self, place: int, name: str, rows: Sequence[messages.Row], timeout_ns: int
    ) -> messages.Results | None:
        """Return what function `name` makes of each row; None: it was slow through no fault of its own.

        Look at cpu_ns() before: what may be used is counted from there.  Raises Unavailable with the reason.
        """
        if self._owed is not None and not self._has_paid(self._owed):
            return None
        started_ns, cpu_ns = time.monotonic_ns(), self._cpu_ns
        self._grant(cpu_ns + timeout_ns)
        self._number += 1
        request = messages.Request(self._number, place, name, rows)
        self._send(messages.framed(messages.call_message(request)), timeout_ns)
        said = self._receive_until(started_ns + timeout_ns)
        if said is None:
            self._owed = _Owed(timeout_ns, started_ns, cpu_ns)
            self._check_fault(self._owed)
            return None
        if self._received:
            raise Unavailable("it answered what it was not asked")
        return _understood(lambda data: messages.results_from_bytes(data, request), said)

    def _has_paid(self, owed: "_Owed") -> bool:
        """Return whether the late answer is here, and drop it."""
        if self._receive_until(time.monotonic_ns()) is None:
            self._check_fault(owed)
            return False
        self._owed = None
        return True

    def _check_fault(self, owed: "_Owed") -> None:
        """Raise Unavailable when an answer is late because it was computed, or never comes."""
        used_ns, waited_ns = self.cpu_ns() - owed.cpu_ns, time.monotonic_ns() - owed.started_ns
        if 2 * used_ns >= owed.timeout_ns or waited_ns >= PATIENCE_CALLS * owed.timeout_ns:
            raise Unavailable(causes.late(waited_ns, used_ns))

    def cpu_ns(self) -> int:
        """Return the CPU time that the process has used so far."""
        # The kernel's name for the CPU clock of a process: CPUCLOCK_SCHED of its id.
        with contextlib.suppress(OSError):  # gone: what it had used when it was last looked at
            self._cpu_ns = time.clock_gettime_ns((~self._process.pid) << 3 | 2)
        return self._cpu_ns

    def end(self, *, cleanup_ns: int = 0) -> None:
        """Kill the process, after `cleanup_ns` for its functions' `cleanup`."""
        if cleanup_ns:
            with contextlib.suppress(Unavailable):
                self._send(messages.framed(messages.cleanup_message()), cleanup_ns)
                self._receive_until(time.monotonic_ns() + cleanup_ns)
        with contextlib.suppress(Unavailable):
            self._look(0)
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_TIMEOUT_S)
        for pipe in self._pipes:
            pipe.close()

    def _check_walls(self) -> None:
        refusal = walls.refusal(self.walls, without_seccomp=self._without_seccomp)
        if refusal:
            raise Denied(refusal)

    def _grant(self, cpu_ns: int) -> None:
        if cpu_ns < self._cpu_granted_ns - NS_PER_S:
            return
        self._cpu_granted_ns = cpu_ns + _CPU_GRANT_NS
        # Gone, or not ours any more: the call will tell.
        with contextlib.suppress(OSError):
            _, hard = resource.prlimit(self.pid, resource.RLIMIT_CPU)
            soft = self._cpu_granted_ns // NS_PER_S
            resource.prlimit(self.pid, resource.RLIMIT_CPU, (soft, hard))

    def _send(self, data: bytes, timeout_ns: int) -> None:
        deadline_ns = time.monotonic_ns() + timeout_ns
        while data:
            try:
                data = data[os.write(self._requests, data) :]
            except BlockingIOError:
                waiting = select.poll()
                waiting.register(self._requests, select.POLLOUT)
                left_ms = (deadline_ns - time.monotonic_ns()) // NS_PER_MS
                if left_ms <= 0 or not waiting.poll(left_ms):
                    raise Unavailable(causes.late(timeout_ns, 0)) from None
            except BrokenPipeError:
                raise Unavailable(self._why_gone()) from None

    def _receive_until(self, deadline_ns: int) -> bytes | None:
        """Return the next message, None when it does not come in time."""
        while (message := self._message()) is None:
            left_ns = deadline_ns - time.monotonic_ns()
            self._look(max(left_ns, 0))
            # Not "until nothing comes": what is printed may come without end.
            if left_ns <= 0:
                return self._message()
        return message

    def _message(self) -> bytes | None:
        if len(self._received) < messages.HEADER_BYTES:
            return None
        header = bytes(self._received[: messages.HEADER_BYTES])
        try:
            end = messages.HEADER_BYTES + messages.body_bytes(header, messages.ANSWER_MAX_BYTES)
        except BadInput as error:
            raise Unavailable(f"it wrote nonsense to the agent: {error}") from error
        if len(self._received) < end:
            return None
        message = bytes(self._received[messages.HEADER_BYTES : end])
        del self._received[:end]
        return message

    def _look(self, wait_ns: int) -> None:
        """Take what is there, and wait at most `wait_ns` for it."""
        # Rounded up: a wait of less than a millisecond is a wait.
        ready = self._reading.poll(-(-wait_ns // NS_PER_MS))
        for descriptor, _ in ready:
            if descriptor == self._prints:
                self._take_printed()
        if any(descriptor == self._answers for descriptor, _ in ready):
            part = os.read(self._answers, _READ_BYTES)
            if not part:
                raise Unavailable(self._why_gone())
            self._received += part

    def _take_printed(self) -> None:
        taken = 0
        while taken < _PRINTED_PER_LOOK_BYTES:
            try:
                part = os.read(self._prints, _READ_BYTES)
            except BlockingIOError:
                return
            if not part:
                self._reading.unregister(self._prints)
                return
            taken += len(part)
            self.printed = (self.printed + part)[-PRINTED_MAX_BYTES:]

    def _why_gone(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_TIMEOUT_S)
        return causes.ended(self._process.returncode)


def _understood(parse: Callable[[bytes], _T], data: bytes) -> _T:
    try:
        return parse(data)
    except BadInput as error:
        raise Unavailable(f"it wrote nonsense to the agent: {error}") from error
