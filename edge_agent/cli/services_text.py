"""How services are told to people: a table of states, an explanation, and the news of a log.

Rule 1: what a service is called or says is a stranger's text: nothing of it reaches a terminal as a command.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from edge_agent.cli.signals_text import Column, moment, shown

_MIB = 1 << 20


def status_columns() -> list[Column]:
    """Return the columns of `list`."""
    return [
        Column("NAME", lambda one: shown(one["name"])),
        Column("VERSION", lambda one: shown(one["version"])),
        Column("STATE", state_of),
        Column("READY", lambda one: "yes" if one["is_ready"] else "no"),
        Column("SINCE", lambda one: moment(one["since_ns"])),
        Column("RESTARTS", lambda one: str(one["restarts"])),
        Column("CPU", lambda one: f"{100 * one['cpu']:.1f} %"),
        Column("MEMORY", lambda one: f"{one['memory_bytes'] / _MIB:.1f} MiB"),
        Column("WHY", _why),
    ]


def state_of(status: dict[str, Any]) -> str:
    """Return a state as Ankaios writes it."""
    return f"{status['state']}({status['sub']})" if status["sub"] else str(status["state"])


def _why(status: dict[str, Any]) -> str:
    said = [shown(status["why"])] if status["why"] else []
    if not status["is_isolated"]:
        said.append("not isolated")
    return "; ".join(said)


def explained(why: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that explain how a service stands."""
    ready = "ready" if why["ready"] else "not ready"
    reason = f": {shown(why['why'])}" if why["why"] else ""
    yield f"{shown(why['name'])} is {shown(why['state'])}, {ready}{reason}"
    for key, what in (("wanted", "wanted"), ("in_force", "in force"), ("last_good", "last good")):
        if why.get(key):
            by = f", declared by {why[key]['by']}" if "by" in why[key] else ""
            yield f"  {what}: {shown(why[key]['version'])} ({shown(why[key]['instance'])}){by}"
    if why.get("change"):
        yield f"  changing to {shown(why['change']['to'])}: {shown(why['change']['phase'])}"
    for one in why.get("bad", ()):
        yield f"  bad here: {shown(one['version'])} ({shown(one['instance'])}): {shown(one['why'])}"
    for other, needs in why.get("dependencies", {}).items():
        met = "met" if needs["met"] else "not met"
        yield f"  needs {shown(other)} {shown(needs['needs'])}: {met}"
    for id_, one in why.get("instances", {}).items():
        yield from _instance(id_, one)
    if why.get("out_of_memory"):
        yield f"  ended {why['out_of_memory']} times for lack of memory"
    yield from _complaints(why)


def _complaints(why: dict[str, Any]) -> Iterator[str]:
    for one in why.get("denied", ()):
        yield f"  denied: {_denial(one)}"
    for warning in why.get("warnings", ()):
        yield f"  warning: {shown(warning)}"
    if not why.get("isolated", True):
        yield "  it is a plain process: nothing isolates it"


def _denial(one: dict[str, Any]) -> str:
    times = f"once, {moment(one['last_ns'])}"
    if one["count"] > 1:
        first, last = moment(one["first_ns"]), moment(one["last_ns"])
        times = f"{one['count']} times, first {first}, last {last}"
    why = f": {shown(one['why'])}" if one.get("why") else ""
    return f"{shown(one['action'])} {shown(one['what'])}, {times}{why}"


def _instance(id_: str, one: dict[str, Any]) -> Iterator[str]:
    yield f"  {shown(id_)}: {shown(one['is'])} for {one['for_s']} s"
    for key, what in (("last_exit", "ended"), ("error", "error"), ("sick", "sick")):
        if one.get(key):
            yield f"    {what}: {shown(one[key])}"
    if one.get("next_try_s") is not None:
        yield f"    tried again in {one['next_try_s']} s, after {one['failures_in_a_row']} failures"
    for kind, check in one.get("checks", {}).items():
        verdict = {True: "passed", False: "failed", None: "no verdict yet"}[check["passed"]]
        last = f"; last answer: {shown(check['last'])}" if check.get("last") else ""
        yield f"    {shown(kind)}: {verdict}{last}"
    if one.get("memory_bytes") is not None:
        mib, cpu = one["memory_bytes"] / _MIB, 100 * (one.get("cpu") or 0.0)
        yield f"    takes {mib:.1f} MiB, {cpu:.1f} % of a core, {shown(one.get('pids'))} processes"


def news(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return the lines of `after` that come after those of `before`; both are the end of one log."""
    for start in range(len(before)):
        overlap = before[start:]
        if list(after[: len(overlap)]) == list(overlap):
            return list(after[len(overlap) :])
    return list(after)
