"""What is known about kinds of vehicles, as documents of a tenant; and the port that keeps them.

    catalog <-- model manifest <-- decoder manifest <-- vehicle --> state template
       ^                                                   ^
       '------------------- fleet <----- member -----------'

Rule 1: a document is of one kind, has one name there, and says which others it stands on (`refers`).
Rule 2: what is large (nodes, decoders) is a document of its own beside the one that is listed.
Rule 3: a tenant's documents have one revision, which every commit moves on; whoever read at an older one is
told so, and reads again.  So no decision is ever taken on what another has changed meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

# One page of a listing.
DOCUMENTS_MAX_PAGE = 1000


class Kind(StrEnum):
    """What a document is about."""

    CATALOG = "signal-catalog"
    CATALOG_NODES = "signal-catalog-nodes"
    MODEL = "model-manifest"
    MODEL_NODES = "model-manifest-nodes"
    DECODER = "decoder-manifest"
    DECODER_SIGNALS = "decoder-manifest-signals"
    DECODER_INTERFACES = "decoder-manifest-interfaces"
    FLEET = "fleet"
    MEMBER = "fleet-vehicle"  # <fleet>/<vehicle>
    VEHICLE = "vehicle"
    TEMPLATE = "state-template"
    TEMPLATE_ID = "state-template-id"  # never a document: what a template is called besides
    CAMPAIGN = "campaign"  # never a document either: campaigns.py
    TAGS = "tags"  # <kind>/<name>
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """Another document that is meant."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Document:
    """One document."""

    kind: Kind
    name: str
    content: Any  # as JSON has it
    created_time_ns: int
    changed_time_ns: int
    refers: frozenset[Reference] = frozenset()

    @property
    def reference(self) -> Reference:
        """How others name it."""
        return Reference(self.kind, self.name)


@dataclass(frozen=True, slots=True)
class Changes:
    """What one decision does to the documents of a tenant."""

    puts: tuple[Document, ...] = ()
    drops: tuple[Reference, ...] = ()

    def __len__(self) -> int:
        return len(self.puts) + len(self.drops)


class Documents(Protocol):
    """Keeps documents.  Contract: tests/contracts/test_models.py."""

    def revision(self, tenant: str) -> int:
        """Return the revision of a tenant's documents; 0 before the first commit.  Raises Unavailable."""
        ...

    def document(self, tenant: str, reference: Reference) -> Document | None:
        """Return one document; None when there is none.  Raises Unavailable."""
        ...

    def listed(
        self, tenant: str, kind: Kind, *, of: Reference | None = None, after: str = "", limit: int
    ) -> list[Document]:
        """Return up to `limit` documents of a kind in order of name, beginning behind `after`.

        With `of`, only those that refer to it.  Raises Unavailable.
        """
        ...

    def count(self, tenant: str, kind: Kind, of: Reference | None = None) -> int:
        """Return how many documents of a kind (that refer to `of`) there are.  Raises Unavailable."""
        ...

    def commit(self, tenant: str, changes: Changes, at_revision: int) -> None:
        """Apply all of `changes`, durably, or nothing.

        Raises Conflict when the revision is no longer `at_revision` (read again, decide again), Unavailable.
        """
        ...


def pages(
    documents: Documents, tenant: str, kind: Kind, of: Reference | None = None
) -> Sequence[Document]:
    """Return every document of a kind (that refers to `of`).  Raises Unavailable."""
    found: list[Document] = []
    while True:
        after = found[-1].name if found else ""
        page = documents.listed(tenant, kind, of=of, after=after, limit=DOCUMENTS_MAX_PAGE)
        found += page
        if len(page) < DOCUMENTS_MAX_PAGE:
            return found
