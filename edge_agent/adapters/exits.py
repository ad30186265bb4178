"""How processes end that this one did not start itself, told by the kernel, without polling.

    pidfd readable > a child of ours? > waitid       else > PIDFD_GET_INFO > /proc of the dead > not known

Rule 1: a process is held by its pidfd from the moment it is known: its number may be used again, this not.
Rule 2: orphans of a container program become our children (inheriting_orphans): their exit codes are ours.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_agent.adapters import pidfds
from edge_agent.services.runtime import Exit
from fairway.errors import Unavailable

_PR_SET_CHILD_SUBREAPER = 36


class _Inheriting:
    """How many parts of this process want its orphans now: the kernel knows one flag for all of it."""

    holders = 0


@contextlib.contextmanager
def inheriting_orphans() -> Iterator[None]:
    """Inherit the orphans of our children for as long as this lasts, and no others: who inherits must bury."""
    if not _Inheriting.holders:
        _inherit(is_on=True)
    _Inheriting.holders += 1
    try:
        yield
    finally:
        _Inheriting.holders -= 1
        if not _Inheriting.holders:
            _inherit(is_on=False)


def _inherit(*, is_on: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(is_on), 0, 0, 0)


def signal_of(name: str) -> signal.Signals:
    """Return the signal that an image or a manifest names: TERM, SIGTERM, 15; one that is none is TERM."""
    known = {one.name: one for one in signal.Signals} | {
        str(one.value): one for one in signal.Signals
    }
    return known.get(name.upper()) or known.get(f"SIG{name.upper()}") or signal.SIGTERM


class Watched:
    """One process, until it has ended.  Of one event loop."""

    def __init__(self, pid: int, ended: Callable[[Exit], None]) -> None:
        """`ended` is called once.  Raises Unavailable when there is no such process."""
        self.pid = pid
        self._ended = ended
        try:
            self._file = os.pidfd_open(pid)
        except OSError as error:
            raise Unavailable(f"there is no process {pid}: {error}") from error
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._file, self._end)

    def signal(self, name: str) -> None:
        """Send a signal such as TERM; a process that has ended does not mind."""
        if self._file >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._file, signal_of(name))

    def is_deaf_to(self, name: str) -> bool:
        """Return whether the first process of a container will not mind a signal that would end any other.

        The kernel drops what such a process has no handler for, instead of ending it.
        """
        bit = 1 << (signal_of(name) - 1)
        status = _status(self.pid)
        masks = [int(status.get(kind, "0"), 16) for kind in ("SigCgt", "SigBlk", "SigIgn")]
        return bool(status) and not any(mask & bit for mask in masks)

    def forget(self) -> None:
        """Watch it no longer."""
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    def _end(self) -> None:
        exit_ = _exit_of(self._file, self.pid)
        self.forget()
        self._ended(exit_)


def reap_strays(*but: int) -> None:
    """Wait for the dead of containers that became our children, except the first processes `but`.

    A container cannot end before each of its dead was waited for, by whoever is its parent outside.
    """
    for pid in children_of(os.getpid()) - set(but):
        if _is_dead_elsewhere(pid):
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)


def children_of(parent: int) -> set[int]:
    """Return the children of a process, also those that have ended and wait for it."""
    try:
        lists = [Path(task.path) / "children" for task in os.scandir(f"/proc/{parent}/task")]
        return {int(pid) for path in lists for pid in path.read_text().split()}
    except (
        FileNotFoundError,
        ProcessLookupError,
    ):  # a thread ended meanwhile, or this kernel has no such lists
        every = (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
        return {pid for pid in every if pidfds.parent_of(pid) == parent}


def _is_dead_elsewhere(pid: int) -> bool:
    """Return whether it has ended, and lived in another process namespace: nobody else here waits for it."""
    status = _status(pid)
    return status.get("State", "").startswith("Z") and len(status.get("NSpid", "").split()) > 1


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _exit_of(file: int, pid: int) -> Exit:
    # Its parent may or may not have waited for it, and may do so between our questions.
    return (
        pidfds.exit_of(file) or pidfds.exit_of_unburied(pid) or pidfds.exit_of(file) or Exit(None)
    )
