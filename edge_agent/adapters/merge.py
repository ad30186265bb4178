"""Several sources as one: frames of all buses in the order they arrived.

Rule 1: what is there when the agent looks is merged by stamp; equal stamps keep the order of the sources.
        Live buses are not made to wait for one another.
Rule 2: a bus that is gone is told once everything received before it has been handed out; the others go on
        with the next call.
Rule 3: a source that found something while nobody looked has only the first of what is there now: it is asked
        once more, as all others are.  Else a bus would be a whole pause late, and stay so.
"""

import asyncio
from collections.abc import Sequence

from edge_agent.adapters.blocks import pieces
from edge_agent.canbus.frames import FrameBlock, joined
from edge_agent.canbus.source import REPLAY_BLOCK_MAX_FRAMES, FrameSource

# A source that has frames hands them out within so many turns of the loop: one to read, one to let others have
# theirs.
TURNS = 3


class Merged:
    """Live sources as one source; a finite one among them just ends."""

    def __init__(self, sources: Sequence[FrameSource]) -> None:
        self._sources = tuple(sources)
        self._tasks: dict[int, asyncio.Task[FrameBlock | None]] = {}
        self._ended: set[int] = set()
        self._arrived: list[FrameBlock] = []  # not merged yet
        self._ready: list[FrameBlock] = []
        self._failures: list[BaseException] = []

    @property
    def dropped(self) -> int:
        """What all sources lost."""
        return sum(source.dropped for source in self._sources)

    async def receive(self) -> FrameBlock | None:
        while not self._ready:
            if self._failures:
                raise self._failures.pop(0)
            self._collect()
            self._start()
            if self._arrived:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
            elif self._tasks:
                await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)
            else:
                return None
            self._collect()
            if self._arrived:
                self._ready += pieces(joined(self._arrived), REPLAY_BLOCK_MAX_FRAMES)
                self._arrived = []
        return self._ready.pop(0)

    def close(self) -> None:
        """Close all sources; what they had received can still be fetched."""
        for source in self._sources:
            source.close()

    def _start(self) -> None:
        for number, source in enumerate(self._sources):
            if number not in self._tasks and number not in self._ended:
                # A task outlives a cancelled call of ours: what it fetches is not lost.
                self._tasks[number] = asyncio.ensure_future(source.receive())

    def _collect(self) -> None:
        for number in sorted(self._tasks):
            task = self._tasks[number]
            if not task.done():
                continue
            del self._tasks[number]
            failure = None if task.cancelled() else task.exception()
            if failure is not None:
                self._failures.append(failure)
            elif task.cancelled() or (block := task.result()) is None:
                self._ended.add(number)
            else:
                self._arrived.append(block)
