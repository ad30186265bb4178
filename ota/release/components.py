"""One component of a release becomes an image: its bytes in the folder, chunked, packed, looked into.

    container  an OCI layout or archive  ->  the manifest; layers and configuration beside it
    slot       an image of a partition   ->  as it is
    uds_ecu    .bin, or Intel HEX        ->  a binary and its address
    file       a folder                  ->  a tar; a tar stays as it is

Rule 1: the same input gives the same bytes: no time, no owner, no order of a directory has a say.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from fairway.catalog.yaml_text import yaml_tree
from fairway.errors import BadInput
from fairway.oci import documents, model
from fairway.oci.model import Compression, Descriptor
from fairway.oci.packed import Limits, Unpacked
from fairway.services.manifest import service_document, service_of
from ota.delta.create import pack
from ota.images import members
from ota.images import source as sources
from ota.images.build import image_of
from ota.images.layer import write_layer
from ota.images.source import Source
from ota.manifest import Blob, Form, Image, Kind
from ota.manifest import Source as Way
from ota.release import firmware, packages, sbom
from ota.release.firmware import from_hex
from ota.release.folder import Folder
from ota.release.provenance import Material
from ota.release.release_file import Component

_SUFFIX = {Kind.CONTAINER: ".json", Kind.SLOT: ".img", Kind.FIRMWARE: ".bin", Kind.FILE: ".tar"}
_TAR_MAGIC_AT, _TAR_MAGIC = 257, b"ustar"
# Packed it has to save a twentieth, or it is fetched as it is.
_PACKED_SHARE_MAX = 0.95
_PIECE = 1 << 20

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Built:
    """A component, built."""

    contents: sbom.Contents
    material: Material


def build(
    folder: Folder, component: Component, *, prefix: str, counter: int, progress: Progress
) -> Built:
    """Build a component into the folder.  Raises BadInput, Tampered, Unavailable, Conflict."""
    path = "/".join(part for part in (prefix, component.name, component.version) if part)
    image = Image(
        path=path + _SUFFIX[component.kind],
        length=0,
        sha256="",
        kind=component.kind,
        name=component.name,
        version=component.version,
        release_counter=counter,
        hardware_ids=component.hardware_ids,
        requires=component.requires,
        conflicts=component.conflicts,
        install=component.install,
        rxswin=component.rxswin,
    )
    progress(f"{image.path}: read")
    if component.kind is Kind.CONTAINER:
        built = _container(folder, component, image)
    else:
        built = _flat(folder, component, image, progress)
    if component.sbom is None:
        return built
    return replace(built, contents=replace(built.contents, given=sbom.given(component.sbom)))


def _container(folder: Folder, component: Component, image: Image) -> Built:
    source = sources.opened(component.path)
    if len(source.entries) != 1:
        raise BadInput(f"{component.path} has {len(source.entries)} images: give a layout of one")
    entry = source.entries[0]
    here = _platform(component, source, entry)
    found = image_of(source, entry, here)
    for blob in (found.manifest.config, *found.manifest.layers):
        _take(folder, source, blob)
    with source.blob(found.digest) as part:
        manifest = folder.put_document(part.read(documents.DOCUMENT_MAX_BYTES))
    if f"sha256:{manifest.sha256}" != found.digest:
        raise BadInput(f"what {component.path} calls {found.digest} is another manifest")
    with ExitStack() as stack:
        layers = [_plain(source, layer, stack) for layer in found.manifest.layers]
        holds = packages.found(layers)
    image = replace(
        image,
        length=manifest.length,
        sha256=manifest.sha256,
        service=_service(component, found.digest),
    )
    material = Material(component.said_path, manifest.sha256)
    return Built(sbom.Contents(image, holds), material)


def _platform(component: Component, source: Source, entry: Descriptor) -> model.Platform:
    if component.platform:
        parts = component.platform.split("/")
        if not 2 <= len(parts) <= 3 or not all(parts):
            raise BadInput(f"platform {component.platform!r} is none: write it as linux/arm64")
        return model.Platform(*parts)
    if entry.media_type not in model.INDEXES:
        manifest = documents.manifest(sources.document(source, entry))
        return documents.image_config(sources.document(source, manifest.config)).platform
    listed = documents.index(sources.document(source, entry)).manifests
    if len(listed) != 1 or listed[0].platform is None:
        raise BadInput(f"{component.path} is for several platforms: say which with `platform`")
    return listed[0].platform


def _take(folder: Folder, source: Source, blob: Descriptor) -> None:
    if folder.blob_path(model.hex_of(blob.digest)).exists():
        return
    with source.blob(blob.digest) as part:
        kept = folder.put_file(part.read, chunked=False)
    if f"sha256:{kept.sha256}" != blob.digest:
        raise BadInput(f"what is called {blob.digest} is sha256:{kept.sha256}: the image is broken")


def _plain(source: Source, layer: Descriptor, stack: ExitStack) -> packages.Read:
    part = stack.enter_context(source.blob(layer.digest))
    return Unpacked(part.read, model.LAYERS[layer.media_type], Limits()).read


def _service(component: Component, digest: str) -> dict[str, object]:
    if component.service is None:
        return {}
    file = str(component.service)
    try:
        tree = yaml_tree(component.service.read_text(encoding="utf-8"), name=file, problems=[])
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    if not isinstance(tree, dict):
        raise BadInput(f"{file} is no manifest of a service")
    if tree.setdefault("image", digest) != digest:
        raise BadInput(
            f"{file} names image {tree['image']!s:.80}, and {component.path} is {digest}"
        )
    tree.setdefault("name", component.name)
    tree.setdefault("version", component.version)
    return service_document(service_of(tree, file=file))


def _flat(folder: Folder, component: Component, image: Image, progress: Progress) -> Built:
    address = component.address or 0
    if component.kind is Kind.FILE and component.path.is_dir():
        blob, material = _folder_tar(folder, component)
    elif component.kind is Kind.FIRMWARE and component.path.suffix.lower() in {
        ".hex",
        ".ihx",
        ".ihex",
    }:
        text = _text(component.path)
        made = from_hex(text, component.path.name)
        if component.address not in {None, made.address}:
            raise BadInput(f"{component.path} begins at 0x{made.address:x}: leave `address` out")
        address = made.address
        blob = folder.put_file(io.BytesIO(made.data).read)
        material = Material(component.said_path, hashlib.sha256(text).hexdigest())
    else:
        with _opened(component.path) as file:
            blob = folder.put_file(file.read)
        material = Material(component.said_path, blob.sha256)
    if not blob.length:
        raise BadInput(f"{component.path} is empty")
    plain = folder.blob_path(blob.sha256)
    if component.kind is Kind.FILE and not _is_tar(plain):
        raise BadInput(
            f"{component.path} is neither a folder nor a tar: kind file replaces a folder"
        )
    progress(f"{image.path}: packed")
    ways = (Way(Form.PLAIN, blob),) if blob.chunk_bytes else ()
    image = replace(
        image,
        length=blob.length,
        sha256=blob.sha256,
        address=address,
        sources=ways + _packed(folder, blob),
    )
    holds = _packages(plain) if component.kind is not Kind.FIRMWARE else ()
    return Built(sbom.Contents(image, holds), material)


def _folder_tar(folder: Folder, component: Component) -> tuple[Blob, Material]:
    listed = members.members(members.Folder(component.path), epoch_s=0)
    with folder.scratch() as scratch:
        layer = write_layer(listed, Compression.NONE, Path(scratch))
        with (Path(scratch) / model.hex_of(layer.blob.digest)).open("rb") as file:
            blob = folder.put_file(file.read)
    return blob, Material(component.said_path, blob.sha256)


def _packed(folder: Folder, blob: Blob) -> tuple[Way, ...]:
    with folder.scratch() as scratch:
        packed = Path(scratch) / "packed"
        pack(folder.blob_path(blob.sha256), packed)
        if packed.stat().st_size > blob.length * _PACKED_SHARE_MAX:
            return ()
        with packed.open("rb") as file:
            return (Way(Form.ZSTD, folder.put_file(file.read)),)


def _packages(path: Path) -> tuple[packages.Package, ...]:
    if not _is_tar(path):
        return ()
    with path.open("rb") as file:
        return packages.found([file.read])


def _is_tar(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(_TAR_MAGIC_AT)
        return file.read(len(_TAR_MAGIC)) == _TAR_MAGIC


def _text(path: Path) -> bytes:
    with _opened(path) as file:
        return file.read(4 * firmware.FIRMWARE_MAX_BYTES)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
