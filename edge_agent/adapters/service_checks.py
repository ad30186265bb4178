"""Asks running instances how they are, each when it is due, and tells of each new verdict.

Rule 1: nobody is asked before the answer to the question before; a check costs nothing between its questions.
Rule 2: a check of an instance ends with it; an answer that comes later is no answer.
"""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.services.health import Standing, answered, begun
from edge_agent.services.instance import Instance
from edge_agent.services.ports import Prober
from fairway.clock import NS_PER_S, Clock
from fairway.services.model import Check

LIVENESS = "liveness"
READINESS = "readiness"
# Questions that are under way at once: each may be a process that is started.
ASKED_MAX = 8

Verdict = Callable[[str, str, Standing], None]


@dataclass(slots=True)
class _Checked:
    """One check of one run of an instance."""

    instance: Instance
    kind: str
    standing: Standing


class Checks:
    """All checks; `run` it as a task."""

    def __init__(self, prober: Prober, clock: Clock, verdict: Verdict) -> None:
        """`verdict` is told instance, kind and standing when a check passes or fails as it did not before."""
        self._prober, self._clock, self._verdict = prober, clock, verdict
        self._checked: dict[tuple[str, str], _Checked] = {}
        self._due: list[tuple[int, int, tuple[str, str], _Checked]] = []
        self._count = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Semaphore(ASKED_MAX)
        self.asked = 0

    def begin(self, instance: Instance, *, is_adopted: bool = False) -> None:
        """Check an instance that was started now; `is_adopted`: it has run for a while."""
        self.end(instance.id)
        health = instance.service.health
        for kind, check in ((LIVENESS, health.liveness), (READINESS, health.readiness)):
            if check is not None:
                self._begin(instance, kind, check, is_adopted=is_adopted)

    def end(self, id_: str) -> None:
        """Check an instance no longer."""
        for kind in (LIVENESS, READINESS):
            self._checked.pop((id_, kind), None)

    def of(self, id_: str) -> dict[str, Standing]:
        """Return the checks of an instance as they stand, by kind."""
        pairs = ((kind, self._checked.get((id_, kind))) for kind in (LIVENESS, READINESS))
        return {kind: one.standing for kind, one in pairs if one is not None}

    def _begin(self, instance: Instance, kind: str, check: Check, *, is_adopted: bool) -> None:
        now_ns = self._clock.monotonic_ns()
        standing = begun(check, is_eager=kind == READINESS, now_ns=now_ns)
        if is_adopted:
            standing = begun(
                check, is_eager=kind == READINESS, now_ns=now_ns - round(check.delay_s * NS_PER_S)
            )
        key = (instance.id, kind)
        self._checked[key] = _Checked(instance, kind, standing)
        self._plan(key, self._checked[key])

    def _plan(self, key: tuple[str, str], one: _Checked) -> None:
        self._count += 1
        heapq.heappush(self._due, (one.standing.due_ns, self._count, key, one))
        if self._due[0][3] is one:
            self._wake.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                now_ns = self._clock.monotonic_ns()
                while self._due and self._due[0][0] <= now_ns:
                    _, _, key, one = heapq.heappop(self._due)
                    if self._checked.get(key) is one:
                        tasks.create_task(self._ask(key, one))
                nap_s = (self._due[0][0] - now_ns) / NS_PER_S if self._due else None
                self._wake.clear()
                try:
                    async with asyncio.timeout(nap_s):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def _ask(self, key: tuple[str, str], one: _Checked) -> None:
        check = one.standing.check
        async with self._room:
            if self._checked.get(key) is not one:
                return
            self.asked += 1
            answer = await self._prober.probe(one.instance, check.probe, timeout_s=check.timeout_s)
        if self._checked.get(key) is not one:
            return
        before = one.standing.is_passed
        one.standing = answered(one.standing, answer, self._clock.monotonic_ns())
        self._plan(key, one)
        if one.standing.is_passed != before:
            self._verdict(one.instance.id, one.kind, one.standing)
