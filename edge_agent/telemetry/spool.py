"""Batches on their way, kept where a power cut cannot reach them.

    append ----> [ 17 18 19 20 ] ----> read, send
                    ^     settle (receipts, in any order) forgets

Rule 1: a batch may be sent only once `append` has returned: then it is durable, and its number is taken.
Rule 2: a batch is forgotten when it is settled, or when the spool is full and its policy says which must go;
        what goes that way is counted.
Rule 3: what was settled just before a crash may be read again: the cloud answers DUPLICATE and nothing is lost.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

WhenFull = Literal["drop_oldest", "drop_newest"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How much of a replayed log is spooled: never sent, so that a restart neither loses nor doubles."""

    replay: bytes = bytes(8)  # names the log and everything that decides what is collected of it
    samples: int = 0  # collected so far: those of this batch are the last of them


@dataclass(frozen=True, slots=True)
class SpooledBatch:
    """A batch at rest."""

    sequence: int
    dictionary_id: bytes
    samples: int
    created_time_ns: int
    cursor: Cursor
    request: bytes  # a whole TelemetryRequest, ready to be sent


@dataclass(frozen=True, slots=True)
class SpoolState:
    """What an operator wants to know about a spool."""

    next_sequence: int
    waiting: int  # batches not settled yet
    size_bytes: int
    dropped_batches: int  # since the spool was opened, as the next two
    dropped_samples: int
    damaged_batches: int


class Spool(Protocol):
    """Keeps batches until they are settled.  Contract: tests/contracts/test_spool.py.

    It belongs to one caller at a time; another thread may only look at `state`.
    """

    @property
    def stream(self) -> str:
        """The stream that counts this spool's batches; made with the spool."""
        ...

    @property
    def state(self) -> SpoolState:
        """How full the spool is."""
        ...

    @property
    def cursor(self) -> Cursor:
        """The cursor of the newest batch that was ever durable here."""
        ...

    def append(self, batches: Sequence[SpooledBatch]) -> bool:
        """Return True once all of `batches` are durable; they number on from `state.next_sequence`.

        False: the spool is full and its policy keeps the old; none of them was taken.
        Raises Unavailable when the disk takes none of them now (it is full, or failing): try again later.
        """
        ...

    def read(self, after: int, *, max_batches: int, max_bytes: int) -> list[SpooledBatch]:
        """Return unsettled batches in order, the first ones whose sequence is beyond `after`.

        At least one, if there is one, however large.  Raises Unavailable.
        """
        ...

    def settle(self, sequences: Collection[int]) -> None:
        """Forget batches; numbers that are not (or no longer) here do no harm."""
        ...

    def keep_dictionary(self, dictionary_id: bytes, request: bytes) -> None:
        """Return once the dictionary is durable.  Raises Unavailable."""
        ...

    def dictionary(self, dictionary_id: bytes) -> bytes | None:
        """Return the TelemetryRequest kept under `dictionary_id`."""
        ...

    def close(self) -> None:
        """Let go of files; nothing is lost by not calling it."""
        ...


class PartitionSpool(Spool, Protocol):
    """A spool that may have to make room for others.  Contract: tests/contracts/test_spool.py."""

    def give_up(self, batches: Sequence[SpooledBatch]) -> None:
        """Forget batches unsent, and count them as dropped."""
        ...

    def shrink(self, need_bytes: int) -> None:
        """Drop the oldest until so many bytes are free, or nothing waits.  Raises Unavailable."""
        ...

    def rest(self) -> None:
        """Let go of open files until they are needed again."""
        ...
