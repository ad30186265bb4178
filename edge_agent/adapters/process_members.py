"""All that belongs to one plain process: its children, theirs, and those that left its session.

Rule 1: with control groups the group is the list; nothing leaves it.
Rule 2: without, a process belongs to an instance by its session, or by the mark in the environment that it was
        started with, or by its user when that runs nothing else of ours.
"""

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.adapters import pidfds
from edge_agent.services.runtime import Usage

MARK = "FAIRWAY_INSTANCE"

_USER_TICKS, _CHILD_TICKS_END, _RESIDENT_PAGES = 11, 15, 21  # utime, stime, cutime, cstime; rss
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Belongs:
    """By what a process is known to be an instance's."""

    id: str
    pid: int  # of the first process, which leads the session
    ticks: int  # when that began: its number may be another's by now
    uid: int | None = None  # a user that runs this instance alone

    def members(self) -> set[int]:
        """Return the processes of the instance that have not ended."""
        mark = f"{MARK}={self.id}".encode()
        session = self.pid if pidfds.start_ticks(self.pid) in (0, self.ticks) else 0
        return {pid for pid in _processes() if self._is_member(pid, session, mark)}

    def _is_member(self, pid: int, session: int, mark: bytes) -> bool:
        fields = pidfds.stat_of(pid)
        if not fields or fields[0] in "ZX":
            return False
        if session and session in (pid, int(fields[3])):
            return True
        try:
            if self.uid is not None and Path(f"/proc/{pid}").stat().st_uid == self.uid:
                return True
            return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False


def _processes() -> Iterator[int]:
    with os.scandir("/proc") as entries:
        yield from (int(entry.name) for entry in entries if entry.name.isdigit())


def usage_of(pids: set[int]) -> Usage:
    """Return what these processes and their ended children took; what others of them took is not known."""
    ticks = pages = count = 0
    for pid in pids:
        fields = pidfds.stat_of(pid)
        if fields:
            count += 1
            ticks += sum(map(int, fields[_USER_TICKS:_CHILD_TICKS_END]))
            pages += int(fields[_RESIDENT_PAGES])
    tick_ns = _NS_PER_S // os.sysconf("SC_CLK_TCK")
    return Usage(ticks * tick_ns, pages * os.sysconf("SC_PAGE_SIZE"), count)


def leader_first(pids: Collection[int], leader: int) -> list[int]:
    """Return processes in the order in which they are told to stop.

    A shell that learns of its child's end before its own signal comes ends as if nobody had stopped it.
    """
    return sorted(pids, key=lambda pid: (pid != leader, pid))


def tell(pids: Iterable[int], number: int) -> None:
    """Send a signal to each of these processes that still is what it was."""
    for pid in pids:
        ticks = pidfds.start_ticks(pid)
        if ticks:
            pidfds.send(pid, ticks, number)


def reap(session: int) -> None:
    """Wait for ended processes of a session whose parent we have become."""
    me = os.getpid()
    for pid in _processes():
        fields = pidfds.stat_of(pid)
        is_ours = fields and fields[0] == "Z" and int(fields[1]) == me and pid != session
        if is_ours and int(fields[3]) == session:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
