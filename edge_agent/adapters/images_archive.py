"""An image as `docker save` writes it, for engines that cannot load an OCI layout.

manifest.json, <config>.json, <diff_id>.tar ...    plain layers: old engines know no zstd
"""

import os
from collections.abc import Iterator
from pathlib import Path

from edge_agent.adapters.images_shelf import Record, Shelf
from fairway.errors import Unavailable
from fairway.oci import documents, model, tar, written
from fairway.oci.packed import PIECE, tar_of


def write_docker_archive(shelf: Shelf, record: Record, to: Path, name: str) -> None:
    """Write the archive of an image to the file `to`.  Raises Unavailable."""
    try:
        with to.open("wb") as file:
            for piece in _pieces(shelf, record, name):
                file.write(piece)
    except OSError as error:
        to.unlink(missing_ok=True)
        raise Unavailable(f"{to} cannot be written: {error.strerror}") from error


def _pieces(shelf: Shelf, record: Record, name: str) -> Iterator[bytes]:
    config = shelf.document(record.config)
    manifest = documents.manifest(shelf.document(record.manifest))
    tars = {f"{model.hex_of(diff_id)}.tar": None for diff_id in record.layers}
    config_name = f"{model.hex_of(record.config)}.json"
    said = {
        "Config": config_name,
        "RepoTags": [name] if name else None,
        "Layers": [f"{model.hex_of(diff_id)}.tar" for diff_id in record.layers],
    }
    listed = written.json_bytes([said])
    yield from (_header("manifest.json", len(listed)), tar.padded(listed))
    yield from (_header(config_name, len(config)), tar.padded(config))
    for blob, diff_id in zip(manifest.layers, record.layers, strict=True):
        file_name = f"{model.hex_of(diff_id)}.tar"
        if file_name not in tars:  # a layer that is there twice
            continue
        del tars[file_name]
        size = shelf.unpack(blob, diff_id).tar_bytes
        yield _header(file_name, size)
        with shelf.blob_file(blob.digest).open("rb") as packed:
            read = tar_of(packed.read, model.LAYERS[blob.media_type])
            while piece := read(PIECE):
                yield piece
        yield bytes(-size % tar.BLOCK)
    yield tar.END


def _header(name: str, size: int) -> bytes:
    return tar.header(tar.Entry(os.fsencode(name), size_bytes=size))
