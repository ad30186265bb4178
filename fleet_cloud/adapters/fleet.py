"""Follows the fleet in the registry: every process learns within a second who was added or removed.

Rule 1: a change is passed on until it was taken: a removed vehicle does not stay in because a disk is full.
Rule 2: while the registry does not answer, the fleet last known stays in force.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fairway import log as logs
from fairway.errors import Unavailable
from fleet_cloud.vehicles.registry import VehicleRegistry

log = logs.get("fleet_cloud.fleet")

# "At once" for a person; one small query each.
POLL_S = 0.5


class Fleet:
    """The vehicles that may connect, with their tenants, as of half a second ago."""

    def __init__(self, registry: VehicleRegistry) -> None:
        self._registry = registry
        self._revision = 0
        # Replaced, never changed: threads read it without a lock.
        self._tenants: Mapping[str, str] = {}

    @property
    def tenants(self) -> Mapping[str, str]:
        """The tenant of every vehicle that may connect."""
        return self._tenants

    def refresh(self) -> bool:
        """Read what changed, and return whether anything did.  Raises Unavailable."""
        changes = self._registry.changes(self._revision)
        if changes.revision == self._revision:
            return False
        tenants = dict(self._tenants)
        for vehicle in changes.vehicles:
            if vehicle.may_connect:
                tenants[vehicle.id] = vehicle.tenant
            else:
                tenants.pop(vehicle.id, None)
        self._tenants = tenants
        self._revision = changes.revision
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
