"""What ingest keeps in the registry: batch names, dictionaries and misfits.  No samples are here.

The store and the ledger fail apart from each other, at any moment.  So a batch is claimed before it is
inserted and settled after; whoever finds a claim that nobody holds asks the store what became of it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple, Protocol

from fairway.campaign.parts import CampaignPart
from fairway.ids import BatchName
from fleet_cloud.ingest.watch import Watch


class BatchKey(NamedTuple):
    """A batch in the cloud, where vehicles have tenants: nothing of one tenant is answered from another's."""

    tenant: str
    name: BatchName


class DictionaryKey(NamedTuple):
    """A dictionary in the cloud: two tenants with the same one each keep it."""

    tenant: str
    id: bytes


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
