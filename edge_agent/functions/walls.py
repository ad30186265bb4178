"""What stands between a campaign's function and the vehicle, and what must stand for it to run.

Rule 1: a process says which walls it stands behind before it is given foreign code.
Rule 2: a wall that the system does not give is named with its reason, in the log and in every report.
Rule 3: without the walls of REQUIRED no function runs, unless the operator has said that it may.
"""

from collections.abc import Mapping
from enum import StrEnum


class Wall(StrEnum):
    """One thing that the kernel enforces; the value is its name in logs and reports."""

    LIMITS = (
        "limits"  # memory, CPU time, no files written, no further processes, no further descriptors
    )
    SECCOMP = "seccomp"  # system calls: no files, processes, signals, sockets, executable memory
    USER = "user"  # another user than the agent's, when the agent is root
    NAMESPACES = "namespaces"  # no network, no mounts, no shared memory of others
    EMPTY_ROOT = "empty root"  # a file system without files
    LANDLOCK = "landlock"  # no files, no TCP, no signals; once more, by another part of the kernel
    CAPABILITIES = "capabilities"  # none, and none to be had


REQUIRED = (Wall.LIMITS, Wall.SECCOMP)


def missing(walls: Mapping[str, str]) -> dict[str, str]:
    """Return the walls that do not hold, each with its reason; one that was not spoken of does not hold."""
    said = {wall.value: walls.get(wall.value, "nothing is known of it") for wall in Wall}
    return {name: why for name, why in said.items() if why}


def refusal(walls: Mapping[str, str], *, without_seccomp: bool) -> str:
    """Return why no function may run behind these walls, "" when it may."""
    gone = missing(walls)
    needed = (Wall.LIMITS,) if without_seccomp else REQUIRED
    for wall in needed:
        if wall in gone:
            return f"this system has no {wall.value} to hold custom functions ({gone[wall]})"
    return ""
