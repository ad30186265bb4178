"""Has snapshot and timestamp of every tenant's Image repository signed anew before they expire.

each tenant > its online key, if one was made > what is due > signed > published as any other publication

Rule 1: several processes may do it at once: who was slower is told so, and leaves it at that.
"""

from collections.abc import Callable

from fairway import log as logs
from fairway.clock import Clock
from fairway.crypto import Signer
from fairway.errors import Conflict, FairwayError
from fleet_cloud.adapters.registry_repository import SqlImageRepository
from fleet_cloud.rollouts.freshness import renewed

log = logs.get("fleet_cloud.releases")

KeyOf = Callable[[str], Signer | None]  # of a tenant; None: none was made


class RepositoryKeeper:
    """Keeps Image repositories fresh."""

    def __init__(self, repository: SqlImageRepository, key_of: KeyOf, clock: Clock) -> None:
        self._repository, self._key_of, self._clock = repository, key_of, clock

    def renew(self) -> int:
        """Sign what is due, and return for how many tenants something was.  Raises Unavailable."""
        return sum(self._renew(tenant) for tenant in self._repository.tenants())

    def _renew(self, tenant: str) -> bool:
        now_ns = self._clock.now_ns()
        try:
            key = self._key_of(tenant)
            if key is None:
                return False
            due = renewed(lambda name: self._repository.file(tenant, name), key, now_ns)
            for role in due.helpless:
                log.warning("metadata_expires", tenant=tenant, role=role, key="not in root")
            if not due.files:
                return False
            self._repository.publish(tenant, due.files, now_ns)
        except Conflict:
            return False
        except FairwayError as error:  # of one tenant: the others are not to wait for it
            log.error("metadata_not_renewed", tenant=tenant, reason=str(error))  # noqa: TRY400
            return False
        log.info("metadata_renewed", tenant=tenant, files=len(due.files))
        return True
