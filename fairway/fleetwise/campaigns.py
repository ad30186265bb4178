"""A campaign under the names that FleetWise's wire gives it.

Rule 1: `sync_id` names a content: the cloud chooses it, the agent says it in check-ins and with every event.
"""

from dataclasses import dataclass

from fairway.campaign.model import Campaign


@dataclass(frozen=True, slots=True)
class Scheme:
    """A campaign for, or from, an agent of FleetWise."""

    sync_id: str
    decoder_sync_id: str  # of the manifest that its numbers are of
    campaign: Campaign
    arn: str = ""
    left_out: tuple[str, ...] = ()  # sentences: what of it cannot be done here


@dataclass(frozen=True, slots=True)
class SchemeList:
    """All campaigns of a vehicle; `unreadable` are sync id and reason of those that mean nothing here."""

    time_ms: int
    schemes: tuple[Scheme, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
