"""The program that makes containers: runc or crun, as it must be called on this machine.

    crun       where the unified hierarchy has all controllers, or v1 has: the smaller and the quicker one
    runc       on a hybrid layout, which crun refuses
    crun, in a mount namespace of its own without the unified hierarchy: hybrid, and no runc

Rule 1: which one it is, is decided by looking, once, and told.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from edge_agent.adapters import children
from edge_agent.adapters.cgroups import Groups, Mode
from fairway.errors import BadInput, FairwayError, Unavailable

COMMAND_TIMEOUT_S = 30.0
_LOG_MAX_BYTES = 64 * 1024
# What is said when the image or the manifest is wrong, rather than the moment.
_NEVER = re.compile(
    r'exec: "|executable file|exec format error|open executable|chdir|'
    r"cannot set cwd|not a directory|invalid argument.*cwd",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A program, and what comes before it."""

    name: str
    argv: tuple[str, ...]
    version: str
    has_seccomp: bool

    def command(self, state: Path, log: Path, *words: str) -> list[str]:
        """Return the command line for `words`, with all state in a folder of ours."""
        return [*self.argv, "--root", str(state), "--log", str(log), "--log-format", "json", *words]


async def find(groups: Groups, program: str = "") -> Tool:
    """Return the program to use: `program` if it is named.  Raises Unavailable, BadInput."""
    is_hybrid = groups.mode is Mode.HYBRID and bool(groups.unified_controls)
    wanted = [program] if program else ["runc", "crun"] if is_hybrid else ["crun", "runc"]
    problems = []
    for name in wanted:
        path = shutil.which(name)
        if path is None:
            problems.append(f"there is no {name}")
            continue
        is_crun = Path(path).name.startswith("crun")
        prefix = _without_unified(groups) if is_crun and is_hybrid else ()
        tool = await _looked_at(path, (*prefix, path))
        if tool.has_seccomp:
            return tool
        problems.append(f"{path} was built without seccomp")
    why = " and ".join(problems)
    raise (BadInput if program else Unavailable)(f"containers cannot be run here: {why}")


async def _looked_at(path: str, argv: tuple[str, ...]) -> Tool:
    done = await children.run(
        [path, "--version"], timeout_s=COMMAND_TIMEOUT_S, output_max_bytes=4096
    )
    said = done.output.decode("utf-8", "replace")
    first = said.splitlines()[0] if said else ""
    name, _, version = first.partition(" version ")
    if done.code or name not in ("runc", "crun"):
        raise BadInput(f"{path} is neither runc nor crun: it says {first[:80]!r}")
    return Tool(name, argv, version, "libseccomp" in said or "+SECCOMP" in said)


def _without_unified(groups: Groups) -> tuple[str, ...]:
    script = 'umount "$0" && exec "$@"'
    return ("unshare", "--mount", "--propagation", "slave", "sh", "-c", script, str(groups.unified))


def said(log: Path, output: str = "") -> str:
    """Return the last error in a log of the program, or the last line of what it printed."""
    try:
        with log.open("rb") as file:
            lines = file.read(_LOG_MAX_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    for line in reversed(lines):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("level") in ("error", "fatal"):
            return str(record.get("msg", ""))
    return (output.strip().splitlines() or ["it does not say why"])[-1]


def error(what: str, why: str) -> FairwayError:
    """Return the error that a failure of the program is: BadInput when it will never work."""
    return (BadInput if _NEVER.search(why) else Unavailable)(f"{what}: {why}")
