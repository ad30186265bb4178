"""The table `health` of a manifest <-> Health.

Rule 1: a check is one probe (command, http, grpc or publishes), and how it is used.
"""

from typing import Any

from fairway.services.fields import Table
from fairway.services.model import Check, Command, Grpc, Health, Http, Probe, Publishes

_KINDS = ("command", "http", "grpc", "publishes")
_USUAL = Check(Command(()))
DAY_S = 86_400.0


def health_of(table: Table) -> Health:
    """Return what the table `health` says.  Raises BadInput."""
    usual = Health()
    made = Health(
        liveness=_check(table, "liveness"),
        readiness=_check(table, "readiness"),
        within_s=table.number("within_s", usual.within_s, least=0.1, most=3600),
        soak_s=table.number("soak_s", usual.soak_s, least=0, most=3600),
    )
    table.nothing_else()
    return made


def health_document(health: Health) -> dict[str, Any]:
    """Return the table `health`, without what is usual."""
    usual, document = Health(), dict[str, Any]()
    for key in ("within_s", "soak_s"):
        if getattr(health, key) != getattr(usual, key):
            document[key] = getattr(health, key)
    for key in ("liveness", "readiness"):
        check = getattr(health, key)
        if check is not None:
            document[key] = _check_document(check)
    return document


def _check(outer: Table, key: str) -> Check | None:
    if key not in outer:
        return None
    table = outer.table(key)
    kinds = [kind for kind in _KINDS if kind in table]
    if len(kinds) != 1:
        raise outer.wrong(key, f"has {len(kinds)} probes; give one of {', '.join(_KINDS)}")
    made = Check(
        probe=_probe(table, kinds[0]),
        interval_s=table.number("interval_s", _USUAL.interval_s, least=0.1, most=DAY_S),
        timeout_s=table.number("timeout_s", _USUAL.timeout_s, least=0.05, most=600),
        failures=table.whole("failures", _USUAL.failures, least=1, most=1000),
        delay_s=table.number("delay_s", _USUAL.delay_s, least=0, most=3600),
    )
    table.nothing_else()
    return made


def _probe(table: Table, kind: str) -> Probe:
    if kind == "command":
        return Command(table.texts("command", most=64))
    inner = table.table(kind)
    probe: Probe
    if kind == "publishes":
        age_max_s = inner.number("age_max_s", None, least=0.05, most=DAY_S)
        probe = Publishes(inner.texts("paths", most=64), age_max_s)
    else:
        port = inner.whole("port", 0, least=0, most=65_535)
        socket = inner.text("socket", "", most=64)
        if kind == "http":
            probe = Http(inner.text("path", "/", most=1024), port, socket)
        else:
            probe = Grpc(inner.text("service", "", most=256, least=0), port, socket)
    inner.nothing_else()
    return probe


def _check_document(check: Check) -> dict[str, Any]:
    document = _probe_document(check.probe)
    for key in ("interval_s", "timeout_s", "failures", "delay_s"):
        if getattr(check, key) != getattr(_USUAL, key):
            document[key] = getattr(check, key)
    return document


def _probe_document(probe: Probe) -> dict[str, Any]:
    if isinstance(probe, Command):
        return {"command": list(probe.argv)}
    if isinstance(probe, Publishes):
        return {"publishes": {"paths": list(probe.paths), "age_max_s": probe.age_max_s}}
    inner: dict[str, Any] = {"path": probe.path} if isinstance(probe, Http) else {}
    if isinstance(probe, Grpc) and probe.service:
        inner["service"] = probe.service
    inner |= {key: getattr(probe, key) for key in ("port", "socket") if getattr(probe, key)}
    return {"http" if isinstance(probe, Http) else "grpc": inner}
