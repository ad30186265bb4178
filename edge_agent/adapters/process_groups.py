"""Control groups of plain processes: one for each instance, in every hierarchy that the kernel has.

    <hierarchy>/<parent>/<instance>     memory, cpu, cpuacct, pids of version 1, or all of them in version 2

Rule 1: what cannot be limited here is said (`memory`, `cpu`, `pids`); a missing controller is no error.
Rule 2: who is in a group cannot leave it, so that a group is the list of all that belongs to an instance.
"""

import contextlib
import os
from pathlib import Path

from edge_agent.adapters import cgroups
from edge_agent.services.runtime import Usage
from fairway.errors import Unavailable
from fairway.services.model import Resources

_CONTROLLERS = ("memory", "cpu", "cpuacct", "pids")
_CPU_PERIOD_US = 100_000  # the kernel's own; the smallest quota is 1 ms of it
_CPU_QUOTA_MIN_US = 1_000


class ProcessGroups:
    """The control groups of one agent's instances, below `parent` in each hierarchy."""

    def __init__(self, parent: str, groups: cgroups.Groups | None = None) -> None:
        """Take the name of the parent group, as `fairway` or `vehicle/services`."""
        self.parent = parent
        self._groups = groups or _looked()
        self._parents: dict[str, Path] = {}
        for controller in _CONTROLLERS:
            place = self._groups.where(controller)
            if place is not None and self._prepared(place, controller):
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
        return cgroups.pids(self._groups, f"{self.parent}/{id_}")

    def usage(self, id_: str) -> Usage | None:
        """Return what an instance takes; None when nobody counts that here."""
        try:
            return cgroups.usage(self._groups, f"{self.parent}/{id_}")
        except Unavailable:
            return None

    def memory_kills(self, id_: str) -> int:
        """Return how many processes of an instance the kernel ended because of its memory limit."""
        return cgroups.out_of_memory_kills(self._groups, f"{self.parent}/{id_}") or 0

    def names(self) -> set[str]:
        """Return the ids of all instances that have a group."""
        return cgroups.children(self._groups, self.parent)

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

    def _is_unified(self, controller: str) -> bool:
        return self._groups.where(controller) == self._groups.unified

    def _prepared(self, place: Path, controller: str) -> bool:
        """Make the parent group and hand it the controller; return whether its children can have it."""
        try:
            (place / self.parent).mkdir(parents=True, exist_ok=True)
            if not self._is_unified(controller):
                return os.access(place / self.parent, os.W_OK)
            at = place
            for part in ("", *Path(self.parent).parts):
                at = at / part
                if controller not in (at / "cgroup.subtree_control").read_text("ascii").split():
                    (at / "cgroup.subtree_control").write_text(f"+{controller}", "ascii")
        except OSError:
            return False
        return True

    def _limit(self, controller: str, group: Path, resources: Resources) -> None:
        is_unified = self._is_unified(controller)
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


def _looked() -> cgroups.Groups:
    try:
        return cgroups.look()
    except Unavailable:
        return cgroups.Groups(cgroups.Mode.V1, {})
