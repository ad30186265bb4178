"""What the cloud keeps of a campaign.

Rule 1: a change is made to a version that was looked at; whoever was slower looks again.
"""

from dataclasses import dataclass

from fairway.campaign.model import Campaign
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.stages import REFUSED_MAX_PERCENT, Stage
from fleet_cloud.control.targets import Target


@dataclass(frozen=True, slots=True)
class Kept:
    """One campaign as the cloud keeps it."""

    tenant: str
    campaign: Campaign
    sync_id: str  # names the content that vehicles act on
    target: Target
    state: State
    author: str
    created_time_ns: int
    changed_time_ns: int
    approved_by: str = ""
    started_time_ns: int | None = None
    stages: tuple[Stage, ...] = ()
    max_refused_percent: float = REFUSED_MAX_PERCENT
    percent: float = 100.0  # of the targets, so far
    halted: str = ""  # why it stopped by itself
    version: int = 1

    @property
    def name(self) -> str:
        """What it is called in its tenant."""
        return self.campaign.name
