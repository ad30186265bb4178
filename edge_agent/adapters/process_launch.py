"""Becomes a service: the few steps between a fork and the program of a plain process.

    the agent > this, which waits for its orders > groups, limits, user, rights > the program

Rule 1: without orders it ends: the agent writes down who it is first, so that no process is unknown.
Rule 2: it needs the standard library alone, and hands nothing on but standard input, output and error.
Rule 3: what does not work is told with its step and number; the program is then not run.
"""

import ctypes
import fcntl
import json
import os
import resource
import signal
from collections.abc import Callable
from typing import Any

ORDERS, ANSWER = 3, 4  # descriptors

# linux/prctl.h, linux/capability.h
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 24, 38, 47, 4
_CAPABILITY_VERSION_3 = 0x2008_0522
_CAPABILITIES = 64
# Services go before the agent when the machine's memory ends.
_OOM_SCORE = b"500"
# As in a container: others read what it makes.
_UMASK = 0o022
# Above what a hard limit of open files allows nothing is open.
_DESCRIPTORS_MAX = 1 << 20


def main() -> None:
    """Wait for orders and carry them out; return never."""
    with os.fdopen(ORDERS, "rb") as pipe:
        text = pipe.read()
    if not text:
        os._exit(0)
    fcntl.fcntl(ANSWER, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    step = "orders"
    try:
        for name, act in _steps(json.loads(text)):
            step = name
            act()
    except (OSError, ValueError, KeyError) as error:
        number = error.errno if isinstance(error, OSError) else None
        reason = error.strerror if isinstance(error, OSError) else str(error)
        os.write(ANSWER, json.dumps({"step": step, "number": number, "reason": reason}).encode())
    os._exit(127)


def _steps(said: dict[str, Any]) -> list[tuple[str, Callable[[], object]]]:
    kernel = ctypes.CDLL(None, use_errno=True)
    return [
        ("control groups", lambda: _join(said["groups"])),
        ("out-of-memory score", _give_way),
        ("limits", lambda: _limit(said["limits"])),
        ("user", lambda: _become(kernel, said["uid"])),
        ("rights", lambda: _drop_rights(kernel)),
        ("working folder", lambda: os.chdir(said["folder"])),
        ("signals", _signals),
        ("program", lambda: _run(said["argv"], said["environment"])),
    ]


def _join(groups: list[str]) -> None:
    for group in groups:
        _write(group, b"0")


def _write(path: str, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY)
    os.write(file, data)
    os.close(file)


def _give_way() -> None:
    try:
        _write("/proc/self/oom_score_adj", _OOM_SCORE)
    except OSError:  # some sandboxes have it read only; it is a courtesy, not a limit
        return


def _limit(limits: dict[str, int]) -> None:
    for name, wanted in limits.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (most, most))


def _become(kernel: ctypes.CDLL, uid: int | None) -> None:
    os.umask(_UMASK)
    for capability in range(_CAPABILITIES):  # what we do not have there we cannot drop, either
        kernel.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def _drop_rights(kernel: ctypes.CDLL) -> None:
    kernel.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _done(kernel.capset(header, (ctypes.c_uint32 * 6)()))
    _done(kernel.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _done(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _signals() -> None:
    """Take back what Python and the agent ignore: programs expect the defaults."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _run(argv: list[str], environment: dict[str, str]) -> None:
    os.closerange(ANSWER + 1, _DESCRIPTORS_MAX)
    os.execvpe(argv[0], argv, environment)  # noqa: S606 - no shell is wanted
