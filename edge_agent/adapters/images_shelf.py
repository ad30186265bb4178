"""Where images lie in the vehicle: blobs by digest, layers unpacked once by diff_id, and what is whose.

    blobs/<hex>             a document or a packed layer, whole and verified
    layers/<hex>/           a layer, unpacked; it counts with layers/<hex>.json beside it
    images/<hex>.json       an image: it counts when all its parts are there
    names.json              what images are called
    begun/                  what is not whole: parts of blobs, to be gone on with; layers, to be begun anew

Rule 1: whatever has a name is whole and on the medium: it is written in begun/, synced, and then renamed.
Rule 2: what goes loses first what makes it count.
Rule 3: one thread writes.  Readers see what counts, or nothing.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_agent.adapters.disk import RealDisk, replace_file, sync_directory, sync_file_system
from edge_agent.adapters.images_unpack import Layer, unpack, verify
from fairway import log
from fairway.errors import BadInput, Tampered, Unavailable
from fairway.oci import documents, model, written
from fairway.oci.model import Compression, Descriptor
from fairway.oci.packed import Limits, Read
from ota.images.source import Part, Source

EVENTS = log.get("edge_agent.images")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """An image whose parts are all there."""

    digest: str  # by which it is asked for: of its manifest, or of an index that leads to it
    manifest: str
    config: str
    blobs: tuple[str, ...]  # all of them, documents and packed layers
    layers: tuple[str, ...]  # diff_ids, the lowest first


class Shelf:
    """The files of images."""

    def __init__(
        self, folder: Path, limits: Limits, is_stopping: Callable[[], bool], *, unpacks: bool
    ) -> None:
        """Without `unpacks` layers are verified, and stay packed."""
        self._folder, self._limits, self._is_stopping = folder, limits, is_stopping
        self._unpacks = unpacks
        self._disk = RealDisk()

    def prepare(self) -> None:
        """Make the folders.  Raises Unavailable."""
        with _disk_errors(self._folder):
            for name in ("blobs", "layers", "images", "begun", "empty"):
                (self._folder / name).mkdir(parents=True, exist_ok=True)
            # Layers hold programs with the owners and modes of an image: nobody else walks in there.
            self._folder.chmod(0o700)

    def layer_folder(self, diff_id: str) -> Path:
        """Return where a layer lies."""
        return self._folder / "layers" / model.hex_of(diff_id)

    def empty_folder(self) -> Path:
        """Return a layer in which nothing is."""
        return self._folder / "empty"

    def has_blob(self, digest: str) -> bool:
        """Whether a blob is here, whole."""
        return self.blob_file(digest).is_file()

    def blob_file(self, digest: str) -> Path:
        """Return where a blob lies."""
        return self._folder / "blobs" / model.hex_of(digest)

    def document(self, digest: str) -> bytes:
        """Return a document that is what its digest says.  Raises BadInput, Tampered."""
        try:
            with self.blob_file(digest).open("rb") as file:
                data = file.read(documents.DOCUMENT_MAX_BYTES + 1)
        except FileNotFoundError as error:
            raise BadInput(f"the blob {digest} is not in this vehicle") from error
        except OSError as error:
            raise Unavailable(f"the blob {digest} cannot be read: {error.strerror}") from error
        if model.digest_of(data) != digest:
            raise Tampered(f"what this vehicle keeps as {digest} is {model.digest_of(data)}")
        return data

    def take_document(self, data: bytes) -> None:
        """Keep a document that was verified."""
        path = self.blob_file(model.digest_of(data))
        with _disk_errors(path):
            if not path.is_file():
                replace_file(self._disk, path, data, mode=0o600)

    def take_blob(self, source: Source, blob: Descriptor) -> None:
        """Copy a blob, going on where an earlier copy was cut off.

        Raises Tampered when it is another than said, BadInput when the source lacks it, Unavailable.
        """
        if self.has_blob(blob.digest):
            return
        with source.blob(blob.digest) as part:
            if part.size != blob.size_bytes:
                raise Tampered(
                    f"{blob.digest} must have {blob.size_bytes} bytes, and has {part.size}"
                )
            begun = self._folder / "begun" / model.hex_of(blob.digest)
            with _disk_errors(begun):
                found = self._copy(part, begun)
                if found != blob.digest:
                    # What was begun may have been damaged by a power cut: the whole once more.
                    begun.unlink()
                    part.seek(0)
                    found = self._copy(part, begun)
                if found != blob.digest:
                    begun.unlink()
                    raise Tampered(f"what is called {blob.digest} is {found}")
                begun.rename(self.blob_file(blob.digest))
                sync_directory(self._folder / "blobs")

    def layer(self, diff_id: str) -> Layer | None:
        """Return what is known of a layer that lies unpacked, None when it does not."""
        folder = self.layer_folder(diff_id)
        try:
            said = json.loads(folder.with_suffix(".json").read_bytes())
            return Layer(**said) if folder.is_dir() or not self._unpacks else None
        except (OSError, ValueError, TypeError):
            return None

    def unpack(self, blob: Descriptor, diff_id: str) -> Layer:
        """Unpack a layer from its blob, unless it lies there.  Raises as images_unpack does."""
        there = self.layer(diff_id)
        if there is not None:
            return there
        if not self.has_blob(blob.digest):
            raise BadInput(f"the blob {blob.digest} is not in this vehicle: load the image again")
        folder = self.layer_folder(diff_id)
        with _disk_errors(folder):
            with self.blob_file(blob.digest).open("rb") as file:
                read, how = self._unless_stopping(file), model.LAYERS[blob.media_type]
                if self._unpacks:
                    layer = self._unpack_at(folder, read, how, diff_id)
                else:
                    layer = verify(read, how, diff_id, self._limits)
            self._write(folder.with_suffix(".json"), dataclasses.asdict(layer))
        return layer

    def record(self, digest: str) -> Record | None:
        """Return an image, None when it is not here.  Raises Unavailable when that cannot be known."""
        return _record(self._folder / "images" / f"{model.hex_of(digest)}.json")

    def records(self) -> Iterator[Record]:
        """Yield all images.  Raises Unavailable when one cannot be read."""
        for path in sorted((self._folder / "images").glob("*.json")):
            found = _record(path)
            if found is not None:
                yield found

    def keep_record(self, record: Record) -> None:
        """Make an image count, once all its parts are here."""
        path = self._folder / "images" / f"{model.hex_of(record.digest)}.json"
        with _disk_errors(path):
            self._write(path, dataclasses.asdict(record))

    def names(self) -> dict[str, str]:
        """Return the digests of images by name."""
        try:
            said = json.loads((self._folder / "names.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return {str(name): str(digest) for name, digest in said.items()}

    def keep_names(self, names: dict[str, str]) -> None:
        """Replace all names."""
        with _disk_errors(self._folder):
            self._write(self._folder / "names.json", names)

    def remove_record(self, digest: str) -> None:
        """Make an image count no longer."""
        with _disk_errors(self._folder):
            (self._folder / "images" / f"{model.hex_of(digest)}.json").unlink(missing_ok=True)
            sync_directory(self._folder / "images")

    def remove_all_but(
        self, blobs: frozenset[str], layers: frozenset[str], folders: frozenset[str]
    ) -> int:
        """Remove other blobs and layers, and all that is not whole; return how many bytes that freed.

        Of the layers that are known these `folders` are kept, unpacked as they are.
        """
        freed = 0
        with _disk_errors(self._folder):
            for path in (self._folder / "blobs").iterdir():
                if f"sha256:{path.name}" not in blobs:
                    freed += _remove(path)
            for path in (self._folder / "layers").iterdir():
                diff_id, is_folder = f"sha256:{path.stem}", path.is_dir()
                if diff_id in (folders if is_folder else layers) and (
                    is_folder or path.suffix == ".json"
                ):
                    continue
                if is_folder and diff_id not in layers:
                    path.with_suffix(".json").unlink(missing_ok=True)
                    sync_directory(path.parent)
                freed += _remove(path)
            for path in (
                *(self._folder / "begun").iterdir(),
                *(self._folder / "images").glob("*.new"),
            ):
                freed += _remove(path)
        return freed

    def _unpack_at(self, folder: Path, read: Read, how: Compression, diff_id: str) -> Layer:
        begun = self._folder / "begun" / f"layer-{folder.name}"
        for rest in (begun, folder):
            _remove(rest)
        begun.mkdir()
        try:
            layer = unpack(read, how, diff_id, begun, self._limits)
            sync_file_system(begun)
        except BaseException:
            _remove(begun)
            raise
        begun.rename(folder)
        sync_directory(folder.parent)
        return layer

    def _copy(self, part: Part, to: Path) -> str:
        """Copy the rest of a blob, durably, and return the digest of the whole."""
        found = hashlib.sha256()
        with to.open("a+b") as file:
            file.seek(0)
            while data := file.read(_PIECE):
                found.update(data)
            if file.tell() > part.size:
                file.truncate(0)
                found = hashlib.sha256()
            part.seek(file.seek(0, os.SEEK_END))
            try:
                read = self._unless_stopping(part)
                while data := read(_PIECE):
                    found.update(data)
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
            except OSError:  # it is needed for more than what is only begun
                to.unlink()
                raise
        return "sha256:" + found.hexdigest()

    def _unless_stopping(self, file: Part | BinaryIO) -> Read:
        def read(size: int) -> bytes:
            if self._is_stopping():
                raise Unavailable("the store of images is being closed")
            return file.read(size)

        return read

    def _write(self, path: Path, said: object) -> None:
        replace_file(self._disk, path, written.json_bytes(said), mode=0o600)


def _record(path: Path) -> Record | None:
    try:
        said = json.loads(path.read_bytes())
        return Record(
            said["digest"],
            said["manifest"],
            said["config"],
            tuple(said["blobs"]),
            tuple(said["layers"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Unavailable(f"the record {path} of an image cannot be read: {error}") from error


def _remove(path: Path) -> int:
    """Remove a file or a folder, and return how many bytes that freed."""
    try:
        freed = path.lstat().st_blocks * 512
        if path.is_dir() and not path.is_symlink():
            freed += sum(
                os.stat(name, dir_fd=at, follow_symlinks=False).st_blocks * 512
                for _, folders, files, at in os.fwalk(path)
                for name in (*folders, *files)
            )
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return 0
    return freed


@contextlib.contextmanager
def _disk_errors(what: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{what} cannot be kept: {error.strerror or error}") from error
