"""An image of some hundred bytes: a layer with one file, a configuration, a manifest."""

import io
import platform
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairway.oci import platforms
from fairway.oci.model import (
    CONFIG,
    INDEX,
    LAYER,
    MANIFEST,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    digest_of,
    hex_of,
)
from fairway.oci.written import LAYOUT, image_config_bytes, index_bytes, manifest_bytes

HERE = platforms.of_machine(platform.machine())


@dataclass(frozen=True)
class SmallImage:
    """Its parts by digest, the manifest's digest, and its layers in order."""

    blobs: dict[str, bytes]
    digest: str
    layers: tuple[str, ...]

    @property
    def entry(self) -> Descriptor:
        """What an index says of it."""
        return Descriptor(MANIFEST, self.digest, len(self.blobs[self.digest]), HERE)


def small_image(*contents: bytes, of: Platform = HERE) -> SmallImage:
    """Return an image with a layer for each content."""
    layers = [_layer(f"file{number}", content) for number, content in enumerate(contents)]
    names = tuple(digest_of(one) for one in layers)
    config = image_config_bytes(ImageConfig(of, names, entrypoint=("/file0",)))
    manifest = manifest_bytes(
        Manifest(
            Descriptor(CONFIG, digest_of(config), len(config)),
            tuple(Descriptor(LAYER, digest_of(one), len(one)) for one in layers),
        )
    )
    blobs = {digest_of(one): one for one in (*layers, config, manifest)}
    return SmallImage(blobs, digest_of(manifest), names)


def index_of(images: Sequence[SmallImage]) -> tuple[str, bytes]:
    """Return an index of images: its digest, and itself."""
    data = index_bytes(Index(tuple(one.entry for one in images)))
    return digest_of(data), data


def write_layout(folder: Path, image: SmallImage, name: str = "") -> Path:
    """Write an OCI layout with that image, and return its folder."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for digest, data in image.blobs.items():
        (blobs / hex_of(digest)).write_bytes(data)
    annotations = (("org.opencontainers.image.ref.name", name),) if name else ()
    entry = Descriptor(MANIFEST, image.digest, len(image.blobs[image.digest]), None, annotations)
    (folder / "oci-layout").write_bytes(LAYOUT)
    (folder / "index.json").write_bytes(index_bytes(Index((entry,))))
    return folder


def _layer(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        info.mode = 0o755
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


__all__ = ["HERE", "INDEX", "SmallImage", "index_of", "small_image", "write_layout"]
