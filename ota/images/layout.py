"""An OCI layout that is written: a folder of blobs and an index, or one tar of the same.

Rule 1: an index is written last, so what it names is there.
Rule 2: images that are put into one layout share the blobs that they have in common.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from fairway.errors import BadInput, Tampered
from fairway.oci import documents, model, tar, written
from fairway.oci.model import Descriptor, Index
from ota.images.source import Source

_PIECE = 1 << 20


class Layout:
    """A layout in a folder; what is in it already stays."""

    def __init__(self, path: Path) -> None:
        """Open or make the layout.  Raises BadInput when something else is there."""
        self._path = path
        self.blobs = path / "blobs" / "sha256"
        mark, index = path / "oci-layout", path / "index.json"
        if mark.exists():
            documents.layout(mark.read_bytes())
            self._index = documents.index(index.read_bytes()) if index.exists() else Index(())
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise BadInput(f"{path} is there, and is no OCI layout: name a new folder, or FILE.tar")
        else:
            self._index = Index(())
        self.blobs.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes, media_type: str) -> Descriptor:
        """Write a document."""
        digest = model.digest_of(data)
        _replace(self.blobs / model.hex_of(digest), data)
        return Descriptor(media_type, digest, len(data))

    def copy(self, source: Source, blob: Descriptor) -> None:
        """Copy a blob.  Raises BadInput when it is not there, Tampered when it is another."""
        to = self.blobs / model.hex_of(blob.digest)
        if to.exists():
            return
        found = hashlib.sha256()
        fresh = to.with_name(f"new-{to.name}")
        try:
            with source.blob(blob.digest) as part, fresh.open("wb") as file:
                while data := part.read(_PIECE):
                    found.update(data)
                    file.write(data)
            if f"sha256:{found.hexdigest()}" != blob.digest:
                raise Tampered(f"what is called {blob.digest} is sha256:{found.hexdigest()}")
            fresh.rename(to)
        finally:
            fresh.unlink(missing_ok=True)

    def list(self, image: Descriptor) -> None:
        """List an image in the index; one of the same name, or the same one, is replaced."""
        others = tuple(
            one
            for one in self._index.manifests
            if (one.name != image.name if image.name else one.digest != image.digest)
        )
        by_name = sorted((*others, image), key=lambda one: (one.name, one.digest))
        self._index = Index(tuple(by_name), self._index.annotations)
        _replace(self._path / "oci-layout", written.LAYOUT)
        _replace(self._path / "index.json", written.index_bytes(self._index))


def write_tar(layout: Path, to: Path, *, epoch_s: int) -> None:
    """Write the layout in a folder as one tar, which replaces what is at `to`."""
    names = sorted(path.relative_to(layout) for path in layout.rglob("*"))
    with tempfile.NamedTemporaryFile(dir=to.parent, prefix=f".{to.name}-", delete=False) as file:
        try:
            for name in names:
                path = layout / name
                if path.is_dir():
                    entry = tar.Entry(os.fsencode(name), tar.Kind.FOLDER, 0, 0o755, mtime_s=epoch_s)
                    file.write(tar.header(entry))
                    continue
                size = path.stat().st_size
                file.write(
                    tar.header(tar.Entry(os.fsencode(name), size_bytes=size, mtime_s=epoch_s))
                )
                with path.open("rb") as blob:
                    while data := blob.read(_PIECE):
                        file.write(data)
                file.write(bytes(-size % tar.BLOCK))
            file.write(tar.END)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            Path(file.name).replace(to)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _replace(path: Path, data: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(data)
    fresh.replace(path)
