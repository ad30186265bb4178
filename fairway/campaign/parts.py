"""What a batch says of the campaign that collected it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CampaignEvent:
    """One event of a campaign, or as much of it as fits into one batch."""

    id: int
    time_ns: int  # when it was triggered: the vehicle's wall clock
    samples: int  # of the batch: the first ones that belong to no event before
    dtcs: tuple[str, ...] = ()  # active trouble codes, where the campaign asks for them
    dtcs_missing: str = ""  # why they could not be read


@dataclass(frozen=True, slots=True)
class CampaignPart:
    """Which campaign collected the samples of a batch, and for which of its events."""

    sync_id: str
    partition: str = ""  # what the campaign sends at once
    events: tuple[CampaignEvent, ...] = ()
