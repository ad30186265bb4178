"""Notices that the kernel ended a process of a control group for its memory, before the group is removed.

    version 1: memory.oom_control + an event descriptor        version 2: the engine tells by itself

Rule 1: nothing is polled; a notice is read at once, for an engine removes the group of an ended container.
"""

import asyncio
import contextlib
import os

from edge_agent.adapters import cgroups

# The notice comes when memory is short; a process is ended a moment later.
_LOOK_AGAIN_S = 0.01
_LOOKS = 20


class MemoryWatch:
    """Watches one group."""

    def __init__(self, groups: cgroups.Groups, path: str) -> None:
        self._groups, self._path = groups, path
        self._kills = 0
        self._event = self._control = -1
        place = groups.where("memory")
        if place is None or place == groups.unified:
            return
        memory = place / path.lstrip("/")
        try:
            self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._control = os.open(memory / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            (memory / "cgroup.event_control").write_text(f"{self._event} {self._control}", "ascii")
        except OSError:
            self.close()
            return
        asyncio.get_running_loop().add_reader(self._event, self._told)

    @property
    def kills(self) -> int:
        """How many processes were ended, as far as was seen."""
        self._look()
        return self._kills

    def close(self) -> None:
        """Watch no more."""
        for descriptor in (self._event, self._control):
            if descriptor >= 0:
                with contextlib.suppress(RuntimeError):  # no loop runs any more
                    asyncio.get_running_loop().remove_reader(descriptor)
                os.close(descriptor)
        self._event = self._control = -1

    def _told(self, looks: int = _LOOKS) -> None:
        if self._event < 0:
            return
        with contextlib.suppress(OSError):  # nothing in it: another notice was taken with this one
            os.eventfd_read(self._event)
        self._look()
        if not self._kills and looks:
            asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self._told, looks - 1)

    def _look(self) -> None:
        kills = cgroups.out_of_memory_kills(self._groups, self._path) or 0
        self._kills = max(self._kills, kills)
