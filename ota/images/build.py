"""An image is built: layers of a base, layers of ours, and how it is run.

    Recipe > build() > a layout

Rule 1: the same recipe and the same files are the same bytes, wherever and whenever.
Rule 2: a layer changes nothing that it does not bring: folders of lower layers keep their owner and mode, and
        a folder does not cover a link of a lower layer.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fairway.errors import BadInput
from fairway.oci import documents, entries, model, platforms, tar, written
from fairway.oci.entries import Place, What
from fairway.oci.model import Compression, Descriptor, ImageConfig, Manifest, Platform
from fairway.oci.packed import Limits, Unpacked
from ota.images import source as sources
from ota.images.layer import Progress, write_layer
from ota.images.layout import Layout, write_tar
from ota.images.members import Member
from ota.images.source import Source


@dataclass(frozen=True, slots=True)
class Settings:
    """How an image is run; what is empty is the base's."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    folder: str = ""
    user: str = ""
    stop_signal: str = ""
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """A layer to be written."""

    members: Sequence[Member]
    made_by: str  # for the history: says nothing of this machine


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image to be built."""

    layers: tuple[Planned, ...]
    settings: Settings
    platform: Platform
    name: str = ""
    base: Path | None = None
    compression: Compression = Compression.ZSTD
    epoch_s: int = 0  # of all files and of the image


@dataclass(frozen=True, slots=True)
class Built:
    """An image that was built."""

    digest: str
    name: str
    packed_bytes: int
    tar_bytes: int  # of the layers that were written; those of a base are not unpacked for it
    layers: int


@dataclass(frozen=True, slots=True)
class Image:
    """An image in a source, read and verified."""

    digest: str
    manifest: Manifest
    config: ImageConfig


def build(recipe: Recipe, output: Path, progress: Progress) -> Built:
    """Build an image into the layout `output`, or into the archive `output` if it ends in .tar.

    Raises BadInput, Tampered when the base is not what it says, Conflict when a file changed meanwhile.
    """
    with _folder_for(output, recipe.epoch_s) as folder:
        return _build(recipe, Layout(folder), progress)


def image_of(source: Source, entry: Descriptor, here: Platform) -> Image:
    """Read the image that `entry` leads to on a platform.  Raises BadInput, Tampered."""
    while entry.media_type in model.INDEXES:
        entry = platforms.choose(documents.index(sources.document(source, entry)), here)
    manifest = documents.manifest(sources.document(source, entry))
    config = documents.image_config(sources.document(source, manifest.config))
    if len(config.diff_ids) != len(manifest.layers):
        raise BadInput(f"{entry.digest} has other layers than its configuration names")
    return Image(entry.digest, manifest, config)


@contextmanager
def _folder_for(output: Path, epoch_s: int) -> Iterator[Path]:
    if output.suffix != ".tar":
        yield output
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as folder:
        yield Path(folder)
        write_tar(Path(folder), output, epoch_s=epoch_s)


def _build(recipe: Recipe, layout: Layout, progress: Progress) -> Built:
    lower = _Lower()
    base = _take_base(recipe, layout, lower, progress)
    blobs = list(base.manifest.layers) if base else []
    diff_ids = list(base.config.diff_ids) if base else []
    history = list(base.config.history) if base else []
    if len(history) != len(blobs):  # a base may have none, and those who read ours count
        history = ["base"] * len(blobs)
    tar_bytes = 0
    for planned in recipe.layers:
        progress(f"layer {len(blobs) + 1}: {planned.made_by}")
        layer = write_layer(lower.under(planned.members), recipe.compression, layout.blobs)
        lower.add(layer.members)
        blobs.append(layer.blob)
        diff_ids.append(layer.diff_id)
        history.append(planned.made_by)
        tar_bytes += layer.tar_bytes
    if len(blobs) > documents.LAYERS_MAX:
        raise BadInput(f"the image has {len(blobs)} layers: {documents.LAYERS_MAX} are possible")
    config = replace(
        _settled(recipe.settings, base.config if base else ImageConfig()),
        platform=recipe.platform,
        diff_ids=tuple(diff_ids),
        history=tuple(history),
        created=datetime.fromtimestamp(recipe.epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    if not config.argv:
        raise BadInput("the image runs nothing: give it an entry point")
    config_blob = layout.put(written.image_config_bytes(config), model.CONFIG)
    manifest = layout.put(
        written.manifest_bytes(Manifest(config_blob, tuple(blobs))), model.MANIFEST
    )
    names = ((model.REF_NAME, recipe.name),) if recipe.name else ()
    layout.list(replace(manifest, platform=recipe.platform, annotations=names))
    packed = sum(blob.size_bytes for blob in blobs)
    return Built(manifest.digest, recipe.name, packed, tar_bytes, len(blobs))


def _settled(said: Settings, base: ImageConfig) -> ImageConfig:
    environment = dict(base.environment) | dict(said.environment)
    labels = dict(base.labels) | dict(said.labels)
    return ImageConfig(
        entrypoint=said.entrypoint or base.entrypoint,
        # The base's words belong to the base's entry point.
        command=said.command or (() if said.entrypoint else base.command),
        environment=tuple(environment.items()),
        folder=said.folder or base.folder,
        user=said.user or base.user,
        stop_signal=said.stop_signal or base.stop_signal,
        labels=tuple(sorted(labels.items())),
    )


def _take_base(recipe: Recipe, layout: Layout, lower: "_Lower", progress: Progress) -> Image | None:
    if recipe.base is None:
        return None
    source = sources.opened(recipe.base)
    if len(source.entries) != 1:
        raise BadInput(f"{recipe.base} has {len(source.entries)} images: a base is a layout of one")
    image = image_of(source, source.entries[0], recipe.platform)
    if not platforms.runs_on(image.config.platform, recipe.platform):
        raise BadInput(
            f"the base is made for {image.config.platform}, the image for {recipe.platform}"
        )
    for blob, diff_id in zip(image.manifest.layers, image.config.diff_ids, strict=True):
        progress(f"base layer {blob.digest[:19]}")
        layout.copy(source, blob)
        lower.read(source, blob, diff_id)
    return image


class _Lower:
    """The folders and links of the layers so far."""

    def __init__(self) -> None:
        self._entries: dict[Place, tar.Entry] = {}

    def read(self, source: Source, blob: Descriptor, diff_id: str) -> None:
        """Add a packed layer.  Raises BadInput, Tampered."""
        with source.blob(blob.digest) as part:
            plain = Unpacked(part.read, model.LAYERS[blob.media_type], Limits())
            for entry in tar.Reader(plain.read):
                self._put(entry)
            plain.rest()
        model.same_digest(plain.digest, diff_id)

    def add(self, members: Sequence[Member]) -> None:
        """Add a layer of ours."""
        for member in members:
            self._put(member.entry)

    def under(self, members: Sequence[Member]) -> list[Member]:
        """Return the members of a layer as they go over what is there.  Raises BadInput."""
        return [self._over(member) for member in members]

    def _put(self, entry: tar.Entry) -> None:
        step = entries.understood(entry)
        match step.what:
            case What.FOLDER | What.SYMLINK:
                self._entries[step.place] = entry
            case What.HIDE:
                self._forget(step.place, itself=True)
            case What.HIDE_ALL_IN:
                self._forget(step.place, itself=False)
            case _:
                self._entries.pop(step.place, None)

    def _forget(self, place: Place, *, itself: bool) -> None:
        for one in list(self._entries):
            if one[: len(place)] == place and (itself or one != place):
                del self._entries[one]

    def _over(self, member: Member) -> Member:
        there = self._entries.get(member.place)
        if there is None or member.entry.kind is not tar.Kind.FOLDER:
            return member
        if there.kind is tar.Kind.SYMLINK:
            raise BadInput(
                f"{entries.shown(member.entry.name)} is a folder in a layer and a link to"
                f" {entries.shown(there.target)} in a lower one: put the files where the link leads"
            )
        return Member(replace(there, name=member.entry.name, mtime_s=member.entry.mtime_s))
