"""A source that somebody listens in on: every block goes on unchanged, and is shown first."""

from collections.abc import Callable

from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.source import FrameSource


class Tapped:
    """Shows each block of a source to `listener`, which looks and returns at once."""

    def __init__(self, source: FrameSource, listener: Callable[[FrameBlock], None]) -> None:
        self._source, self._listener = source, listener

    @property
    def dropped(self) -> int:
        return self._source.dropped

    async def receive(self) -> FrameBlock | None:
        block = await self._source.receive()
        if block is not None:
            self._listener(block)
        return block

    def close(self) -> None:
        self._source.close()
