"""Processes by descriptor: told apart from those that got their number later, waited for, signalled.

    pid + start ticks (of /proc/<pid>/stat) > descriptor > readable when it ended > how it ended

Rule 1: a number is only looked at when its start ticks are the ones remembered: numbers come again.
Rule 2: a child of ours is waited for and so reaped; of any other process the kernel tells how it ended
        (PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15), once its own parent has waited for it.
"""

import contextlib
import fcntl
import os
import platform
import signal
import struct
from pathlib import Path

from edge_agent.services.runtime import Exit

# linux/pidfd.h: _IOWR(0xff, 11, struct pidfd_info), in its first form of 64 bytes.
_GET_INFO = 0xC040_FF0B
_INFO = struct.Struct("=QQ11Ii")
_INFO_EXIT = 1 << 3
_EXIT_SINCE = (6, 15)

# Fields of /proc/<pid>/stat after the name in brackets: state, parent, group, session, ... start ticks.
_STATE, _PARENT, _SESSION, _START_TICKS, _STATUS = 0, 1, 3, 19, -1


def boot() -> str:
    """Return what names this boot of the machine: start ticks count from there."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def stat_of(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat behind the name; none when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return text[text.rfind(")") + 1 :].split()


def start_ticks(pid: int) -> int:
    """Return when a process began, in clock ticks since the boot; 0 when there is none."""
    fields = stat_of(pid)
    return int(fields[_START_TICKS]) if fields else 0


def session_of(pid: int) -> int:
    """Return the session that a process belongs to; 0 when there is no such process."""
    fields = stat_of(pid)
    return int(fields[_SESSION]) if fields else 0


def parent_of(pid: int) -> int:
    """Return the parent of a process; 0 when there is no such process."""
    fields = stat_of(pid)
    return int(fields[_PARENT]) if fields else 0


def has_ended(pid: int) -> bool:
    """Whether a process is no more, or only waits to be waited for."""
    fields = stat_of(pid)
    return not fields or fields[_STATE] in "ZX"


def opened(pid: int, ticks: int) -> int | None:
    """Return a descriptor of the process `pid` that began at `ticks`; None when it is no more."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    # Asked after opening: from here on the number cannot become somebody else's unnoticed.
    if start_ticks(pid) == ticks:
        return descriptor
    os.close(descriptor)
    return None


def exit_of(descriptor: int) -> Exit | None:
    """Return how the process of a descriptor ended; None when it runs, or nobody has waited for it yet."""
    try:
        ended = os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return _told(descriptor)
    if ended is None:
        return None
    if ended.si_code == os.CLD_EXITED:
        return Exit(ended.si_status)
    return Exit(None, ended.si_status)


def exit_of_unburied(pid: int) -> Exit | None:
    """Return how a process ended that nobody has waited for yet; None when there is none, or it runs."""
    fields = stat_of(pid)
    return _exit(int(fields[_STATUS])) if fields and fields[_STATE] == "Z" else None


def tells_exits() -> bool:
    """Whether this kernel says of foreign processes how they ended."""
    numbers = platform.release().split("-", 1)[0].split(".")
    try:
        return (int(numbers[0]), int(numbers[1])) >= _EXIT_SINCE
    except (IndexError, ValueError):
        return False


def _told(descriptor: int) -> Exit | None:
    asked = bytearray(_INFO.size)
    struct.pack_into("=Q", asked, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(descriptor, _GET_INFO, asked)
    except OSError:  # ESRCH: waited for, and nothing is told of it; ENOTTY: an older kernel
        return None
    mask, *_, status = _INFO.unpack(asked)
    if not mask & _INFO_EXIT:
        return None
    return _exit(status)


def _exit(status: int) -> Exit:
    code = os.waitstatus_to_exitcode(status & 0xFFFF)
    return Exit(code) if code >= 0 else Exit(None, -code)


def send(pid: int, ticks: int, number: int) -> None:
    """Send a signal to the process `pid` that began at `ticks`; one that is no more is fine."""
    descriptor = opened(pid, ticks)
    if descriptor is None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        signal.pidfd_send_signal(descriptor, signal.Signals(number))
    os.close(descriptor)
