"""The live feed: stored batches, handed to listeners of this process.

Rule 1: a listener never slows ingest: each has a bounded queue that drops its oldest and counts.
Rule 2: ingest's thread publishes; listeners live in the event loop they subscribed from.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence

from fleet_cloud.ingest.ports import AcceptedBatch

# A slow console is some seconds behind at most, and a batch is about 20 kB: 5 MB for each listener.
BATCHES_MAX = 256


class FeedSubscription:
    """One listener's queue."""

    def __init__(
        self, feed: "Feed", wanted: Callable[[AcceptedBatch], bool], batches_max: int
    ) -> None:
        self._feed = feed
        self._wanted = wanted
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[AcceptedBatch] = deque(maxlen=batches_max)
        self._arrived = asyncio.Event()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        return self._dropped

    async def receive(self) -> AcceptedBatch:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    def close(self) -> None:
        self._feed.forget(self)

    def offer(self, batches: Sequence[AcceptedBatch]) -> None:
        """Hand over what is wanted of `batches`; called from ingest's thread."""
        chosen = [batch for batch in batches if self._wanted(batch)]
        if chosen:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(self._take, chosen)

    def _take(self, batches: Sequence[AcceptedBatch]) -> None:
        for batch in batches:
            self._dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(batch)
        self._arrived.set()


class Feed:
    """Passes stored batches on to whoever listens."""

    def __init__(self, *, batches_max: int = BATCHES_MAX) -> None:
        self._batches_max = batches_max
        # Replaced, never changed, so that the publishing thread reads it without a lock.
        self._listeners: tuple[FeedSubscription, ...] = ()

    def subscribe(self, wanted: Callable[[AcceptedBatch], bool]) -> FeedSubscription:
        subscription = FeedSubscription(self, wanted, self._batches_max)
        self._listeners = (*self._listeners, subscription)
        return subscription

    def publish(self, batches: Sequence[AcceptedBatch]) -> None:
        """Offer `batches` to every listener; called from ingest's thread."""
        for listener in self._listeners:
            listener.offer(batches)

    def forget(self, subscription: FeedSubscription) -> None:
        """Let a listener go."""
        self._listeners = tuple(one for one in self._listeners if one is not subscription)
