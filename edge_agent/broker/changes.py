"""What a subscriber is told: values of some signals at one moment, each signal once, as columns.

    ids        7       8        40
    time_ns    1700..  1700..   1700..
    value      13.25   0.0      nan          nan where the value is a text, an array or an integer of 64 bits
    objects                     {40: "REVERSE"}
    is_there   True    True     False        False: known, and has no value

Rule 1: changes are made once and shared by everybody they concern; nobody alters them.
Rule 2: `cache` belongs to who sends them: what was encoded for one subscriber is there for the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.broker.values import Value, size_bytes
from fairway.samples import Floats, Ints, Times

# A row of the columns, and of what it is encoded as.
_VALUE_BYTES = 64


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Values at one moment."""

    ids: Ints
    time_ns: Times
    value: Floats
    is_there: NDArray[np.bool_]
    objects: Mapping[int, Value]  # by signal
    cache: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def weight(self) -> int:
        """What it takes in memory, in plain values."""
        texts_bytes = sum(map(size_bytes, self.objects.values())) if self.objects else 0
        return len(self.ids) + texts_bytes // _VALUE_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """The rows of some changes that one subscriber, or several of the same signals, are told."""

    of: Changes
    rows: NDArray[np.intp] | None = None  # None: all
    cache: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.of) if self.rows is None else len(self.rows)

    @property
    def weight(self) -> int:
        """What it takes in memory, in plain values."""
        return self.of.weight if self.of.objects else len(self)

    @property
    def ids(self) -> Ints:
        """Which signals it is about."""
        return self.of.ids if self.rows is None else self.of.ids[self.rows]


def merged(messages: Sequence[Message]) -> Message:
    """Return the newest value of every signal in `messages`, which come in order of time."""
    if len(messages) == 1:
        return messages[0]
    ids = np.concatenate([message.ids for message in messages])
    # The last row of each signal: the first one from behind.
    _, first = np.unique(ids[::-1], return_index=True)
    keep = np.sort(len(ids) - 1 - first)
    objects: dict[int, Value] = {}
    for message in messages:
        objects.update(message.of.objects)
    return Message(
        Changes(
            ids[keep],
            _column(messages, "time_ns")[keep],
            _column(messages, "value")[keep],
            _column(messages, "is_there")[keep],
            objects,
        )
    )


def _column(messages: Sequence[Message], name: str) -> NDArray[Any]:
    columns = []
    for message in messages:
        column = getattr(message.of, name)
        columns.append(column if message.rows is None else column[message.rows])
    return np.concatenate(columns)
