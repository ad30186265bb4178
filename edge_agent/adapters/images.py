"""Images in the vehicle: taken in, verified, unpacked once, given to runtimes, removed at last.

    a layout or an archive > take() > shelf > root() > a runtime that mounts it
                                            > docker_archive() > an engine that loads it

Rule 1: manifest by digest, blobs by the manifest, plain layers by diff_id: nothing is believed on its way in.
Rule 2: whatever changes the shelf runs in one thread, one after the other.
Rule 3: what is mounted is never removed, whatever the caller of collect() forgot.
"""

import asyncio
import platform
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge_agent.adapters import overlay
from edge_agent.adapters.images_archive import write_docker_archive
from edge_agent.adapters.images_shelf import Record, Shelf
from edge_agent.adapters.images_unpack import Layer
from edge_agent.services.instance import ImageSettings, Root
from fairway import log
from fairway.errors import BadInput, Tampered, Unavailable
from fairway.oci import documents, model, platforms
from fairway.oci.model import Descriptor, ImageConfig, Manifest, Platform
from fairway.oci.packed import Limits
from ota.images import source as sources
from ota.images.source import Source

EVENTS = log.get("edge_agent.images")

INDEXES_DEEP_MAX = 3  # an index of a layout, of platforms, and one more for tools that wrap
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Held:
    """An image that lies in the vehicle."""

    digest: str
    names: tuple[str, ...]
    packed_bytes: int  # of its layers; shared ones count for each image
    config: str  # digest of its configuration: what an engine calls it once it is loaded


@dataclass(frozen=True, slots=True)
class _Found:
    """An image in a source: its documents, read and verified."""

    digest: str
    documents: tuple[bytes, ...]  # indexes that lead to it, manifest, configuration
    manifest_digest: str
    manifest: Manifest
    config: ImageConfig


class ImageStore:
    """Keeps images in a folder, which is its own."""

    def __init__(
        self,
        folder: Path,
        *,
        here: Platform | None = None,
        limits: Limits | None = None,
        unpacks: bool = True,
        in_use: Callable[[], frozenset[str]] | None = None,
    ) -> None:
        """`in_use` tells what is mounted: digests of images and folders of layers.

        Without `unpacks` images are for an engine, which unpacks what docker_archive() gives it: their roots
        have no layers, and nothing needs the rights of root.
        """
        self._here = here or platforms.of_machine(platform.machine())
        self._limits = limits or Limits()
        self._in_use = in_use or (lambda: frozenset(overlay.mounted().values()))
        self._stopping = threading.Event()
        self._unpacks = unpacks
        self._shelf = Shelf(folder, self._limits, self._stopping.is_set, unpacks=unpacks)
        self._worker = ThreadPoolExecutor(1, "images")
        self._shelf.prepare()

    async def take(self, path: Path, digest: str | None = None) -> tuple[str, ...]:
        """Take in the image `digest` of the layout or archive at `path`, or all; return their digests.

        What is here already is not copied, and need not be in the source.  Once it returns, a power cut loses
        nothing; a cut before is gone on from by the same call.

        Raises BadInput when an image is refused or not there, Tampered when it is not what its digest says,
        Unavailable when the source cannot be read or there is no room.
        """
        return await self._alone(lambda: self._take(path, digest))

    def holds(self, digest: str) -> bool:
        """Whether a blob is here, whole: what is to be fetched need not hold it."""
        return self._shelf.has_blob(model.checked_digest(digest))

    async def root(self, digest: str) -> Root:
        record, config, layers = await asyncio.to_thread(self._there, digest)
        if layers is None:
            layers = await self._alone(lambda: self._unpacked(record))
        return Root(
            digest,
            self._stacked(record, layers) if self._unpacks else (),
            ImageSettings(
                config.argv, config.environment, config.folder, config.user, config.stop_signal
            ),
        )

    async def collect(self, keep: frozenset[str]) -> int:
        return await self._alone(lambda: self._collect(keep))

    async def resolve(self, name: str) -> str:
        """Return the digest of what was last taken under `name`.  Raises BadInput."""
        digest = self._shelf.names().get(name)
        if digest is None:
            raise BadInput(f"no image in this vehicle is called {name[:200]!r}")
        return digest

    async def list(self) -> tuple[Held, ...]:
        """Return all images.  Raises Unavailable."""
        return await asyncio.to_thread(self._list)

    async def warnings(self, digest: str) -> tuple[str, ...]:
        """Return what was dropped from an image when it was unpacked.  Raises BadInput."""
        layers = (self._shelf.layer(diff_id) for diff_id in self._record(digest).layers)
        return tuple(warning for layer in layers if layer for warning in layer.warnings)

    async def docker_archive(self, digest: str, to: Path, *, name: str = "") -> None:
        """Write an image as `docker save` does, called `name`, for engines that load no OCI layout.

        Raises BadInput when it is not here, Unavailable when it cannot be written.
        """
        record = self._record(digest)
        await self._alone(lambda: write_docker_archive(self._shelf, record, to, name))

    def close(self) -> None:
        """Stop what is being done: it goes on with the next call of take()."""
        self._stopping.set()
        self._worker.shutdown()

    async def _alone(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _record(self, digest: str) -> Record:
        record = self._shelf.record(model.checked_digest(digest))
        if record is None:
            raise BadInput(f"the image {digest} is not in this vehicle: load it first")
        return record

    def _there(self, digest: str) -> tuple[Record, ImageConfig, Sequence[Layer] | None]:
        record = self._record(digest)
        self._shelf.document(record.manifest)  # it may have been damaged where it lies
        config = documents.image_config(self._shelf.document(record.config))
        layers = [layer for one in record.layers if (layer := self._shelf.layer(one))]
        return record, config, layers if len(layers) == len(record.layers) else None

    def _take(self, path: Path, digest: str | None) -> tuple[str, ...]:
        try:
            return self._take_all(path, digest)
        except (BadInput, Tampered):
            with suppress(Unavailable):  # room for what is refused is not given
                self._remove_rests(list(self._shelf.records()))
            raise

    def _take_all(self, path: Path, digest: str | None) -> tuple[str, ...]:
        source = sources.opened(path)
        wanted = [
            one for one in source.entries if digest is None or one.digest == digest
        ] or self._elsewhere(source, path, digest)
        taken = []
        for entry in wanted:
            found = self._found(source, entry)
            self._take_image(source, found)
            if entry.name:
                names = self._shelf.names() | {entry.name: found.digest}
                self._shelf.keep_names(names)
            taken.append(found.digest)
            EVENTS.info("image_taken", digest=found.digest, name=entry.name)
        return tuple(dict.fromkeys(taken))

    def _elsewhere(self, source: Source, path: Path, digest: str | None) -> Sequence[Descriptor]:
        """Return an image that the index of the layout does not list itself, but an index in it."""
        if digest is None:
            raise BadInput(f"{path} lists no image")
        for entry in source.entries:
            if entry.media_type in model.INDEXES:
                inner = documents.index(sources.document(source, entry))
                listed = [one for one in inner.manifests if one.digest == digest]
                if listed:
                    return listed[:1]
        there = ", ".join(one.digest for one in source.entries[:3])
        raise BadInput(f"{path} has no image {digest}: it has {there}")

    def _found(self, source: Source, entry: Descriptor) -> _Found:
        read: list[bytes] = []
        here = entry
        while here.media_type in model.INDEXES:
            if len(read) == INDEXES_DEEP_MAX:
                raise BadInput(f"{entry.digest} is an index of indexes of indexes")
            read.append(sources.document(source, here))
            here = platforms.choose(documents.index(read[-1]), self._here)
        if here.media_type not in model.MANIFESTS:
            raise BadInput(f"{here.digest} is of type {here.media_type[:80]!r}: that is no image")
        read.append(sources.document(source, here))
        manifest = documents.manifest(read[-1])
        read.append(sources.document(source, manifest.config))
        config = documents.image_config(read[-1])
        if len(config.diff_ids) != len(manifest.layers):
            raise BadInput(
                f"{here.digest} has {len(manifest.layers)} layers, and its configuration names"
                f" {len(config.diff_ids)}"
            )
        if not manifest.layers:
            raise BadInput(f"{here.digest} has no layers: there is nothing in it to run")
        if not platforms.runs_on(config.platform, self._here):
            raise BadInput(
                f"{here.digest} is made for {config.platform}, and this vehicle is {self._here}"
            )
        return _Found(entry.digest, tuple(read), here.digest, manifest, config)

    def _take_image(self, source: Source, found: _Found) -> None:
        packed_bytes = sum(blob.size_bytes for blob in found.manifest.layers)
        if packed_bytes > self._limits.image_max_bytes:
            raise BadInput(
                f"{found.digest} has {packed_bytes} bytes: {self._limits.image_max_bytes} are allowed"
            )
        for data in found.documents:
            self._shelf.take_document(data)
        for blob in found.manifest.layers:
            self._shelf.take_blob(source, blob)
        layers = found.manifest.layers
        record = Record(
            digest=found.digest,
            manifest=found.manifest_digest,
            config=found.manifest.config.digest,
            blobs=tuple(
                dict.fromkeys(
                    (*map(model.digest_of, found.documents), *(blob.digest for blob in layers))
                )
            ),
            layers=found.config.diff_ids,
        )
        for layer in self._unpacked(record):
            for warning in layer.warnings:
                EVENTS.warning("image_changed", digest=found.digest, what=warning)
        self._shelf.keep_record(record)

    def _unpacked(self, record: Record) -> Sequence[Layer]:
        manifest = documents.manifest(self._shelf.document(record.manifest))
        layers = []
        for blob, diff_id in zip(manifest.layers, record.layers, strict=True):
            layers.append(self._shelf.unpack(blob, diff_id))
            size = sum(layer.tar_bytes for layer in layers)
            if size > self._limits.image_max_bytes:
                raise BadInput(
                    f"the layers of {record.digest} have more than {self._limits.image_max_bytes} bytes"
                )
        self._stacked(record, layers)
        return layers

    def _stacked(self, record: Record, layers: Sequence[Layer]) -> tuple[Path, ...]:
        """Return the folders that, one over the other, are the image.  Raises BadInput."""
        links: set[str] = set()
        for layer in layers:
            hidden = links.intersection(layer.implied)
            if hidden:
                raise BadInput(
                    f"a layer of {record.digest} has files below {min(hidden)!r}, a link in a lower one"
                )
            links.update(layer.links)
        lowest = max((at for at, layer in enumerate(layers) if layer.is_opaque), default=0)
        folders = tuple(self._shelf.layer_folder(one) for one in record.layers[lowest:])
        if len(folders) == 1 and layers[lowest].hides:
            # What hides names is understood by overlayfs alone, and that needs two.
            return (self._shelf.empty_folder(), *folders)
        return folders

    def _list(self) -> tuple[Held, ...]:
        names = self._shelf.names()
        held = []
        for record in self._shelf.records():
            manifest = documents.manifest(self._shelf.document(record.manifest))
            called = tuple(sorted(name for name, one in names.items() if one == record.digest))
            size = sum(blob.size_bytes for blob in manifest.layers)
            held.append(Held(record.digest, called, size, record.config))
        return tuple(held)

    def _collect(self, keep: frozenset[str]) -> int:
        in_use = self._in_use()
        used_layers = {Path(one).name for one in in_use}
        kept: list[Record] = []
        for record in list(self._shelf.records()):
            folders = {model.hex_of(diff_id) for diff_id in record.layers}
            if record.digest in keep or record.digest in in_use or folders & used_layers:
                kept.append(record)
            else:
                self._shelf.remove_record(record.digest)
                EVENTS.info("image_removed", digest=record.digest)
        digests = {record.digest for record in kept}
        names = self._shelf.names()
        if set(names.values()) - digests:
            self._shelf.keep_names(
                {name: digest for name, digest in names.items() if digest in digests}
            )
        return self._remove_rests(kept)

    def _remove_rests(self, kept: Sequence[Record]) -> int:
        layers = frozenset(diff_id for record in kept for diff_id in record.layers)
        folders = layers
        if not self._unpacks:
            # Of a time when the vehicle had another runtime: its containers may run on.
            in_use = self._in_use()
            names = {Path(one).name for one in in_use}
            folders = frozenset(
                diff_id
                for record in kept
                for diff_id in record.layers
                if record.digest in in_use or model.hex_of(diff_id) in names
            )
        blobs = frozenset(blob for record in kept for blob in record.blobs)
        return self._shelf.remove_all_but(blobs, layers, folders)
