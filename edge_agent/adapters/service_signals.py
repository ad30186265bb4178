"""What services take, put where apps find the vehicle's data.

Rule 1: values are told every interval, and only of services that the catalogue knew when the agent started.
"""

import asyncio
from collections.abc import Callable

from edge_agent.broker.vehicle import VehicleData, one
from edge_agent.services.numbers import AllNumbers
from edge_agent.services.usage_signals import values
from fairway.clock import NS_PER_S, Clock

PROVIDER = "services"


class ServiceSignals:
    """Publishes how services stand; `run` it as a task."""

    def __init__(
        self,
        data: VehicleData,
        numbers: Callable[[], AllNumbers],
        clock: Clock,
        interval_s: float,
    ) -> None:
        self._data, self._numbers, self._clock = data, numbers, clock
        self._interval_s = interval_s
        self._provider = data.providers.publisher(PROVIDER)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            self.publish()
            await asyncio.sleep(self._interval_s)

    def publish(self) -> None:
        """Tell how all services stand now."""
        signals, now_ns = self._data.signals, self._clock.monotonic_ns()
        for path, value in values(self._numbers()).items():
            number = signals.find(path)
            if number is None:
                continue  # it was declared since: its signals come with the agent's next start
            said = bool(value) if signals[number].datatype == "boolean" else value
            arrived = one(
                number,
                said,
                is_number=bool(signals.is_number[number]),
                time_ns=self._clock.now_ns(),
                source_ns=0,
            )
            self._data.store.expect(arrived.ids, round(self._interval_s * NS_PER_S))
            self._data.publish(arrived, provider=self._provider, now_ns=now_ns)
