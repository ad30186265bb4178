"""Images that wanted services lack: fetched from the cloud part by part, and put on the vehicle's shelf.

    supervisor.images_missing > manifest > configuration, layers > an OCI layout in a folder > shelf.take()
                              > supervisor.images_changed()

Rule 1: nothing is fetched but images that wanted services name, and what their manifests name.
Rule 2: what cannot be fetched now is tried again, later and later; what can never be is told, and tried seldom.
Rule 3: one image after the other: the first service runs while the next is fetched.
"""

import asyncio
import contextlib
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_agent.adapters.artifact_fetch import Artifacts
from edge_agent.telemetry.uplink import reconnect_after_s
from fairway import log
from fairway.clock import NS_PER_S, Clock
from fairway.errors import BadInput, Denied, Tampered, Unavailable
from fairway.oci import documents, model, platforms, written
from fairway.oci.model import Descriptor, Index, Platform

EVENTS = log.get("edge_agent.images")

INDEXES_DEEP_MAX = 3
# Somebody may have pushed it meanwhile, or put right what was wrong; asking costs some hundred bytes.
HOPELESS_RETRY_S = 60.0
# What is not what it is called is fetched again, whole: that may cost a hundred megabytes.
TAMPERED_RETRY_S = 3600.0
LOOK_S = 1.0


class Wanting(Protocol):
    """The supervisor, as far as it lacks images: services.py."""

    @property
    def images_missing(self) -> frozenset[str]:
        """The digests that are wanted and not here."""
        ...

    def images_changed(self) -> None:
        """Look again: something came."""
        ...


class Taking(Protocol):
    """The vehicle's shelf of images: images.py."""

    def holds(self, digest: str) -> bool:
        """Whether a blob is here already, whole: another image has it too."""
        ...

    async def take(self, path: Path, digest: str | None = None) -> tuple[str, ...]:
        """Take in an image of an OCI layout.  Raises BadInput, Tampered, Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class FetchTerms:
    """What may be fetched."""

    here: Platform  # which image of an index is meant
    image_max_bytes: int = 4 << 30  # of all its parts, as they travel
    chance: Callable[[], float] = random.random  # spreads a fleet


class ImageFetch:
    """Fetches images; `run` it as a task."""

    def __init__(
        self,
        folder: Path,
        artifacts: Artifacts,
        shelf: Taking,
        clock: Clock,
        terms: FetchTerms,
    ) -> None:
        """`folder` is for layouts that are being fetched."""
        self._folder, self._artifacts, self._shelf = folder, artifacts, shelf
        self._clock, self._terms = clock, terms
        self._attempts: dict[str, int] = {}
        self._not_before_ns: dict[str, int] = {}
        self.troubles: dict[str, str] = {}  # of images by digest: one sentence each, for `why`

    async def run(self, wanting: Wanting) -> None:
        """Fetch what is missing until cancelled."""
        while True:
            await self.fetch_missing(wanting)
            await asyncio.sleep(LOOK_S)

    async def fetch_missing(self, wanting: Wanting) -> None:
        """Fetch every image that is missing and due; return when each came, or did not."""
        missing = wanting.images_missing
        self._forget_all_but(missing)
        for digest in sorted(missing):
            if self._clock.monotonic_ns() < self._not_before_ns.get(digest, 0):
                continue
            if digest not in wanting.images_missing:
                continue  # nobody wants it any more, or it came another way
            if await self._fetched(digest):
                wanting.images_changed()

    async def _fetched(self, digest: str) -> bool:
        try:
            await self.fetch(digest)
        except (BadInput, Tampered, Denied) as error:
            is_costly = isinstance(error, Tampered)
            self._later(digest, TAMPERED_RETRY_S if is_costly else HOPELESS_RETRY_S, str(error))
            EVENTS.error("image_not_fetched", digest=digest, reason=str(error))
            return False
        except Unavailable as error:
            attempt = self._attempts[digest] = self._attempts.get(digest, 0) + 1
            self._later(digest, reconnect_after_s(attempt, self._terms.chance()), str(error))
            EVENTS.warning("image_fetch_waits", digest=digest, attempt=attempt, reason=str(error))
            return False
        self._attempts.pop(digest, None)
        self.troubles.pop(digest, None)
        return True

    async def fetch(self, digest: str) -> None:
        """Fetch an image and put it on the shelf.

        Raises BadInput when it can never run here, Tampered, Denied, Unavailable when it goes on later.
        """
        layout = self._folder / model.hex_of(model.checked_digest(digest))
        entry = await self._document(layout, Descriptor(model.MANIFEST, digest, 0))
        chain, manifest = await self._manifest(layout, entry)
        parts = (manifest.config, *manifest.layers)
        size = sum(part.size_bytes for part in parts)
        if size > self._terms.image_max_bytes:
            raise BadInput(f"{digest} has {size} bytes: {self._terms.image_max_bytes} are allowed")
        for part in parts:
            if part is not manifest.config and self._shelf.holds(part.digest):
                continue  # shared with an image that is here
            found = await self._artifacts.fetch(
                part.digest, _blob(layout, part.digest), most_bytes=part.size_bytes
            )
            if found != part.size_bytes:
                raise Tampered(f"{part.digest} must have {part.size_bytes} bytes, and has {found}")
        try:
            (layout / "oci-layout").write_bytes(written.LAYOUT)
            (layout / "index.json").write_bytes(written.index_bytes(Index((chain,))))
        except OSError as error:
            raise Unavailable(f"{layout} cannot be written: {error.strerror}") from error
        await self._shelf.take(layout, digest)
        await asyncio.to_thread(shutil.rmtree, layout, ignore_errors=True)

    async def _manifest(
        self, layout: Path, first: tuple[Descriptor, bytes]
    ) -> tuple[Descriptor, model.Manifest]:
        """Return the entry for the layout's index, and the manifest that it leads to."""
        entry, data = first
        for _ in range(INDEXES_DEEP_MAX + 1):
            try:
                index = documents.index(data)
            except BadInput:
                return _typed(first, model.MANIFEST), documents.manifest(data)
            chosen = platforms.choose(index, self._terms.here)
            first = (_typed(first, model.INDEX), first[1])
            entry, data = await self._document(layout, chosen)
        raise BadInput(f"{entry.digest} is an index of indexes of indexes")

    async def _document(self, layout: Path, named: Descriptor) -> tuple[Descriptor, bytes]:
        path = _blob(layout, named.digest)
        await self._artifacts.fetch(named.digest, path, most_bytes=documents.DOCUMENT_MAX_BYTES)
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
        return Descriptor(named.media_type, named.digest, len(data)), data

    def _later(self, digest: str, after_s: float, why: str) -> None:
        self.troubles[digest] = f"its image is not here: {why}"
        self._not_before_ns[digest] = self._clock.monotonic_ns() + round(after_s * NS_PER_S)

    def _forget_all_but(self, missing: frozenset[str]) -> None:
        known: tuple[dict[str, int] | dict[str, str], ...] = (
            self._attempts,
            self._not_before_ns,
            self.troubles,
        )
        for some in known:
            for digest in some.keys() - missing:
                del some[digest]
        if not missing:
            self._artifacts.forget(frozenset())
            with contextlib.suppress(OSError):
                for layout in self._folder.iterdir():
                    if layout.is_dir():
                        shutil.rmtree(layout, ignore_errors=True)


def _typed(found: tuple[Descriptor, bytes], kind: str) -> Descriptor:
    entry = found[0]
    if entry.media_type in (model.INDEX, model.DOCKER_INDEX):
        return entry
    return Descriptor(kind, entry.digest, entry.size_bytes)


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / "sha256" / model.hex_of(digest)
