"""Looks now and then at what each service takes.

Rule 1: one after the other, so that a hundred services never cost a moment at once.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.adapters.services_book import Book
from edge_agent.services.life import Up
from edge_agent.services.runtime import Inside, Usage
from fairway.clock import Clock
from fairway.errors import Unavailable
from fairway.services.model import Runner


@dataclass(frozen=True, slots=True)
class Taken:
    """What an instance took, at the last look."""

    usage: Usage
    at_ns: int  # monotonic
    cpu: float = 0.0  # of one core, since the look before


class UsageLook:
    """Looks."""

    def __init__(
        self, insides: Mapping[Runner, Inside], book: Book, interval_s: float, clock: Clock
    ) -> None:
        self._insides, self._book, self._clock = insides, book, clock
        self._interval_s = interval_s
        self._taken: dict[str, Taken] = {}

    def of(self, id_: str) -> Taken | None:
        """Return what an instance took, None when nobody counted."""
        return self._taken.get(id_)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            await self.look()

    async def look(self) -> None:
        """Look at each that runs."""
        running = [
            (id_, entry.versions[id_].runner)
            for entry in self._book.entries.values()
            for id_, life in entry.lives.items()
            if life.up is Up.RUNNING
        ]
        ids = {id_ for id_, _ in running}
        self._taken = {id_: one for id_, one in self._taken.items() if id_ in ids}
        for id_, runner in running:
            try:
                usage = await self._insides[runner].usage(id_)
            except Unavailable:
                self._taken.pop(id_, None)
                continue
            now_ns, before = self._clock.monotonic_ns(), self._taken.get(id_)
            cpu = 0.0
            if before is not None and now_ns > before.at_ns and usage.cpu_ns >= before.usage.cpu_ns:
                cpu = (usage.cpu_ns - before.usage.cpu_ns) / (now_ns - before.at_ns)
            self._taken[id_] = Taken(usage, now_ns, cpu)
