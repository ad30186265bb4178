"""What the kernel counts of a control group, of both versions: CPU time, memory, processes, kills.

    /proc/self/mounts > where each controller is > /proc/<pid>/cgroup > the groups of a process > Usage

Rule 1: a controller of version 1 goes before the same one of version 2: a hybrid has it there.
Rule 2: a group that is gone counts nothing; that is no error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.services.runtime import Usage

_CONTROLLERS = ("memory", "cpu", "cpuacct", "pids")
_NS_PER_US = 1_000


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Where controllers are."""

    folders: dict[str, Path]  # by controller
    is_unified: dict[str, bool]  # whether a controller speaks version 2


def hierarchies(mounts: str, controllers_of: Callable[[Path], str]) -> Hierarchies:
    """Return where each controller is, by the text of /proc/self/mounts; version 1 where it has both.

    `controllers_of` returns the text of cgroup.controllers of a mount of version 2.
    """
    folders: dict[str, Path] = {}
    unified: dict[str, bool] = {}
    for line in sorted(mounts.splitlines(), key=lambda line: " cgroup2 " in line):
        words = line.split()
        if len(words) < 4 or words[2] not in ("cgroup", "cgroup2"):
            continue
        place = Path(words[1].replace("\\040", " "))
        is_unified = words[2] == "cgroup2"
        has = controllers_of(place).split() if is_unified else words[3].split(",")
        if is_unified and "cpu" in has:
            has.append("cpuacct")  # cpu.stat counts there without being asked
        for controller in set(has) & set(_CONTROLLERS) - set(folders):
            folders[controller], unified[controller] = place, is_unified
    return Hierarchies(folders, unified)


def look() -> Hierarchies:
    """Return where each controller of this machine is."""
    return hierarchies(
        text_of(Path("/proc/self/mounts")), lambda place: text_of(place / "cgroup.controllers")
    )


def groups_of(pid: int, found: Hierarchies) -> Hierarchies:
    """Return the groups that a process is in."""
    lines = (line.split(":", 2) for line in text_of(Path(f"/proc/{pid}/cgroup")).splitlines())
    paths = {name: line[2].strip("/") for line in lines for name in line[1].split(",")}
    folders = {}
    for controller, place in found.folders.items():
        name = "" if found.is_unified[controller] else controller  # version 2 has no name
        if name in paths:
            folders[controller] = place / paths[name]
    return Hierarchies(folders, found.is_unified)


def usage(group: Hierarchies) -> Usage | None:
    """Return what is counted in a group; None when nobody counts memory or CPU time there."""
    memory, cpu = group.folders.get("memory"), group.folders.get("cpuacct")
    if memory is None or cpu is None or not memory.is_dir():
        return None
    return Usage(
        _cpu_ns(group, cpu), _memory(group, memory), _pids(group, memory), memory_kills(group)
    )


def memory_kills(group: Hierarchies) -> int:
    """Return how many processes of a group the kernel ended because of its memory limit."""
    memory = group.folders.get("memory")
    if memory is None:
        return 0
    name = "memory.events" if group.is_unified["memory"] else "memory.oom_control"
    return _fields(memory / name).get("oom_kill", 0)


def _pids(group: Hierarchies, memory: Path) -> int:
    pids = group.folders.get("pids")
    return _number(pids / "pids.current") if pids else len(text_of(memory / "cgroup.procs").split())


def _cpu_ns(group: Hierarchies, folder: Path) -> int:
    if group.is_unified["cpuacct"]:
        return _fields(folder / "cpu.stat").get("usage_usec", 0) * _NS_PER_US
    return _number(folder / "cpuacct.usage")


def _memory(group: Hierarchies, folder: Path) -> int:
    """Return the memory in use, without what is cached of files and can go at once."""
    is_unified = group.is_unified["memory"]
    used = _number(folder / ("memory.current" if is_unified else "memory.usage_in_bytes"))
    idle = "inactive_file" if is_unified else "total_inactive_file"
    return max(used - _fields(folder / "memory.stat").get(idle, 0), 0)


def text_of(path: Path) -> str:
    """Return what a file of the kernel says, "" when it is not there."""
    try:
        return path.read_text("ascii")
    except OSError:
        return ""


def _fields(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in text_of(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(path: Path) -> int:
    text = text_of(path).strip()
    return int(text) if text.isdigit() else 0
