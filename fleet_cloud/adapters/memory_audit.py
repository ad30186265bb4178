"""An audit log in memory: for trials and tests; it is chained, and nothing outlives the process."""

from collections.abc import Iterator

from fairway.clock import Clock, SystemClock
from fairway.crypto import Signer
from fairway.identity import DEFAULT_REGION, Scope
from fairway.signers import file
from fleet_cloud.audit.acts import Act
from fleet_cloud.audit.chain import Entry, Head, head_of, next_entry, signed
from fleet_cloud.audit.ports import Wanted


class MemoryAudit:
    """Keeps acts for as long as it lives."""

    def __init__(
        self,
        region: str = DEFAULT_REGION,
        signer: Signer | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._region = region
        self._signer = signer or file.fresh()
        self._clock = clock or SystemClock()
        self._log: list[Entry] = []
        self._heads: dict[str, Head] = {}

    @property
    def acts(self) -> list[Act]:
        """Everything that was written, in order."""
        return [entry.act for entry in self._log]

    def write(self, act: Act) -> None:
        scope = Scope(self._region, act.tenant)
        entry = next_entry(self._heads.get(act.tenant), scope, act, self._clock.now_ns())
        self._log.append(entry)
        self._heads[act.tenant] = signed(head_of(entry), self._signer)

    def newest(
        self, wanted: Wanted, *, limit: int = 100, before: int | None = None
    ) -> list[tuple[int, Entry]]:
        numbered = list(enumerate(self._log, 1))[::-1]
        return [
            (number, entry)
            for number, entry in numbered
            if (before is None or number < before) and wanted.means(entry)
        ][:limit]

    def chain(self, tenant: str, after: int = 0) -> Iterator[Entry]:
        return iter([e for e in self._log if e.scope.tenant == tenant and e.number > after])

    def tenants(self) -> list[str]:
        return sorted({entry.scope.tenant for entry in self._log})

    def heads(self) -> list[Head]:
        return [self._heads[tenant] for tenant in sorted(self._heads)]
