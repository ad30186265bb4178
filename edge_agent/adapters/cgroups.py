"""Control groups of the kernel: where they are, what a group takes, and their end.

    v1      a hierarchy for each controller: memory, cpu, cpuacct, pids ...
    hybrid  v1, and a unified one beside it: what it controls, v1 does not
    v2      the unified one alone

Rule 1: groups are told by looking at the mounts, never by the kernel's version.
Rule 2: a counter that is not there is not known, which is another thing than 0.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge_agent.services.runtime import Usage
from fairway.errors import Unavailable

MOUNTS = Path("/proc/self/mountinfo")
# Processes of a group that was killed are gone by then, or the kernel does not let them go.
_REMOVE_TRIES = 200
_REMOVE_WAIT_S = 0.02


class Mode(StrEnum):
    """How groups are laid out."""

    V1 = "v1"
    HYBRID = "hybrid"
    V2 = "v2"


@dataclass(frozen=True, slots=True)
class Groups:
    """The hierarchies of this machine."""

    mode: Mode
    controllers: Mapping[str, Path]  # of v1, by name; two may share a hierarchy
    unified: Path | None = None
    unified_controls: frozenset[str] = frozenset()  # what the unified one controls

    def roots(self) -> Iterator[Path]:
        """Each hierarchy once."""
        yield from dict.fromkeys(self.controllers.values())
        if self.unified is not None:
            yield self.unified

    def where(self, controller: str) -> Path | None:
        """Return the hierarchy that has a controller."""
        if controller in self.unified_controls:
            return self.unified
        return self.controllers.get(controller)

    @property
    def limits_swap(self) -> bool:
        """Whether memory and swap can be limited together."""
        root = self.where("memory")
        if root is None:
            return False
        if root == self.unified:
            return Path("/proc/swaps").exists()
        return (root / "memory.memsw.limit_in_bytes").exists()


def look() -> Groups:
    """Return the hierarchies that are mounted.  Raises Unavailable when there are none."""
    try:
        return parsed(MOUNTS.read_text())
    except OSError as error:
        raise Unavailable(f"control groups cannot be seen: {error}") from error


def parsed(mounts: str) -> Groups:
    """Return the hierarchies of a mountinfo.  Raises Unavailable when there are none."""
    controllers: dict[str, Path] = {}
    unified = None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4])
        kind, _, options = after.split()[:3]
        if kind == "cgroup2":
            unified = unified or point
        elif kind == "cgroup":
            for name in options.split(","):
                controllers.setdefault(name, point)
    for word in ("rw", "ro", "xattr", "noprefix", "clone_children"):
        controllers.pop(word, None)
    if not controllers and unified is None:
        raise Unavailable("this kernel has no control groups mounted: nothing could be limited")
    controls = frozenset(_words(unified / "cgroup.controllers")) if unified else frozenset[str]()
    if not controllers:
        return Groups(Mode.V2, {}, unified, controls)
    return Groups(Mode.HYBRID if unified else Mode.V1, controllers, unified, controls)


def check_parent(groups: Groups, path: str) -> None:
    """Raise Unavailable when no groups with limits can be made in the group `path` of a unified hierarchy.

    A group has processes or groups with limits in it, never both; the root of all alone may have both.
    """
    if groups.mode is not Mode.V2 or groups.unified is None:
        return
    above = groups.unified / path.lstrip("/")
    while not above.exists() and above != groups.unified:
        above = above.parent
    is_root_of_all = not (above / "cgroup.type").exists()
    if not is_root_of_all and _words(above / "cgroup.procs"):
        raise Unavailable(
            f"the control group {above} has processes of its own: let cgroup_parent name an empty one "
            "that is delegated to the agent"
        )


def usage(groups: Groups, path: str) -> Usage:
    """Return what the group `path` takes.  Raises Unavailable when it is not there, or nobody counts."""
    try:
        return Usage(
            cpu_ns=_cpu_ns(groups, path),
            memory_bytes=_memory_bytes(groups, path),
            pids=int(_folder(groups, "pids", path).joinpath("pids.current").read_text()),
            out_of_memory_kills=out_of_memory_kills(groups, path) or 0,
        )
    except (OSError, ValueError, KeyError) as error:
        raise Unavailable(f"what {path} takes is not known: {error}") from error


def out_of_memory_kills(groups: Groups, path: str) -> int | None:
    """Return how many processes of a group the kernel ended because its memory was full; None: not known."""
    root = groups.where("memory")
    if root is None:
        return None
    name = "memory.events" if root == groups.unified else "memory.oom_control"
    return _table(root / path.lstrip("/") / name).get("oom_kill")


def pids(groups: Groups, path: str) -> set[int]:
    """Return the processes of a group and of the groups in it."""
    found: set[int] = set()
    for folder in _folders(groups, path):
        found |= {int(word) for word in _words(folder / "cgroup.procs")}
    return found


def children(groups: Groups, path: str) -> set[str]:
    """Return the names of the groups in a group."""
    names: set[str] = set()
    for root in groups.roots():
        with contextlib.suppress(OSError):
            names |= {entry.name for entry in os.scandir(root / path.lstrip("/")) if entry.is_dir()}
    return names


def holds(path: str, pid: int) -> bool:
    """Return whether process `pid` is in the group `path`, in any hierarchy."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return False
    return any(line.split(":", 2)[2] == path for line in lines)


async def remove(groups: Groups, path: str) -> None:
    """End all processes of a group and remove it; what is not there is fine.  Raises Unavailable."""
    left = _removed(groups, path)
    for _ in range(_REMOVE_TRIES):
        if not left:
            return
        await asyncio.sleep(_REMOVE_WAIT_S)
        left = _removed(groups, path)
    raise Unavailable(f"the control group {path} cannot be removed: {left[0]} is busy")


def _removed(groups: Groups, path: str) -> list[str]:
    """Return the folders that are still there."""
    for pid in pids(groups, path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    left = []
    for folder in _folders(groups, path):
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            left.append(str(folder))
    return left


def _folders(groups: Groups, path: str) -> list[Path]:
    """Return the folders of a group and of all in it, the innermost first, in all hierarchies."""
    found = []
    for root in groups.roots():
        for folder, _, _ in os.walk(root / path.lstrip("/"), topdown=False):
            found.append(Path(folder))
    return found


def _folder(groups: Groups, controller: str, path: str) -> Path:
    root = groups.where(controller)
    if root is None:
        raise Unavailable(f"nobody counts {controller} here")
    return root / path.lstrip("/")


def _cpu_ns(groups: Groups, path: str) -> int:
    # The unified hierarchy counts time of all groups, even where v1 has the controller.
    root = groups.controllers.get("cpuacct")
    if root is not None:
        return int((root / path.lstrip("/") / "cpuacct.usage").read_text())
    return _table(_folder(groups, "cpu", path) / "cpu.stat")["usage_usec"] * 1000


def _memory_bytes(groups: Groups, path: str) -> int:
    """Return what cannot be taken from it without harm: not the files that it has read once."""
    folder = _folder(groups, "memory", path)
    is_v2 = folder.is_relative_to(groups.unified) if groups.unified else False
    name, cold = (
        ("memory.current", "inactive_file")
        if is_v2
        else ("memory.usage_in_bytes", "total_inactive_file")
    )
    return max(0, int((folder / name).read_text()) - _table(folder / "memory.stat").get(cold, 0))


def _table(path: Path) -> dict[str, int]:
    """Return a file of `name number` lines."""
    words = _words(path)
    return {name: int(number) for name, number in zip(words[::2], words[1::2], strict=False)}


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
