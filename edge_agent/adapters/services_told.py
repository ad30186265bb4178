"""What people, the cloud and Prometheus are told of services.

Rule 1: a state is told as Ankaios names it, with one sentence more; `why` tells everything that led to it.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from edge_agent.adapters.service_checks import Checks
from edge_agent.adapters.services_book import Book, Entry
from edge_agent.adapters.services_usage import UsageLook
from edge_agent.services import change
from edge_agent.services.denials import Denial, by_action
from edge_agent.services.health import Standing, slowed
from edge_agent.services.life import Life
from edge_agent.services.numbers import AllNumbers, ServiceNumbers
from edge_agent.services.records import instance_id
from edge_agent.services.restart import told as told_exit
from edge_agent.services.told import state
from fairway.clock import NS_PER_S, Clock
from fairway.services.model import Service
from fairway.services.states import State, Status


class Teller:
    """Tells."""

    def __init__(
        self,
        book: Book,
        checks: Checks,
        usage: UsageLook,
        clock: Clock,
        *,
        is_isolated: Callable[[Service], bool],
        denials: Callable[[str], Sequence[Denial]],
    ) -> None:
        self._book, self._checks, self._usage = book, checks, usage
        self._clock, self._is_isolated, self._denials = clock, is_isolated, denials
        # What others know that hinders a service: a sentence each.
        self.hints: Callable[[Service], Sequence[str]] = lambda _service: ()
        # Which data of an instance is over its limit: likewise.
        self.overfull: Callable[[str], Sequence[str]] = lambda _id: ()

    def look(self, names: Iterable[str]) -> bool:
        """Note since when states are as they are; return whether one is another than before."""
        is_changed = False
        for name in names:
            entry = self._book.entries.get(name)
            if entry is None:
                is_changed = True
                continue
            said, sub, _ = state(self._book.view(name), entry.why)
            told = (str(said), str(sub))
            if told != entry.told:
                entry.told, entry.since_ns = told, self._clock.now_ns()
                is_changed = True
        return is_changed

    def statuses(self) -> list[Status]:
        """Return how all services stand, by name."""
        return [self._status(entry) for _, entry in sorted(self._book.entries.items())]

    def _status(self, entry: Entry) -> Status:
        view = self._book.view(entry.name)
        said, sub, sentence = state(view, entry.why)
        service = _shown(entry, view.wanted)
        id_ = instance_id(service) if service else ""
        taken = self._usage.of(id_)
        record = entry.record
        good = record.previous if record.change is None else record.good
        return Status(
            name=entry.name,
            state=said,
            sub=sub,
            why=entry.trouble or sentence,
            version=service.version if service else "",
            instance=id_,
            is_ready=said is State.RUNNING and view.life(id_).is_ready,
            is_isolated=service is None or self._is_isolated(service),
            restarts=entry.restarts,
            since_ns=entry.since_ns,
            last_good=good.version if good else "",
            bad=tuple(one.version for one in record.bad),
            warnings=(*self._warnings(view.wanted or service, entry), *self.overfull(id_)),
            cpu=taken.cpu if taken else 0.0,
            memory_bytes=taken.usage.memory_bytes if taken else 0,
        )

    def why(self, name: str) -> dict[str, Any]:
        """Return everything that led to how a service stands, for json.dumps."""
        entry, view = self._book.entries[name], self._book.view(name)
        status, record = self._status(entry), entry.record
        wanted = next((one for one in self._book.wanted.declared if one.service.name == name), None)
        moving = record.change
        return {
            "name": name,
            "state": str(status),
            "why": status.why,
            "ready": status.is_ready,
            "isolated": status.is_isolated,
            "wanted": None
            if wanted is None
            else {
                "version": wanted.service.version,
                "instance": instance_id(wanted.service),
                "by": wanted.source.name.lower(),
            },
            "in_force": _version(change.in_force(record)),
            "last_good": _version(record.previous if moving is None else record.good),
            "change": moving and {"to": moving.target.version, "phase": str(moving.phase)},
            "bad": [
                {"version": one.version, "instance": one.id, "why": one.why} for one in record.bad
            ],
            "dependencies": {
                other: {"needs": str(condition), "met": condition in self._book.met(other)}
                for other, condition in (wanted.service.depends_on if wanted else ())
            },
            "instances": {id_: self._instance(id_, one) for id_, one in view.lives.items()},
            "restarts": entry.restarts,
            "failures": entry.failures,
            "out_of_memory": entry.out_of_memory,
            "denied": [dataclasses.asdict(one) for one in self._denials(name)],
            "warnings": list(status.warnings),
        }

    def _warnings(self, service: Service | None, entry: Entry) -> tuple[str, ...]:
        if service is None:
            return ()
        warnings = []
        if service.health.readiness is None:
            warnings.append("it has no readiness check: it counts as ready while it runs")
        if entry.record.is_bad(instance_id(service)):
            warnings.append("this version failed here before")
        return (*warnings, *slowed(service.health), *self.hints(service))

    def _instance(self, id_: str, life: Life) -> dict[str, Any]:
        now_ns, taken = self._clock.monotonic_ns(), self._usage.of(id_)
        wait_s = (life.retry_ns - now_ns) / NS_PER_S
        return {
            "is": str(life.up),
            "for_s": round((now_ns - life.since_ns) / NS_PER_S, 1),
            "ready": life.is_ready,
            "last_exit": told_exit(life.exit) if life.exit else None,
            "error": life.error or None,
            "sick": life.sickness if life.is_sick else None,
            "failures_in_a_row": life.failures,
            "next_try_s": round(wait_s, 1) if wait_s > 0 else None,
            "checks": {
                kind: _check(standing, now_ns) for kind, standing in self._checks.of(id_).items()
            },
            "memory_bytes": taken.usage.memory_bytes if taken else None,
            "cpu": round(taken.cpu, 4) if taken else None,
            "pids": taken.usage.pids if taken else None,
        }

    def numbers(self) -> AllNumbers:
        """Return what there is to count."""
        statuses = self.statuses()
        return AllNumbers(
            services=tuple(self._numbers(status) for status in statuses),
            states=dict(Counter(str(status.state) for status in statuses)),
        )

    def _numbers(self, status: Status) -> ServiceNumbers:
        entry, taken = self._book.entries[status.name], self._usage.of(status.instance)
        return ServiceNumbers(
            name=status.name,
            state=str(status.state),
            is_ready=status.is_ready,
            restarts=entry.restarts,
            failures=entry.failures,
            out_of_memory=entry.out_of_memory,
            cpu_s=taken.usage.cpu_ns / NS_PER_S if taken else 0.0,
            cpu=status.cpu,
            memory_bytes=status.memory_bytes,
            pids=taken.usage.pids if taken else 0,
            denied=by_action(self._denials(status.name)),
        )


def _shown(entry: Entry, wanted: Service | None) -> Service | None:
    """Return the version that a state is told of."""
    in_force = change.in_force(entry.record)
    if in_force is None and entry.record.change is not None:
        return entry.record.change.target
    return in_force or wanted


def _version(service: Service | None) -> dict[str, str] | None:
    return (
        None if service is None else {"version": service.version, "instance": instance_id(service)}
    )


def _check(standing: Standing, now_ns: int) -> dict[str, Any]:
    return {
        "passed": standing.is_passed,
        "last": standing.last or ("passed" if standing.asked else None),
        "last_s_ago": round((now_ns - standing.last_ns) / NS_PER_S, 1) if standing.asked else None,
        "failed_in_a_row": standing.failed,
    }
