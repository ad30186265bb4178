"""Events: what a campaign collected when it triggered, in one block for each partition, under an id.

Event(campaign, id=count | ms << 8, time_ns, parts={"": block, "critical": block})
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fairway.campaign.plan import MS
from fairway.samples import SampleBlock

EVENT_ID_MAX = 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class Event:
    """One trigger of one campaign, and what was collected for it."""

    campaign: str  # sync id
    id: int
    time_ns: int  # of the trigger, wall clock
    parts: Mapping[str, SampleBlock]  # by partition; "" is what belongs to none
    wants_dtcs: bool


class EventIds:
    """Numbers events as FleetWise's agent does: an 8-bit counter, and the time in ms above it, in 31 bits."""

    def __init__(self) -> None:
        self._count = 0

    def next(self, wall_ns: int) -> int:
        """Return the id of an event that is collected now."""
        self._count = (self._count + 1) & 0xFF
        return (self._count | (wall_ns // MS) << 8) & EVENT_ID_MAX
