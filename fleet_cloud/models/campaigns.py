"""What the FleetWise door needs of campaigns: a port, and how a campaign moves.

    (create) --> WAITING_FOR_APPROVAL --APPROVE--> RUNNING --SUSPEND--> SUSPENDED --RESUME--> RUNNING
                                                      any --UPDATE--> the same     any --remove--> (gone)

Rule 1: a document is FleetWise's JSON, validated by its shape, with ARNs of the tenant that asks.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from fleet_cloud.models.refusals import InTheWay

CAMPAIGN = "campaign"


class CampaignStatus(StrEnum):
    """What has become of a campaign."""

    CREATING = "CREATING"
    WAITING_FOR_APPROVAL = "WAITING_FOR_APPROVAL"
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"


class Move(StrEnum):
    """What may be asked of a campaign."""

    APPROVE = "APPROVE"
    SUSPEND = "SUSPEND"
    RESUME = "RESUME"
    UPDATE = "UPDATE"


_S = CampaignStatus
MOVES: dict[tuple[CampaignStatus, Move], CampaignStatus] = {
    (_S.WAITING_FOR_APPROVAL, Move.APPROVE): _S.RUNNING,
    (_S.RUNNING, Move.SUSPEND): _S.SUSPENDED,
    (_S.SUSPENDED, Move.RESUME): _S.RUNNING,
    **{(status, Move.UPDATE): status for status in _S},
}


@dataclass(frozen=True, slots=True)
class KeptCampaign:
    """One campaign of a tenant."""

    name: str
    document: Mapping[str, Any]
    status: CampaignStatus
    created_time_ns: int
    changed_time_ns: int


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for something, and when."""

    tenant: str
    actor: str
    now_ns: int


class Campaigns(Protocol):
    """The campaigns of tenants.  Contract: tests/contracts/test_fleetwise_campaigns.py."""

    def create(self, asker: Asker, document: Mapping[str, Any]) -> None:
        """Make the campaign that a document says.  Raises InTheWay, BadInput, Unavailable."""
        ...

    def campaign(self, tenant: str, name: str) -> KeptCampaign | None:
        """Return one campaign; None when there is none.  Raises Unavailable."""
        ...

    def listed(
        self, tenant: str, *, after: str = "", limit: int, status: str = ""
    ) -> list[KeptCampaign]:
        """Return up to `limit` campaigns (of a status) in order of name behind `after`.  Raises Unavailable."""
        ...

    def move(self, asker: Asker, name: str, move: Move, changes: Mapping[str, Any]) -> KeptCampaign:
        """Move a campaign on; UPDATE puts `changes` into its document.

        Raises NotThere, InTheWay, Denied (who made it may not approve it), Unavailable.
        """
        ...

    def remove(self, asker: Asker, name: str) -> KeptCampaign:
        """Forget a campaign, and return what it was.  Raises NotThere, Unavailable."""
        ...

    def of_vehicle(
        self, tenant: str, vehicle: str, targets: Collection[str], *, after: str = "", limit: int
    ) -> list[tuple[str, str]]:
        """Return campaigns of a vehicle, named by any of `targets` (ARNs), each with its state there.

        A state is CREATED, READY, HEALTHY, SUSPENDED or DELETING.  Raises Unavailable.
        """
        ...


def moved(name: str, status: CampaignStatus, move: Move) -> CampaignStatus:
    """Return the status after a move.  Raises InTheWay."""
    after = MOVES.get((status, move))
    if after is None:
        raise InTheWay(CAMPAIGN, name, f"the campaign {name} is {status}: it cannot {move.lower()}")
    return after
