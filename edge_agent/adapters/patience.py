"""A bus that may come and go: whoever reads it waits, the other buses do not.

Rule 1: a bus that shows up while the system starts is no failure; one that never does is a wrong name.
Rule 2: a bus that has worked once is waited for for ever; that it is gone is said once, as is its return.
"""

import asyncio
from collections.abc import Awaitable, Callable

from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.source import FrameSource
from fairway import log
from fairway.clock import NS_PER_S, Clock
from fairway.errors import BadInput, Unavailable

EVENTS = log.get("edge_agent.bus")

# As long as a gateway's start, or a simulator's.
START_PATIENCE_S = 10.0
RETRY_S = 1.0
# A call that waited this long had a bus to wait for.
_WORKED_S = 2.0


class Patient:
    """A live source that tries again by itself."""

    def __init__(
        self,
        source: FrameSource,
        name: str,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._source, self._name, self._clock, self._sleep = source, name, clock, sleep
        self._has_worked = False
        self._gone_since_ns: int | None = None

    @property
    def dropped(self) -> int:
        return self._source.dropped

    async def receive(self) -> FrameBlock | None:
        while True:
            asked_ns = self._clock.monotonic_ns()
            try:
                block = await self._source.receive()
            except Unavailable as error:
                self._fails(error, asked_ns)
                await self._sleep(RETRY_S)
            else:
                self._works()
                return block

    @property
    def source(self) -> FrameSource:
        """The source that is waited for."""
        return self._source

    async def send(self, frames: FrameBlock) -> None:
        """Send frames at once: nobody who acts waits for a bus.  Raises Unavailable, or BadInput."""
        send = getattr(self._source, "send", None)
        if send is None:
            raise BadInput(f"frames cannot be sent on {self._name}: its source only reads")
        await send(frames)

    def close(self) -> None:
        self._source.close()

    def _works(self) -> None:
        if self._gone_since_ns is not None:
            EVENTS.info("bus_is_back", bus=self._name)
        self._has_worked, self._gone_since_ns = True, None

    def _fails(self, error: Unavailable, asked_ns: int) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns - asked_ns > _WORKED_S * NS_PER_S:
            self._has_worked = True
        if self._gone_since_ns is None:
            self._gone_since_ns = now_ns
            EVENTS.warning("bus_unavailable", bus=self._name, reason=str(error))
        elif not self._has_worked and now_ns - self._gone_since_ns > START_PATIENCE_S * NS_PER_S:
            raise error
