"""What an engine says of its containers, in our words.

    inspect: State{Status, Pid, ExitCode, OOMKilled, StartedAt}  >  Found

Rule 1: engines tell an end by a signal as 128 + its number, as a shell does; a program that ends itself with
        such a code is taken for one that was ended.
"""

import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_agent.services.runtime import Exit
from fairway.clock import NS_PER_S

_BY_SIGNAL = 128
_NOWHERE = "/nowhere"
_NS_PER_US = 1_000
_RUNNING = frozenset({"running", "paused", "restarting", "stopping"})
_ENDED = frozenset({"exited", "dead", "stopped"})


@dataclass(frozen=True, slots=True)
class Found:
    """A container as the engine told it."""

    container: str  # the engine's id of it
    pid: int
    started_ns: int
    exit: Exit | None


def is_running(status: str) -> bool:
    """Whether a container of that state runs."""
    return status.lower() in _RUNNING


def is_ended(status: str) -> bool:
    """Whether a container of that state ran and has ended."""
    return status.lower() in _ENDED


def found_of(document: Any, *, memory_kills: int = 0) -> Found:
    """Return what an inspection says, and how the container ended if it has.

    `memory_kills` counts the processes that the kernel was seen to end for their memory.
    """
    state = _table(document, "State")
    started_ns = _time_ns(str(state.get("StartedAt", "")))
    container = str(document.get("Id", "")) if isinstance(document, dict) else ""
    if is_running(str(state.get("Status", ""))):
        return Found(container, _number(state.get("Pid")), started_ns, None)
    return Found(container, 0, started_ns, _exit(state, memory_kills))


def cgroup_of(pid: int) -> str:
    """Return the control group that a process is in: that of its memory, or of all in version 2.

    It is "/nowhere" for a process that is no more: nothing is counted there.
    """
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return _NOWHERE
    fields = (line.split(":", 2) for line in lines)
    paths = {name: path for _, names, path in fields for name in names.split(",")}
    return paths.get("memory", paths.get("", _NOWHERE))


def _exit(state: dict[str, Any], memory_kills: int) -> Exit:
    if not is_ended(str(state.get("Status", ""))):
        return Exit(None)  # it never ran: a start that was cut off
    code = _number(state.get("ExitCode"))
    ending = code - _BY_SIGNAL
    if ending in set(signal.Signals):
        by_memory = ending == signal.SIGKILL and memory_kills > 0
        return Exit(None, ending, was_out_of_memory=by_memory or state.get("OOMKilled") is True)
    return Exit(code, was_out_of_memory=state.get("OOMKilled") is True)


def _table(document: Any, key: str) -> dict[str, Any]:
    inner = document.get(key) if isinstance(document, dict) else None
    return inner if isinstance(inner, dict) else {}


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _time_ns(text: str) -> int:
    """Return a time of RFC 3339 in nanoseconds since the epoch, as far as microseconds; 0 for none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return 0
    if time.tzinfo is None or time.year <= 1:
        return 0
    since = time.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * _NS_PER_US
