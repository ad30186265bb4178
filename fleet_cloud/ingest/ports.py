"""What ingest needs of the world: somewhere durable for samples, doors, and who listens.

    door --Message--> accept, claim --AcceptedBatch--> TelemetryStore --> settle --Answer--> door

What it claims and settles with, and where it keeps what does not fit, is in records.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from fairway.ids import BatchName
from fairway.samples import SampleBlock
from fairway.telemetry import Receipt
from fleet_cloud.ingest.records import BatchKey


@dataclass(frozen=True, slots=True, eq=False)
class AcceptedBatch:
    """A batch that is to be stored: read, checked, and not stored before as far as the ledger knows."""

    tenant: str
    name: BatchName
    block: SampleBlock
    received_time_ns: int  # the cloud's wall clock

    @property
    def key(self) -> BatchKey:
        """What it is known by."""
        return BatchKey(self.tenant, self.name)


class TelemetryStore(Protocol):
    """Keeps samples.  Contract: tests/contracts/test_telemetry_store.py."""

    def append(self, batches: Sequence[AcceptedBatch]) -> None:
        """Return once every sample of `batches` is durable; each batch is stored whole or not at all.

        Raises Unavailable when some may not have been stored: ask `stored` before trying again.
        Raises BadInput when one of them can never be stored; then none of them was.
        """
        ...

    def stored(self, tenant: str, vehicle: str, stream: str, sequences: Sequence[int]) -> set[int]:
        """Return those of `sequences` whose batch is in the store.  Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """One message as a door received it.  `vehicle` is the connection's, never the message's own claim."""

    vehicle: str
    data: bytes
    received_time_ns: int
    door: "Door"
    token: Any = None  # the door's own


class Fault(Enum):
    """Why a message got no receipt; a door with a status code for it closes the connection."""

    UNREADABLE = "unreadable"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What became of a message: at most one of receipt and fault; neither for a dictionary."""

    message: Message
    receipt: Receipt | None = None
    fault: Fault | None = None
    reason: str = ""


class Door(Protocol):
    """Where messages come in and answers go out."""

    def answer(self, answers: Sequence[Answer]) -> None:
        """Send the receipts and let the sender go on; called from ingest's thread, must not block."""
        ...


class Subscription(Protocol):
    """A listener's place in the live feed: bounded; when it is slow, the oldest blocks are dropped."""

    @property
    def dropped(self) -> int:
        """How many batches this listener has lost so far."""
        ...

    async def receive(self) -> AcceptedBatch:
        """Return the next stored batch as soon as there is one."""
        ...

    def close(self) -> None:
        """Leave the feed."""
        ...


class LiveFeed(Protocol):
    """Stored batches as they are stored, for whoever listens in this process."""

    def subscribe(self, wanted: Callable[[AcceptedBatch], bool]) -> Subscription:
        """Listen, from inside the event loop, to the batches that `wanted` says yes to."""
        ...
