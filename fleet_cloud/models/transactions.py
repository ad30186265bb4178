"""One decision over a tenant's documents: what it read, what it wants, and the commit that holds it to both.

    change(work) --> revision --> work reads and decides --> commit at that revision
                        ^-------------- Conflict: somebody was quicker --'

Rule 1: `work` decides and has no effect of its own; it may run again.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from fairway.errors import Conflict, Unavailable
from fleet_cloud.models.documents import Changes, Document, Documents, Kind, Reference, pages
from fleet_cloud.models.refusals import InTheWay, NotThere

T = TypeVar("T")

# Another process commits in milliseconds; whoever is overtaken this often meets a storm, and comes again.
ATTEMPTS_MAX = 20


@dataclass
class Transaction:
    """What one decision sees and wants."""

    documents: Documents
    tenant: str
    now_ns: int
    _seen: dict[Reference, Document | None] = field(default_factory=dict)
    _wanted: dict[Reference, Document | None] = field(default_factory=dict)

    def find(self, kind: Kind, name: str) -> Document | None:
        """Return a document as this decision leaves it; None when there is none.  Raises Unavailable."""
        wanted = Reference(kind, name)
        if wanted in self._wanted:
            return self._wanted[wanted]
        if wanted not in self._seen:
            self._seen[wanted] = self.documents.document(self.tenant, wanted)
        return self._seen[wanted]

    def get(self, kind: Kind, name: str) -> Document:
        """Return a document.  Raises NotThere, Unavailable."""
        found = self.find(kind, name)
        if found is None:
            raise NotThere(kind, name)
        return found

    def content(self, kind: Kind, name: str) -> Any:
        """Return the content of a document that is there because another one is."""
        return self.get(kind, name).content

    def listed(
        self, kind: Kind, *, of: Reference | None = None, after: str = "", limit: int
    ) -> list[Document]:
        """List committed documents, as the port does.  Raises Unavailable."""
        return self.documents.listed(self.tenant, kind, of=of, after=after, limit=limit)

    def every(self, kind: Kind, of: Reference | None = None) -> Sequence[Document]:
        """Return all committed documents of a kind (that refer to `of`).  Raises Unavailable."""
        return pages(self.documents, self.tenant, kind, of)

    def reaches(self, kind: Kind, most: int, of: Reference | None = None) -> bool:
        """Whether there are `most` documents of a kind (that refer to `of`) already.  Raises Unavailable."""
        return self.documents.count(self.tenant, kind, of) >= most

    def new(
        self, kind: Kind, name: str, content: Mapping[str, Any], refers: frozenset[Reference]
    ) -> None:
        """Put a document that is not there yet.  Raises InTheWay, Unavailable."""
        if self.find(kind, name) is not None:
            raise InTheWay(kind, name, f"there is a {kind} called {name} already")
        self._put(Document(kind, name, content, self.now_ns, self.now_ns, refers))

    def put(self, kind: Kind, name: str, content: Any) -> None:
        """Put a document, or another content into the one that is there.  Raises Unavailable."""
        known = self.find(kind, name)
        if known is None:
            self._put(Document(kind, name, content, self.now_ns, self.now_ns))
        elif known.content != content:
            self._put(replace(known, content=content, changed_time_ns=self.now_ns))

    def replace(self, document: Document, content: Any, refers: frozenset[Reference]) -> None:
        """Put another content into a document, which then refers to others."""
        self._put(replace(document, content=content, refers=refers, changed_time_ns=self.now_ns))

    def drop(self, kind: Kind, name: str) -> None:
        """Drop a document; one that is not there stays so."""
        self._wanted[Reference(kind, name)] = None

    def refuse_if_used(self, used: Reference, by: Kind) -> None:
        """Raise InTheWay when a document of a kind refers to `used`; Unavailable."""
        users = self.listed(by, of=used, limit=1)
        if users:
            why = f"the {used.kind} {used.name} is in use by the {by} {users[0].name}"
            raise InTheWay(used.kind, used.name, why)

    def _put(self, document: Document) -> None:
        self._wanted[document.reference] = document

    def changes(self) -> Changes:
        """Return what is to be committed."""
        puts = tuple(document for document in self._wanted.values() if document is not None)
        drops = tuple(name for name, document in self._wanted.items() if document is None)
        return Changes(puts, drops)


class Models:
    """Reads and changes a tenant's documents."""

    def __init__(self, documents: Documents, one_at_a_time: AbstractContextManager[object]) -> None:
        """`one_at_a_time` is a lock: within a process changes wait for each other instead of overtaking."""
        self._documents = documents
        self._lock = one_at_a_time

    def reading(self, tenant: str, now_ns: int) -> Transaction:
        """Return what only reads."""
        return Transaction(self._documents, tenant, now_ns)

    def change(
        self,
        tenant: str,
        now_ns: int,
        work: Callable[[Transaction], T],
        before: Callable[[], None] = lambda: None,
    ) -> T:
        """Have `work` decide, call `before`, commit, and return what `work` returned.

        `before` is called at most once, when there is something to commit.  Raises what `work` and `before`
        raise, Unavailable.
        """
        called = False
        with self._lock:
            for _ in range(ATTEMPTS_MAX):
                revision = self._documents.revision(tenant)
                transaction = Transaction(self._documents, tenant, now_ns)
                answer = work(transaction)
                changes = transaction.changes()
                if not changes:
                    return answer
                if not called:
                    before()
                    called = True
                try:
                    self._documents.commit(tenant, changes, revision)
                except Conflict:
                    continue
                return answer
        raise Unavailable("others change the same account's models at this moment: come again")
