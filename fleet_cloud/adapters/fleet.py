"""Follows the fleet in the registry: every process learns within a second who may connect, and by what.

Rule 1: a change is passed on until it was taken: a removed vehicle does not stay in because a disk is full.
Rule 2: a certificate ends by a clock that nobody sets: one set a year ahead does not cut off the fleet.  New
connections are held against the wall clock as well, by TLS.
Rule 3: while the registry does not answer, the fleet last known stays in force.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fairway import log as logs
from fairway.clock import Clock, SteadyClock
from fairway.errors import Unavailable
from fleet_cloud.vehicles.certificates import (
    Certificate,
    Certificates,
    Member,
    members,
    next_change_ns,
)
from fleet_cloud.vehicles.registry import Vehicle, VehicleRegistry

log = logs.get("fleet_cloud.fleet")

# "At once" for a person; one small query each.
POLL_S = 0.5


class Fleet:
    """The vehicles that may connect, with their tenants and certificates, as of half a second ago."""

    def __init__(self, registry: VehicleRegistry, certificates: Certificates, clock: Clock) -> None:
        self._registry = registry
        self._known = certificates
        self._clock = SteadyClock(clock)
        self._revision = 0
        self._vehicles: dict[str, Vehicle] = {}
        self._certificates: dict[str, Certificate] = {}
        self._until_ns: int | None = None  # when a certificate ends by itself
        # Replaced, never changed: threads read them without a lock.
        self._members: Mapping[str, Member] = {}
        self._tenants: Mapping[str, str] = {}

    @property
    def members(self) -> Mapping[str, Member]:
        """Every vehicle that may connect, by id, with what lets it in."""
        return self._members

    @property
    def tenants(self) -> Mapping[str, str]:
        """The tenant of every vehicle that may connect."""
        return self._tenants

    @property
    def certificates(self) -> list[Certificate]:
        """Every certificate of the region, whatever became of it."""
        return list(self._certificates.values())

    def refresh(self) -> bool:
        """Read what changed, and return whether anything did.  Raises Unavailable."""
        now_ns = self._clock.now_ns()
        changes = self._registry.changes(self._revision)
        has_ended = self._until_ns is not None and now_ns >= self._until_ns
        if changes.revision == self._revision and not has_ended:
            return False
        fresh = self._known.changed(self._revision, changes.revision)
        self._vehicles |= {vehicle.id: vehicle for vehicle in changes.vehicles}
        self._certificates |= {one.sha256: one for one in fresh}
        self._revision = changes.revision
        found = members(self._vehicles.values(), self.certificates, now_ns)
        self._until_ns = next_change_ns(self.certificates, now_ns)
        self._members = {member.vehicle: member for member in found}
        self._tenants = {member.vehicle: member.tenant for member in found}
        return True

    async def follow(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Keep up with the registry until cancelled, calling `changed` after every change."""
        is_reachable = True
        has_changed = False
        while True:
            await asyncio.sleep(POLL_S)
            try:
                has_changed |= await asyncio.to_thread(self.refresh)
                if not is_reachable:
                    log.info("registry_back")
                is_reachable = True
            except Unavailable as error:
                if is_reachable:
                    log.error("registry_unreachable", reason=str(error))  # noqa: TRY400 - the reason says it
                is_reachable = False
                continue
            if has_changed:
                try:
                    await changed()
                    has_changed = False
                except Unavailable as error:  # and again at the next turn, until it is done
                    log.error("fleet_not_told", reason=str(error))  # noqa: TRY400 - the reason says it
