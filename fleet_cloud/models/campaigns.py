"""What the FleetWise door needs of campaigns: a port.

    create --> WAITING_FOR_APPROVAL --APPROVE--> RUNNING --SUSPEND--> SUSPENDED --RESUME--> RUNNING

Rule 1: a document is FleetWise's JSON, validated by its shape, with ARNs of the tenant that asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class Move(StrEnum):
    """What may be asked of a campaign."""

    APPROVE = "APPROVE"
    SUSPEND = "SUSPEND"
    RESUME = "RESUME"
    UPDATE = "UPDATE"


@dataclass(frozen=True, slots=True)
class KeptCampaign:
    """One campaign of a tenant."""

    name: str
    document: Mapping[str, Any]
    status: str  # CREATING, WAITING_FOR_APPROVAL, RUNNING or SUSPENDED
    created_time_ns: int
    changed_time_ns: int


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for something, and when."""

    tenant: str
    actor: str
    now_ns: int


class Campaigns(Protocol):
    """The campaigns of tenants, every act audited.  Contract: tests/contracts/test_fleetwise_campaigns.py."""

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

    def remove(self, asker: Asker, name: str) -> None:
        """Take a campaign from its vehicles and forget it.  Raises NotThere, InTheWay, Unavailable."""
        ...

    def belongs(self, tenant: str, vehicle: str, fleets: Mapping[str, bool]) -> None:
        """Note of fleets whether a vehicle belongs to them; of others nothing changes.  Raises Unavailable."""
        ...

    def of_vehicle(
        self, tenant: str, vehicle: str, *, after: str = "", limit: int
    ) -> list[tuple[str, str]]:
        """Return the campaigns that a vehicle is a target of, in order of name, each with its state there.

        A state is CREATED, READY, HEALTHY or SUSPENDED.  Raises Unavailable.
        """
        ...
