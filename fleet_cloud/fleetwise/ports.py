"""What the door of FleetWise's agents needs to know of the fleet, and tells it.

Manifests   what signals are             Campaigns   what a vehicle is to run, and what it runs
States      templates of last known states, reports of them, answers to commands
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fairway.control import Answer, CampaignOrder, CheckIn, StateReport, StateTemplateList
from fairway.fleetwise.decoders import DecoderManifest
from fairway.fleetwise.names import SignalNames
from fairway.signals import Dictionary


@dataclass(frozen=True, slots=True, eq=False)
class NamedManifest:
    """A decoder manifest, and what its signals are called."""

    manifest: DecoderManifest
    names: SignalNames


class Manifests(Protocol):
    """Knows decoder manifests.  Contract: tests/contracts/test_fleetwise_ports.py."""

    def of_vehicle(self, vehicle: str) -> NamedManifest | None:
        """Return the manifest that `vehicle` is to have now; None: it has none.  Raises Unavailable."""
        ...

    def called(self, vehicle: str, sync_id: str) -> NamedManifest | None:
        """Return a manifest that `vehicle` may have had; None: nobody knows it.  Raises Unavailable."""
        ...


class Campaigns(Protocol):
    """Knows campaigns.  Contract: tests/contracts/test_fleetwise_ports.py."""

    def orders(self, vehicle: str) -> Sequence[CampaignOrder] | None:
        """Return what `vehicle` is to run now; None: that is not known yet.  Raises Unavailable."""
        ...

    def checked_in(self, vehicle: str, check_in: CheckIn, catalogue: Dictionary | None) -> None:
        """Note what `vehicle` runs, and everything that it can collect.  Raises Unavailable."""
        ...


class States(Protocol):
    """Knows last known states.  Contract: tests/contracts/test_fleetwise_ports.py."""

    def templates(self, vehicle: str) -> StateTemplateList | None:
        """Return the templates of `vehicle`; None: they are not known yet.  Raises Unavailable."""
        ...

    def heard(self, vehicle: str, what: StateReport | Answer) -> None:
        """Note what `vehicle` said.  Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Fleet:
    """All of them."""

    manifests: Manifests
    campaigns: Campaigns
    states: States
