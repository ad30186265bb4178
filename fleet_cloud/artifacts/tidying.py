"""Artifacts that nothing names any more: found, let go, and removed.

    what a tenant holds - what is named (metadata, images, documents, and what those name) - what came lately
        > let go > looked again > removed, unless another tenant holds the same bytes

Rule 1: a name is 64 hexadecimal digits, wherever they stand: rather keep too much than too little.
Rule 2: small documents are read for the names in them: a bundle names its SBOM, a manifest its layers.
Rule 3: what is named between the first look and the last is held again, and its bytes have never been away.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from fairway.clock import NS_PER_S
from fairway.errors import BadInput
from fleet_cloud.artifacts.ports import Artifacts

# Bytes come before the metadata that names them; a release may wait for a signature for some days.
AGE_MIN_DAYS = 7
DOCUMENT_MAX_BYTES = 1 << 20
_NAME = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_DAY_NS = 86_400 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Holding:
    """An artifact that a tenant has."""

    digest: str
    size_bytes: int
    kept_time_ns: int


class HoldingsKeeper(Protocol):
    """Knows all that a tenant has, and lets it go.  Contract: tests/contracts/test_tidying.py."""

    def holdings(self, tenant: str) -> list[Holding]:
        """Return what a tenant has, in order of digest.  Raises Unavailable."""
        ...

    def let_go(self, tenant: str, digest: str) -> None:
        """Note that a tenant has an artifact no more.  Raises Unavailable."""
        ...

    def is_held(self, digest: str) -> bool:
        """Return whether any tenant has an artifact.  Raises Unavailable."""
        ...


class Naming(Protocol):
    """Knows what names artifacts.  Contract: tests/contracts/test_tidying.py."""

    def texts(self, tenant: str) -> Iterator[bytes]:
        """Yield everything of a tenant that may name artifacts.  Raises Unavailable."""
        ...


class Remover(Protocol):
    """Removes bytes.  Contract: tests/contracts/test_artifacts.py."""

    def remove(self, digest: str) -> None:
        """Remove an artifact; one that is not there is no error.  Raises BadInput, Unavailable."""
        ...


class Store(Artifacts, Remover, Protocol):
    """Keeps artifacts, and removes them."""


def names_in(text: bytes) -> set[str]:
    """Return all that may be names of artifacts in a text, as digests."""
    return {f"sha256:{found.decode()}" for found in _NAME.findall(text)}


def named(texts: Iterable[bytes], held: dict[str, int], artifacts: Artifacts) -> set[str]:
    """Return what texts name, and what the documents among that name.  Raises Unavailable."""
    found = set[str]()
    waiting = set[str]()
    for text in texts:
        waiting |= names_in(text)
    while waiting:
        digest = waiting.pop()
        if digest in found:
            continue
        found.add(digest)
        if 0 < held.get(digest, 0) <= DOCUMENT_MAX_BYTES:
            waiting |= names_in(_document(artifacts, digest)) - found
    return found


def unnamed(
    holdings: Iterable[Holding], names: set[str], now_ns: int, days: float
) -> list[Holding]:
    """Return what is named by nothing, and has been here for some days."""
    until_ns = now_ns - int(days * _DAY_NS)
    return [one for one in holdings if one.digest not in names and one.kept_time_ns < until_ns]


@dataclass(frozen=True, slots=True)
class Shelves:
    """What is tidied, and what says what is needed."""

    holdings: HoldingsKeeper
    naming: Naming
    store: Store
    hold: Callable[[str, str, int, int], None]  # as Holdings.hold

    def unnamed(self, tenant: str, now_ns: int, days: float = AGE_MIN_DAYS) -> list[Holding]:
        """Return what a tenant has that nothing names.  Raises Unavailable."""
        held = self.holdings.holdings(tenant)
        return unnamed(held, self._names(tenant, held), now_ns, days)

    def remove(self, tenant: str, old: list[Holding]) -> list[Holding]:
        """Let go of what was found to be unnamed, and return what is gone.  Raises Unavailable."""
        held = self.holdings.holdings(tenant)
        for one in old:
            self.holdings.let_go(tenant, one.digest)
        names = self._names(tenant, held)  # whatever was published meanwhile
        for one in old:
            if one.digest in names:
                self.hold(tenant, one.digest, one.size_bytes, one.kept_time_ns)
            elif not self.holdings.is_held(one.digest):
                self.store.remove(one.digest)
        return [one for one in old if one.digest not in names]

    def _names(self, tenant: str, held: list[Holding]) -> set[str]:
        sizes = {one.digest: one.size_bytes for one in held}
        return named(self.naming.texts(tenant), sizes, self.store)


def _document(artifacts: Artifacts, digest: str) -> bytes:
    try:
        data = artifacts.read(digest, 0, DOCUMENT_MAX_BYTES)
    except BadInput:
        return b""  # held, and not there: nothing it could name
    return data if data[:1] in (b"{", b"[") else b""
