"""What signals there are: the table that sample blocks refer to, and the name it has on the wire.

Rule 1: a table is immutable and shared; its position is a signal's number for as long as the table lives.
Rule 2: nothing here needs NumPy: registries and command lines know signals without any sample.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from fairway.errors import BadInput


class Kind(IntEnum):
    """What a signal's values are."""

    NUMBER = 0
    BOOL = 1
    TEXT = 2


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of a table.

    `scale` and `offset` say on which grid the values lie (value = raw * scale + offset, raw a whole number),
    as a DBC does; scale 0.0 means no grid is known.  Signals of one `group` tend to arrive together, as
    those of one CAN message do.  Both are hints for compression, never a promise.
    """

    name: str  # a VSS path, or Bus.Message.Signal where no mapping exists
    kind: Kind = Kind.NUMBER
    unit: str = ""
    scale: float = 0.0
    offset: float = 0.0
    group: int = 0


@dataclass(frozen=True)
class SignalTable:
    """The signals that blocks refer to by position."""

    signals: tuple[Signal, ...]
    _index: dict[str, int] = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {signal.name: number for number, signal in enumerate(self.signals)}
        if len(index) != len(self.signals):
            last = (signal.name for n, signal in enumerate(self.signals) if index[signal.name] != n)
            raise BadInput(f"the signal {next(last)} stands twice in one table")
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_hash", hash(self.signals))

    def __hash__(self) -> int:
        return self._hash  # kept, because tables are keys of caches on the hot path

    def __len__(self) -> int:
        return len(self.signals)

    def __getitem__(self, number: int) -> Signal:
        return self.signals[number]

    def __iter__(self) -> Iterator[Signal]:
        return iter(self.signals)

    def number(self, name: str) -> int:
        """Return the position of the signal called `name`.  Raises BadInput."""
        try:
            return self._index[name]
        except KeyError:
            raise BadInput(f"no signal is called {name}") from None


@dataclass(frozen=True, slots=True, eq=False)
class Dictionary:
    """A signal table under the name of its content: 8 bytes of a SHA-256."""

    id: bytes
    table: SignalTable
