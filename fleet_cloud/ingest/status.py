"""How ingest is doing: what its counters say, and whether a person must act.

Rule 1: a count only grows, for as long as the process lives.
Rule 2: `healthy` is false from the first failure of a store until the next success, and `last_error` says why.
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of what arrived; counts of separate groups add up."""

    messages: int = 0  # of any kind, from any door
    bytes: int = 0
    batches: int = 0  # stored
    samples: int = 0  # stored
    duplicates: int = 0
    dictionaries: int = 0  # new ones
    unknown_dictionary: int = 0
    refused: int = 0  # answered REFUSED
    denied: int = 0  # from a vehicle that is not registered, or in another vehicle's name
    quarantined: int = 0  # kept in quarantine
    unreadable: int = 0  # nothing could be made of them; quarantined unless too many came at once
    busy: int = 0  # answered BUSY: the vehicle keeps the batch and comes again

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Counts)))


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """One look at a running ingest."""

    counts: Counts
    healthy: bool
    queue_bytes: int  # waiting for storage
    queue_max_bytes: int  # from here on senders wait
    store_latency_ms: float  # of the latest group, from hand-over to durable
    last_error: str = ""
    last_error_time_ns: int | None = None
    mqtt_connected: bool | None = None  # None: there is no such door
    grpc_connections: int | None = None


STARTING = IngestStatus(
    Counts(), healthy=True, queue_bytes=0, queue_max_bytes=0, store_latency_ms=0.0
)
