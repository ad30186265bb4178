"""What foreign clients need, in memory, for trials and tests: nothing outlives the process."""

import copy
import threading
from dataclasses import replace

from fleet_cloud.rollouts.foreign.ports import DOCUMENTS_MAX, Document, Kind


class MemoryForeign:
    """Keeps documents and numbers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._documents: dict[tuple[str, Kind, str], Document] = {}
        self._numbers: dict[tuple[str, Kind, str], int] = {}
        self._last = 0

    def document(self, tenant: str, kind: Kind, name: str) -> Document | None:
        with self._lock:
            return copy.deepcopy(self._documents.get((tenant, kind, name)))

    def listed(
        self, tenant: str, kind: Kind, group: str = "", *, limit: int = DOCUMENTS_MAX
    ) -> list[Document]:
        with self._lock:
            some = [
                one
                for (of, about, _), one in self._documents.items()
                if (of, about) == (tenant, kind) and group in ("", one.group)
            ]
            return copy.deepcopy(some[::-1][: min(limit, DOCUMENTS_MAX)])

    def put(self, tenant: str, document: Document) -> bool:
        key = (tenant, document.kind, document.name)
        with self._lock:
            kept = self._documents.get(key)
            if (kept.revision if kept else 0) != document.revision:
                return False
            self._documents[key] = replace(
                document,
                content=copy.deepcopy(document.content),
                revision=document.revision + 1,
            )
            return True

    def drop(self, tenant: str, kind: Kind, name: str) -> bool:
        with self._lock:
            return self._documents.pop((tenant, kind, name), None) is not None

    def number(self, tenant: str, kind: Kind, name: str) -> int:
        with self._lock:
            key = (tenant, kind, name)
            if key not in self._numbers:
                self._last += 1
                self._numbers[key] = self._last
            return self._numbers[key]

    def name(self, tenant: str, kind: Kind, number: int) -> str | None:
        with self._lock:
            return next(
                (
                    name
                    for (of, about, name), known in self._numbers.items()
                    if (of, about, known) == (tenant, kind, number)
                ),
                None,
            )
