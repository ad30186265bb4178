"""What the device door stands on: everything that it may ask for a vehicle."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fairway.clock import Clock
from fleet_cloud.access.limits import Limit
from fleet_cloud.artifacts.ports import Artifacts, Holdings
from fleet_cloud.rollouts.ports import Director, Ecus, ImageRepository, Offers
from fleet_cloud.vehicles.certificates import Member

# A vehicle that was parked for a year catches up with 256 roots at most (ota.trust), beside some ten files.
VEHICLE_LIMIT = Limit(per_s=10, burst=600)
# Vehicles that show no certificate share an address behind the gateway of their network.
ADDRESS_LIMIT = Limit(per_s=200, burst=2000)
# What a vehicle may fetch at once: an image, and something beside.
FETCHES_MAX = 4


class Places(Protocol):
    """Knows where else bytes lie that vehicles may fetch without a certificate.

    Contract: tests/contracts/test_artifacts.py.
    """

    def url(self, digest: str) -> str | None:
        """Return an address that is good for a while, None when there is none.  Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """The vehicle that speaks, by its certificate or by what a foreign protocol has instead."""

    vehicle: str
    tenant: str
    sha256: str = ""  # of the certificate; "": another proof


@dataclass(slots=True)
class DoorNumbers:
    """How the door is doing."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)  # (route, status)
    sent_bytes: int = 0  # of artifacts
    redirects: int = 0
    fetching: Counter[str] = field(default_factory=Counter)  # by who fetches
    connections: Callable[[], int] = lambda: 0


@dataclass(frozen=True, slots=True)
class DevicePorts:
    """What the routes are given."""

    director: Director
    offers: Offers
    ecus: Ecus
    repository: ImageRepository
    artifacts: Artifacts
    holdings: Holdings
    members: Callable[[], Mapping[str, Member]]
    # A certificate as DER -> the vehicle it speaks for, and its hash; raises BadInput, Denied.
    shown: Callable[[bytes], tuple[str, str]]
    clock: Clock
    numbers: DoorNumbers = field(default_factory=DoorNumbers)
    places: Places | None = None
    vehicle_limit: Limit = VEHICLE_LIMIT
    address_limit: Limit = ADDRESS_LIMIT
