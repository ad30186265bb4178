"""What ingest needs of the world: somewhere durable for samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fairway.ids import BatchName
from fairway.samples import SampleBlock


@dataclass(frozen=True, slots=True, eq=False)
class AcceptedBatch:
    """A batch that is to be stored: read, checked, and not stored before as far as the ledger knows."""

    tenant: str
    name: BatchName
    block: SampleBlock
    received_time_ns: int  # the cloud's wall clock


class TelemetryStore(Protocol):
    """Keeps samples.  Contract: tests/contracts/test_telemetry_store.py."""

    def append(self, batches: Sequence[AcceptedBatch]) -> None:
        """Return once every sample of `batches` is durable; each batch is stored whole or not at all.

        Raises Unavailable when some may not have been stored: ask `stored` before trying again.
        """
        ...

    def stored(self, vehicle: str, stream: str, sequences: Sequence[int]) -> set[int]:
        """Return those of `sequences` whose batch is in the store.  Raises Unavailable."""
        ...
