"""The nouns of telemetry that vehicle and cloud share; `fairway.wire.telemetry` turns them into bytes.

vehicle  --Dictionary, Batch-->  cloud
vehicle  <------Receipt--------  cloud      only a final outcome lets the vehicle's spool forget
"""

from dataclasses import dataclass
from enum import IntEnum

from fairway.campaign.parts import CampaignEvent, CampaignPart
from fairway.ids import BatchName
from fairway.samples import SampleBlock
from fairway.signals import Dictionary

__all__ = [
    "Batch",
    "CampaignEvent",
    "CampaignPart",
    "Dictionary",
    "Outcome",
    "Receipt",
    "SealedBatch",
]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples under a name, ready to be sent."""

    name: BatchName
    dictionary_id: bytes
    block: SampleBlock
    created_time_ns: int  # the vehicle's wall clock when the batch was closed
    campaign: CampaignPart | None = None  # None: the vehicle's own standing collection


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A batch as it arrived: its head is read, its columns are not."""

    name: BatchName
    dictionary_id: bytes
    samples: int
    created_time_ns: int
    columns: bytes
    campaign: CampaignPart | None = None


class Outcome(IntEnum):
    """What became of a batch; the numbers are those of the wire."""

    STORED = 1
    DUPLICATE = 2
    UNKNOWN_DICTIONARY = 3
    REFUSED = 4
    BUSY = 5

    @property
    def is_final(self) -> bool:
        """Whether the vehicle may forget the batch."""
        return self in (Outcome.STORED, Outcome.DUPLICATE, Outcome.REFUSED)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The cloud's answer to one batch."""

    stream: str
    sequence: int
    outcome: Outcome
    reason: str = ""  # for REFUSED, one sentence
    retry_after_ms: int = 0  # for BUSY
