"""Where all doors hand in their messages: a queue bounded in bytes.

Rule 1: bytes count from the moment a message is taken until it is answered, so the bound is one on memory.
Rule 2: a door that is told "full" stops reading from its senders until there is room.
"""

import threading
from collections import deque
from collections.abc import Callable

from fleet_cloud.ingest.ports import Message

# What a message costs beside its bytes; a flood of empty messages is bounded by this.
MESSAGE_OVERHEAD_BYTES = 512


def cost_bytes(message: Message) -> int:
    """Return what `message` counts against the bound."""
    return len(message.data) + MESSAGE_OVERHEAD_BYTES


class Intake:
    """A bounded queue of messages between the doors and the worker."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._waiting: deque[Message] = deque()
        self._held_bytes = 0
        self._closed = False
        self._turned_away = False  # since room was made last
        self._changed = threading.Condition()
        self._on_room: list[Callable[[], None]] = []

    @property
    def held_bytes(self) -> int:
        """Bytes of messages that wait or are being stored."""
        return self._held_bytes

    def call_when_room(self, tell: Callable[[], None]) -> None:
        """Have `tell` called, from some thread, when room was made after an offer was not taken."""
        self._on_room.append(tell)

    def offer(self, message: Message, *, wait_s: float = 0.0) -> bool:
        """Take `message` if there is room, or room is made within `wait_s`.  False: not taken."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._has_room(message), wait_s):
                self._turned_away = True
                return False
            if self._closed:
                return False
            self._waiting.append(message)
            self._held_bytes += cost_bytes(message)
            self._changed.notify_all()
            return True

    def take(self, messages_max: int, *, wait_s: float) -> list[Message]:
        """Return up to `messages_max` messages, waiting for the first; none when time or the intake is up."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._waiting), wait_s)
            count = min(messages_max, len(self._waiting))
            return [self._waiting.popleft() for _ in range(count)]

    def release(self, size_bytes: int) -> None:
        """Note that messages of that cost have been answered."""
        with self._changed:
            self._held_bytes -= size_bytes
            someone_waits, self._turned_away = self._turned_away, False
            self._changed.notify_all()
        if someone_waits:
            for tell in self._on_room:
                tell()

    def close(self) -> None:
        """Take nothing more; what waits is still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def is_drained(self) -> bool:
        """Whether the intake is closed and empty."""
        return self._closed and not self._waiting

    def _has_room(self, message: Message) -> bool:
        # An empty queue takes any message: doors have bounded its size already.
        return not self._held_bytes or self._held_bytes + cost_bytes(message) <= self.max_bytes
