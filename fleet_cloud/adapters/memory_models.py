"""Documents about models in memory, for trials and tests: nothing outlives the process."""

import threading

from fairway.errors import Conflict
from fleet_cloud.models.documents import (
    DOCUMENTS_MAX_PAGE,
    Changes,
    Document,
    Kind,
    Reference,
)


class MemoryDocuments:
    """Keeps documents for as long as it lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._revisions: dict[str, int] = {}
        self._kept: dict[str, dict[Reference, Document]] = {}

    def revision(self, tenant: str) -> int:
        with self._lock:
            return self._revisions.get(tenant, 0)

    def document(self, tenant: str, reference: Reference) -> Document | None:
        with self._lock:
            return self._kept.get(tenant, {}).get(reference)

    def listed(
        self, tenant: str, kind: Kind, *, of: Reference | None = None, after: str = "", limit: int
    ) -> list[Document]:
        with self._lock:
            found = [
                document
                for document in self._kept.get(tenant, {}).values()
                if document.kind is kind
                and document.name > after
                and (of is None or of in document.refers)
            ]
        return sorted(found, key=lambda one: one.name)[: min(limit, DOCUMENTS_MAX_PAGE)]

    def count(self, tenant: str, kind: Kind, of: Reference | None = None) -> int:
        with self._lock:
            return sum(
                document.kind is kind and (of is None or of in document.refers)
                for document in self._kept.get(tenant, {}).values()
            )

    def commit(self, tenant: str, changes: Changes, at_revision: int) -> None:
        with self._lock:
            if self._revisions.get(tenant, 0) != at_revision:
                raise Conflict(f"the models of {tenant} have changed: read them again")
            kept = self._kept.setdefault(tenant, {})
            for reference in changes.drops:
                kept.pop(reference, None)
            for document in changes.puts:
                kept[document.reference] = document
            self._revisions[tenant] = at_revision + 1
