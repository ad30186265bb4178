"""Control groups of plain processes: one for each instance, in every hierarchy that the kernel has.

    <hierarchy>/<parent>/<instance>     memory, cpu, cpuacct, pids of version 1, or all of them in version 2

Rule 1: what cannot be limited here is said (`memory`, `cpu`, `pids`); a missing controller is no error.
Rule 2: who is in a group cannot leave it, so that a group is the list of all that belongs to an instance.
"""

import contextlib
import os
from pathlib import Path

from edge_agent.adapters import group_counters
from edge_agent.adapters.group_counters import Hierarchies, text_of
from edge_agent.services.runtime import Usage
from fairway.errors import Unavailable
from fairway.services.model import Resources

_CPU_PERIOD_US = 100_000  # the kernel's own; the smallest quota is 1 ms of it
_CPU_QUOTA_MIN_US = 1_000


class ProcessGroups:
    """The control groups of one agent's instances, below `parent` in each hierarchy."""

    def __init__(self, parent: str, found: Hierarchies | None = None) -> None:
        found = found or group_counters.look()
        self.parent, self._unified = parent, found.is_unified
        self._parents: dict[str, Path] = {}
        for controller, place in found.folders.items():
            if self._prepared(place, parent, controller):
                self._parents[controller] = place / parent

    @property
    def memory(self) -> bool:
        """Whether memory is limited."""
        return "memory" in self._parents

    @property
    def cpu(self) -> bool:
        """Whether CPU time is limited."""
        return "cpu" in self._parents

    @property
    def pids(self) -> bool:
        """Whether the number of processes is limited."""
        return "pids" in self._parents

    @property
    def is_there(self) -> bool:
        """Whether there is a group at all."""
        return bool(self._parents)

    def make(self, id_: str, resources: Resources) -> list[Path]:
        """Make the groups of an instance and return the files that a process joins them by.

        Raises Unavailable.
        """
        try:
            for parent in self._places():
                (parent / id_).mkdir(exist_ok=True)
            for controller, parent in self._parents.items():
                self._limit(controller, parent / id_, resources)
        except OSError as error:
            self.remove(id_)
            raise Unavailable(f"the control group of {id_} cannot be made: {error}") from error
        return self.joined_by(id_)

    def joined_by(self, id_: str) -> list[Path]:
        """Return the files that a process joins the groups of an instance by."""
        return [parent / id_ / "cgroup.procs" for parent in self._places()]

    def members(self, id_: str) -> set[int]:
        """Return all processes of an instance."""
        return {
            int(line)
            for parent in self._places()
            for line in text_of(parent / id_ / "cgroup.procs").split()
        }

    def usage(self, id_: str) -> Usage | None:
        """Return what an instance takes; None when nobody counts memory or CPU time here."""
        return group_counters.usage(self._group(id_))

    def memory_kills(self, id_: str) -> int:
        """Return how many processes of an instance the kernel ended because of its memory limit."""
        return group_counters.memory_kills(self._group(id_))

    def names(self) -> set[str]:
        """Return the ids of all instances that have a group."""
        found: set[str] = set()
        for parent in self._places():
            with contextlib.suppress(OSError):
                found |= {entry.name for entry in os.scandir(parent) if entry.is_dir()}
        return found

    def remove(self, id_: str) -> bool:
        """Remove the groups of an instance; return whether they are gone, which they are when it is empty."""
        for parent in self._places():
            with contextlib.suppress(OSError):
                (parent / id_).rmdir()
        return not any((parent / id_).is_dir() for parent in self._places())

    def close(self) -> None:
        """Remove the parent groups, too, where nothing is in them any more."""
        for parent in self._places():
            with contextlib.suppress(OSError):
                parent.rmdir()

    def _places(self) -> list[Path]:
        return list(dict.fromkeys(self._parents.values()))

    def _prepared(self, place: Path, parent: str, controller: str) -> bool:
        """Make the parent group and hand it the controller; return whether its children can have it."""
        try:
            (place / parent).mkdir(parents=True, exist_ok=True)
            if not self._unified[controller] or controller == "cpuacct":
                return os.access(place / parent, os.W_OK)
            at = place
            for part in ("", *Path(parent).parts):
                at = at / part
                if controller not in text_of(at / "cgroup.subtree_control").split():
                    (at / "cgroup.subtree_control").write_text(f"+{controller}", "ascii")
        except OSError:
            return False
        return True

    def _limit(self, controller: str, group: Path, resources: Resources) -> None:
        is_unified = self._unified[controller]
        quota = max(int(resources.cpu_max * _CPU_PERIOD_US), _CPU_QUOTA_MIN_US)
        if controller == "memory" and is_unified:
            (group / "memory.max").write_text(str(resources.memory_max_bytes), "ascii")
            with contextlib.suppress(OSError):  # a kernel without swap has no such file
                (group / "memory.swap.max").write_text("0", "ascii")
        elif controller == "memory":
            (group / "memory.limit_in_bytes").write_text(str(resources.memory_max_bytes), "ascii")
            with contextlib.suppress(OSError):
                text = str(resources.memory_max_bytes)
                (group / "memory.memsw.limit_in_bytes").write_text(text, "ascii")
        elif controller == "cpu" and is_unified:
            (group / "cpu.max").write_text(f"{quota} {_CPU_PERIOD_US}", "ascii")
        elif controller == "cpu":
            (group / "cpu.cfs_period_us").write_text(str(_CPU_PERIOD_US), "ascii")
            (group / "cpu.cfs_quota_us").write_text(str(quota), "ascii")
        elif controller == "pids":
            (group / "pids.max").write_text(str(resources.pids_max), "ascii")

    def _group(self, id_: str) -> Hierarchies:
        folders = {controller: parent / id_ for controller, parent in self._parents.items()}
        return Hierarchies(folders, self._unified)
