"""What ingest needs of the world: somewhere durable for samples, batch names, dictionaries and misfits.

    door --Message--> accept, claim --AcceptedBatch--> TelemetryStore --> settle --Answer--> door

The store and the ledger fail apart from each other, at any moment.  So a batch is claimed before it is
inserted and settled after; whoever finds a claim that nobody holds asks the store what became of it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from fairway.ids import BatchName
from fairway.samples import SampleBlock
from fairway.telemetry import CampaignPart, Receipt
from fleet_cloud.ingest.watch import Watch


class BatchKey(NamedTuple):
    """A batch in the cloud, where vehicles have tenants: nothing of one tenant is answered from another's."""

    tenant: str
    name: BatchName


class DictionaryKey(NamedTuple):
    """A dictionary in the cloud: two tenants with the same one each keep it."""

    tenant: str
    id: bytes


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


class Standing(Enum):
    """How a batch stands in the ledger when somebody wants to store it."""

    MINE = "mine"  # nobody stored it and nobody else will: insert it
    DOUBTFUL = "doubtful"  # mine now, but someone may have inserted it before: ask the store first
    STORED = "stored"  # settled before: a duplicate
    HELD = "held"  # someone else is storing it right now


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims, when, and for how long others must believe it."""

    owner: str  # a process; a restarted process that knows its predecessor dead takes the same name
    now_ns: (
        int  # of a clock that nobody sets: it tells claims apart and measures how long they stand
    )
    lease_ns: int  # another owner's claim that has stood for so long is doubtful
    grace_ns: int = 0  # this owner's own claim, from an earlier life, is doubtful after so long
    watch: Watch = field(default_factory=Watch)  # the process's own: the same with every claim


@dataclass(frozen=True, slots=True)
class Collected:
    """What a batch brings to the campaign that collected it."""

    campaign: CampaignPart
    samples: int
    received_bytes: int
    received_time_ns: int


NOTHING: Mapping[BatchKey, Collected] = MappingProxyType({})


class Ledger(Protocol):
    """Knows which batches are stored, for ever.  Contract: tests/contracts/test_registry.py."""

    def claim(self, keys: Sequence[BatchKey], claimant: Claimant) -> dict[BatchKey, Standing]:
        """Durably claim all of `keys` that are free, and say how each stands.  Raises Unavailable."""
        ...

    def settle(
        self,
        keys: Sequence[BatchKey],
        claimant: Claimant,
        collected: Mapping[BatchKey, Collected] = NOTHING,
    ) -> None:
        """Note that `keys` are stored, and end their claims; count what each of them brings, once.

        Raises Unavailable.
        """
        ...

    def release(self, keys: Sequence[BatchKey], claimant: Claimant) -> None:
        """End claims of batches that were certainly not inserted.  Raises Unavailable."""
        ...


class Dictionaries(Protocol):
    """Keeps the dictionaries of vehicles, as they came.  Contract: tests/contracts/test_registry.py."""

    def keep(self, bodies: Mapping[DictionaryKey, bytes]) -> None:
        """Return once every message is durable.  Raises Unavailable."""
        ...

    def load(self, keys: Sequence[DictionaryKey]) -> dict[DictionaryKey, bytes]:
        """Return the messages of those `keys` that are known.  Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Misfit:
    """A message that cannot be stored, with the reason."""

    tenant: str
    vehicle: str
    reason: str
    received_time_ns: int
    payload: bytes
    name: BatchName | None = None  # known when only the columns were unreadable


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """A kept misfit without its bytes."""

    id: int
    tenant: str
    vehicle: str
    reason: str
    received_time_ns: int
    size_bytes: int  # as received; what is kept may be shorter
    name: BatchName | None = None


class Quarantine(Protocol):
    """Keeps misfits, each tenant's within bounds: its oldest make room.

    Contract: tests/contracts/test_registry.py.
    """

    def keep(self, misfits: Sequence[Misfit]) -> None:
        """Return once the misfits are durable; the same batch is kept once.  Raises Unavailable."""
        ...

    def entries(
        self, *, tenants: Collection[str] | None = None, limit: int = 100
    ) -> list[QuarantineEntry]:
        """Return the newest entries of `tenants` (None: of all), newest first.  Raises Unavailable."""
        ...

    def payload(self, entry: int, *, tenants: Collection[str] | None = None) -> bytes | None:
        """Return the kept bytes of an entry of `tenants`; None: there is none.  Raises Unavailable."""
        ...

    def count(self, *, tenants: Collection[str] | None = None) -> int:
        """Return how many of `tenants` are kept now.  Raises Unavailable."""
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
