"""Where what foreign clients need is kept: documents of a few kinds, and whole numbers for our names.

Rule 1: whoever writes says which revision was read; if it is no longer the newest, nothing is written.
Rule 2: a number once given is never another's: hawkBit's clients know orders and modules by numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from fairway.errors import Conflict, Unavailable

T = TypeVar("T")
# One page of a listing.
DOCUMENTS_MAX = 1000
# How often a change is tried that others change at the same time; two do at most, a client and a person.
_TRIES = 8
_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


class Kind(StrEnum):
    """What a document is about; also which numbers are meant."""

    TARGET = "target"  # by vehicle
    SETTING = "setting"  # by hawkBit's key
    MODULE = "module"  # by number
    SET = "set"  # by number
    ARTIFACT = "artifact"  # only numbers
    HASHES = "hashes"  # by SHA-256
    ACTION = "action"  # numbers of orders, whoever gave them
    ASSIGNMENT = "assignment"  # by order
    JOB = "job"  # by vehicle and order
    INSTALLED = "installed"  # by vehicle


@dataclass(frozen=True, slots=True)
class Document:
    """What is kept, and how often it was changed."""

    kind: Kind
    name: str
    content: Any  # JSON
    revision: int = 0  # 0: not kept yet
    group: str = ""  # what it is listed under, such as a vehicle


class Documents(Protocol):
    """Keeps documents.  Contract: tests/contracts/test_foreign_documents.py."""

    def document(self, tenant: str, kind: Kind, name: str) -> Document | None:
        """Return the document of that name.  Raises Unavailable."""
        ...

    def listed(
        self, tenant: str, kind: Kind, group: str = "", *, limit: int = DOCUMENTS_MAX
    ) -> list[Document]:
        """Return documents of a kind (in a group), those that were made last first.  Raises Unavailable."""
        ...

    def put(self, tenant: str, document: Document) -> bool:
        """Keep `document` in place of its revision (0: of none); False: that is not the newest one.

        Raises Unavailable.
        """
        ...

    def drop(self, tenant: str, kind: Kind, name: str) -> bool:
        """Forget a document; False: there was none.  Raises Unavailable."""
        ...


class Numbers(Protocol):
    """Numbers names.  Contract: tests/contracts/test_foreign_documents.py."""

    def number(self, tenant: str, kind: Kind, name: str) -> int:
        """Return the number of a name, a new one for a new name.  Raises Unavailable."""
        ...

    def name(self, tenant: str, kind: Kind, number: int) -> str | None:
        """Return whose number it is, None when nobody's.  Raises Unavailable."""
        ...


class Sealer(Protocol):
    """Keeps secrets that have to be shown again so that only this cloud can."""

    def seal(self, text: str) -> str:
        """Return `text`, sealed."""
        ...

    def opened(self, sealed: str) -> str | None:
        """Return what was sealed; None: by another cloud, or not at all."""
        ...


def _adapter(kind: Any) -> TypeAdapter[Any]:
    # Made once for each noun: that takes a hundred times as long as using it.
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def read(kind: type[T], content: Any) -> T:
    """Return the noun that a kept document says.  Raises Unavailable for one of a later version."""
    try:
        found: T = _adapter(kind).validate_python(content)
    except ValidationError as error:
        raise Unavailable(f"a kept {kind.__name__} cannot be read: {error.errors()[0]}") from error
    return found


def written(noun: object) -> Any:
    """Return a noun as JSON."""
    return _adapter(type(noun)).dump_python(noun, mode="json")


def found(documents: Documents, tenant: str, kind: Kind, name: str, noun: type[T]) -> T | None:
    """Return the noun that is kept under a name.  Raises Unavailable."""
    document = documents.document(tenant, kind, name)
    return None if document is None else read(noun, document.content)


def change(  # noqa: PLR0913 - where it is, what it is, and what becomes of it
    documents: Documents,
    tenant: str,
    kind: Kind,
    name: str,
    changed: Callable[[T | None], T | None],
    noun: type[T],
    *,
    group: Callable[[T], str] | None = None,
) -> T | None:
    """Have what is kept changed by `changed`, which is asked again when others are faster.

    None from it leaves things as they are; `group` says what the outcome is listed under.

    Raises Conflict when others are always faster, Unavailable, and what `changed` raises.
    """
    for _ in range(_TRIES):
        document = documents.document(tenant, kind, name)
        before = None if document is None else read(noun, document.content)
        after = changed(before)
        if after is None or after == before:
            return before
        at = document or Document(kind, name, None)
        under = at.group if group is None else group(after)
        if documents.put(tenant, replace(at, content=written(after), group=under)):
            return after
    raise Conflict(f"{kind} {name} is being changed by others: come again")
