"""Which vehicles the fleet has: who may connect, and when each was last heard of.

    (unknown) --add--> ACTIVE --remove--> REMOVED --add--> ACTIVE

Rule 1: only an ACTIVE vehicle may connect, send or receive; everything else is denied.
Rule 2: removing keeps the row: the samples of the vehicle stay, and so does who it was.
Rule 3: every change that matters to access moves the fleet's revision on by one, so that followers (broker
access rules, ingest processes) ask for one number and read only what changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from fairway.errors import BadInput
from fairway.ids import vehicle_id

# The cloud's own name in certificates and access rules; no vehicle may be called so.
CLOUD_NAME = "fairway-cloud"
# Whoever tells the broker of changes in the fleet; reserved as well, for it begins alike.
KEEPER_NAME = f"{CLOUD_NAME}-keeper"
# Whoever serves the agents of AWS IoT FleetWise at the broker.
FLEETWISE_NAME = f"{CLOUD_NAME}-fleetwise"

# One page of a listing: large enough for a console, small enough for memory.
VEHICLES_MAX_PAGE = 1000


class VehicleState(StrEnum):
    """Whether a vehicle may connect."""

    ACTIVE = "active"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One vehicle of the fleet."""

    id: str
    tenant: str
    state: VehicleState
    registered_time_ns: int
    last_seen_time_ns: int | None  # None: never heard of
    certificate_sha256: str = (
        ""  # of the certificate issued last, hexadecimal; empty: issued elsewhere
    )
    certificate_expires_time_ns: int | None = None

    @property
    def may_connect(self) -> bool:
        """Whether this vehicle may send and receive."""
        return self.state is VehicleState.ACTIVE


@dataclass(frozen=True, slots=True)
class FleetChanges:
    """The vehicles that changed after a revision, and the revision they bring the reader to."""

    vehicles: tuple[Vehicle, ...]
    revision: int


class VehicleReader(Protocol):
    """Looks vehicles up.  Contract: tests/contracts/test_registry.py."""

    def vehicle(self, vehicle: str) -> Vehicle | None:
        """Return the vehicle of that id, removed or not; None when it never was.  Raises Unavailable."""
        ...

    def vehicles(self, *, after: str = "", limit: int = VEHICLES_MAX_PAGE) -> list[Vehicle]:
        """Return up to `limit` vehicles in order of id, beginning behind `after`.  Raises Unavailable."""
        ...


class VehicleRegistry(VehicleReader, Protocol):
    """Keeps the fleet.  Contract: tests/contracts/test_registry.py."""

    def add(self, vehicle: Vehicle) -> None:
        """Add a vehicle, or bring a removed one back.  Raises Conflict when it is active, Unavailable."""
        ...

    def remove(self, vehicle: str) -> None:
        """Deny the vehicle from now on.  Raises BadInput when no such vehicle is active, Unavailable."""
        ...

    def changes(self, after_revision: int) -> FleetChanges:
        """Return what changed after `after_revision` (0: everything).  Raises Unavailable."""
        ...

    def seen(self, times_ns: Sequence[tuple[str, int]]) -> None:
        """Note when vehicles were heard of; the latest wins, unknown ones are ignored.  Raises Unavailable."""
        ...


def checked_vehicle_name(text: str) -> str:
    """Return `text` when a vehicle may be called so.  Raises BadInput."""
    if text.lower().startswith(CLOUD_NAME):
        raise BadInput(f"{text!r} is reserved for the cloud itself: choose another vehicle id")
    return vehicle_id(text)
