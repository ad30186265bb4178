"""Who is told of which changes: buffers of subscribers, filled in the time that the changes take.

    changes > groups of subscribers with the same signals > a message each > buffers > taken at their own pace

Rule 1: no I/O and no clock; `wake` is told when there is something to take.
Rule 2: publishing costs what has changed, and the groups it concerns: rows are chosen once for each group,
        and a subscriber costs the appending of a message that all of its group share.
Rule 3: a buffer of n holds the latest message and n older ones; a slow reader loses its oldest, counted.
Rule 4: a buffer of 0, or an interval, keeps the newest value of every signal: none of those is ever lost,
        only the ones before it.  KUKSA drops whole messages there, with the last value of a signal.
"""

from collections import deque
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from edge_agent.broker.changes import Changes, Message, merged
from fairway.errors import BadInput

# KUKSA's greatest buffer, in messages.
BUFFER_MAX_MESSAGES = 1000
# And in values: 1,000 messages of 100 signals.  One subscriber that reads nothing takes some 8 MB so.
WAITING_MAX_VALUES = 100_000
# Messages of which only the newest values count are merged when there are so many, not each time.
_MERGE_AT = 8


class Subscriber:
    """One subscription: what waits for it, and what it lost."""

    def __init__(
        self, ids: frozenset[int], buffer: int, interval_ns: int, wake: Callable[[], None]
    ) -> None:
        self.ids, self.interval_ns = ids, interval_ns
        self.dropped = 0  # values that were never told
        self._keeps = buffer + 1 if buffer and not interval_ns else 0  # messages; 0: newest values
        self._wake = wake
        self._waiting: deque[Message] = deque()
        self._due_ns = 0
        self._weight = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, message: Message) -> None:
        """Let a message wait, at the cost of an older one when there are too many."""
        waiting = self._waiting
        waiting.append(message)
        if self._keeps:
            self._weight += message.weight
            while len(waiting) > self._keeps or (
                self._weight > WAITING_MAX_VALUES and len(waiting) > 1
            ):
                oldest = waiting.popleft()
                self._weight -= oldest.weight
                self.dropped += len(oldest)
        elif len(waiting) >= _MERGE_AT:
            self._merge()
        if len(waiting) == 1:
            self._wake()

    def take(self, now_ns: int) -> Message | None:
        """Return what is to be told next, or None when nothing is, or not yet: see `wait_ns`."""
        if not self._waiting or now_ns < self._due_ns:
            return None
        if not self._keeps and len(self._waiting) > 1:
            self._merge()
        self._due_ns = now_ns + self.interval_ns
        message = self._waiting.popleft()
        if self._keeps:
            self._weight -= message.weight
        return message

    def wait_ns(self, now_ns: int) -> int | None:
        """Return how long nothing is to be told; None: until it is woken."""
        return max(0, self._due_ns - now_ns) if self._waiting else None

    def _merge(self) -> None:
        before = sum(map(len, self._waiting))
        message = merged(tuple(self._waiting))
        self._waiting.clear()
        self._waiting.append(message)
        self.dropped += before - len(message)


class _Group:
    """The subscribers of the same signals."""

    def __init__(self, ids: frozenset[int], size: int) -> None:
        self.ids = ids
        self.mask = np.zeros(size, np.bool_)
        self.mask[list(ids)] = True
        self.members: list[Subscriber] = []


class Subscriptions:
    """All subscriptions to `size` signals."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._groups: dict[frozenset[int], _Group] = {}
        self._by_signal: dict[int, set[_Group]] = {}
        self._lost = 0
        self.is_watched: NDArray[np.bool_] = np.zeros(size, np.bool_)

    def __len__(self) -> int:
        return sum(len(group.members) for group in self._groups.values())

    @property
    def dropped(self) -> int:
        """Values never told because their readers were slow, since the start."""
        return self._lost + sum(
            one.dropped for group in self._groups.values() for one in group.members
        )

    def open(
        self,
        ids: Iterable[int],
        wake: Callable[[], None],
        *,
        buffer: int = 0,
        interval_ns: int = 0,
    ) -> Subscriber:
        """Return a subscriber that is told of every change from now on.  Raises BadInput."""
        if not 0 <= buffer <= BUFFER_MAX_MESSAGES:
            raise BadInput(f"buffer_size is {buffer}; choose from 0 to {BUFFER_MAX_MESSAGES}")
        key = frozenset(ids)
        if not key:
            raise BadInput("no signal is named")
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(key, self._size)
            for number in key:
                self._by_signal.setdefault(number, set()).add(group)
            self.is_watched |= group.mask
        subscriber = Subscriber(key, buffer, interval_ns, wake)
        group.members.append(subscriber)
        return subscriber

    def close(self, subscriber: Subscriber) -> None:
        """Forget a subscriber; once more does nothing."""
        group = self._groups.get(subscriber.ids)
        if group is None or subscriber not in group.members:
            return
        group.members.remove(subscriber)
        self._lost += subscriber.dropped
        if group.members:
            return
        del self._groups[group.ids]
        for number in group.ids:
            groups = self._by_signal[number]
            groups.discard(group)
            if not groups:
                del self._by_signal[number]
                self.is_watched[number] = False

    def publish(self, changes: Changes) -> None:
        """Tell everybody concerned."""
        if not self._groups:
            return
        for group in self._concerned(changes):
            is_its = group.mask[changes.ids]
            rows = None if bool(is_its.all()) else is_its.nonzero()[0]
            message = Message(changes, rows)
            for member in group.members:
                member.offer(message)

    def lowest_interval_ns(self, number: int) -> int | None:
        """Return how often the most eager subscriber wants a signal, 0 for each value; None: nobody does."""
        intervals = [
            member.interval_ns
            for group in self._by_signal.get(number, ())
            for member in group.members
        ]
        return min(intervals, default=None)

    def _concerned(self, changes: Changes) -> Iterable[_Group]:
        watched = changes.ids[self.is_watched[changes.ids]]
        if len(self._groups) == 1:
            return self._groups.values() if len(watched) else ()
        found: dict[int, _Group] = {}
        for number in watched.tolist():
            for group in self._by_signal[number]:
                found[id(group)] = group
            if len(found) == len(self._groups):
                break
        return found.values()
