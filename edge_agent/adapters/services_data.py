"""Looks now and then whether services have more data than they may, where nothing holds them to it.

Rule 1: one after the other, in a thread: a folder may have a million files, and nobody waits for the answer.
Rule 2: it is logged once when a service comes to have too much, and told for as long as it has.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from edge_agent.services.instance import Instance
from fairway import log

EVENTS = log.get("edge_agent.services")

LOOK_INTERVAL_S = 60.0

Measure = Callable[[Instance], Awaitable[tuple[str, ...]]]


class DataLook:
    """Looks; `run` it as a task."""

    def __init__(self, instances: Mapping[str, Instance], measure: Measure) -> None:
        """`instances` are those that run or did; `measure` says what is wrong with the data of one."""
        self._instances, self._measure = instances, measure
        self._said: dict[str, tuple[str, ...]] = {}

    def of(self, id_: str) -> tuple[str, ...]:
        """Return a sentence for each folder of an instance with too much in it, as of the last look."""
        return self._said.get(id_, ())

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            await self.look()

    async def look(self) -> None:
        """Look at each that has data."""
        said = {
            id_: await self._measure(one) for id_, one in tuple(self._instances.items()) if one.data
        }
        for id_, sentences in said.items():
            if len(sentences) > len(self._said.get(id_, ())):
                EVENTS.warning("service_data_over_limit", instance=id_, reason="; ".join(sentences))
        self._said = said
