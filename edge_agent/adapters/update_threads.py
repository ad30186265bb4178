"""Threads for what waits: a fetch of hours keeps nobody else of the agent from a thread.

Rule 1: who gives up waiting has the thread give up too, and goes on when it has: nothing is written after that.
"""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from edge_agent.adapters.update_line import CONNECT_MAX_S, Cancel
from fairway.errors import FairwayError

# An image, its metadata, a report, and one to spare.
THREADS_MAX = 4
# A name that is looked up cannot be given up; everything else can at once.
_GIVE_UP_MAX_S = CONNECT_MAX_S + 5

Result = TypeVar("Result")


class Threads:
    """Runs work that can be given up."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS_MAX, "updates")

    async def run(self, work: Callable[[Cancel], Result]) -> Result:
        """Return what `work` returns."""
        cancel = Cancel()
        running = asyncio.get_running_loop().run_in_executor(self._pool, work, cancel)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            cancel.set()
            with contextlib.suppress(FairwayError, TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(asyncio.shield(running), _GIVE_UP_MAX_S)
            raise

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
