"""Images as they come: an OCI layout as a folder or a tar, or the archive that `docker save` writes.

    path > Source: entries (descriptors with names), and blobs by digest

Rule 1: what is read here is not believed: whoever takes a blob compares it with its digest.
Rule 2: only plain files are opened, and no link leads out of the folder or the tar.
"""

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from fairway.errors import BadInput, Unavailable
from fairway.oci import documents, entries, model, tar, written
from fairway.oci.model import Descriptor, Manifest

ENTRIES_MAX = 10_000  # of a tar that holds images
_CHUNK = 1 << 20
_LINKS_MAX = 8


class Part:
    """A stretch of a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self.size = file, start, size
        self._at = 0
        file.seek(start)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, b"" at the end."""
        try:
            data = self._file.read(min(size, self.size - self._at))
        except OSError as error:
            raise Unavailable(f"an image cannot be read: {error.strerror}") from error
        self._at += len(data)
        return data

    def seek(self, at: int) -> None:
        """Go on at `at` bytes after the start."""
        self._at = min(at, self.size)
        self._file.seek(self._start + self._at)


@dataclass(frozen=True, slots=True)
class _Stretch:
    path: Path
    start: int
    size: int


class Source(Protocol):
    """Where images are read from."""

    @property
    def entries(self) -> tuple[Descriptor, ...]:
        """Return what the index of the layout lists."""
        ...

    def holds(self, digest: str) -> bool:
        """Whether it has this blob."""
        ...

    @contextmanager
    def blob(self, digest: str) -> Iterator[Part]:
        """Open a blob.  Raises BadInput when it is not there."""
        ...


class _Stretches:
    """A source whose blobs are stretches of files."""

    def __init__(
        self,
        path: Path,
        entries_: tuple[Descriptor, ...],
        blobs: dict[str, _Stretch],
        made: dict[str, bytes] | None = None,
    ) -> None:
        """`made` are documents that are nowhere in files: those that an archive of docker has not."""
        self._path, self._entries, self._blobs, self._made = path, entries_, blobs, made or {}

    @property
    def entries(self) -> tuple[Descriptor, ...]:
        return self._entries

    def holds(self, digest: str) -> bool:
        return digest in self._blobs or digest in self._made

    @contextmanager
    def blob(self, digest: str) -> Iterator[Part]:
        if digest in self._made:
            data = self._made[digest]
            yield Part(io.BytesIO(data), 0, len(data))
            return
        stretch = self._blobs.get(digest)
        if stretch is None:
            raise BadInput(f"{self._path} has no blob {digest}")
        with _plain(stretch.path) as file:
            yield Part(file, stretch.start, stretch.size)


class _Folder:
    """An OCI layout as a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        documents.layout(_small(path / "oci-layout"))
        self._index = documents.index(_small(path / "index.json"))

    @property
    def entries(self) -> tuple[Descriptor, ...]:
        return self._index.manifests

    def holds(self, digest: str) -> bool:
        return self._file(digest).is_file() and not self._file(digest).is_symlink()

    @contextmanager
    def blob(self, digest: str) -> Iterator[Part]:
        path = self._file(digest)
        with _plain(path, missing=f"{self._path} has no blob {digest}") as file:
            yield Part(file, 0, os.fstat(file.fileno()).st_size)

    def _file(self, digest: str) -> Path:
        return self._path / "blobs" / "sha256" / model.hex_of(model.checked_digest(digest))


def opened(path: Path) -> Source:
    """Return the images at `path`.  Raises BadInput when there are none, Unavailable when it cannot be read."""
    try:
        path = path.resolve()
        return _Folder(path) if path.is_dir() else _from_tar(path)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error


def document(source: Source, descriptor: Descriptor) -> bytes:
    """Return a document whose digest and size hold.

    Raises BadInput when it is not there or too large, Tampered when it is another.
    """
    if descriptor.size_bytes > documents.DOCUMENT_MAX_BYTES:
        raise BadInput(
            f"{descriptor.digest} has {descriptor.size_bytes} bytes: a document has at most"
            f" {documents.DOCUMENT_MAX_BYTES}"
        )
    with source.blob(descriptor.digest) as part:
        data = part.read(descriptor.size_bytes + 1)
    model.verified(descriptor, data)
    return data


def _from_tar(path: Path) -> Source:
    with _plain(path) as file:
        files, links = _listed(file, path)
    index = files.get("index.json")
    if index and "oci-layout" in files:
        documents.layout(_bytes(files["oci-layout"]))
        prefix = "blobs/sha256/"
        blobs = {
            "sha256:" + name.removeprefix(prefix): stretch
            for name, stretch in files.items()
            if name.startswith(prefix)
        }
        return _Stretches(path, documents.index(_bytes(index)).manifests, blobs)
    if "manifest.json" in files:
        return _from_docker(path, files, links)
    raise BadInput(
        f"{path} is no image: neither index.json and oci-layout nor manifest.json is in it"
    )


def _listed(file: BinaryIO, path: Path) -> tuple[dict[str, _Stretch], dict[str, str]]:
    """Return where the files of a tar lie in it, and its symbolic links."""
    files: dict[str, _Stretch] = {}
    links: dict[str, str] = {}
    size = os.fstat(file.fileno()).st_size
    reader = tar.Reader(file.read)
    count = 0
    if file.read(2) == b"\x1f\x8b":
        raise BadInput(f"{path} is compressed: unpack it with gunzip first")
    file.seek(0)
    entry = reader.following()
    while entry is not None:
        count += 1
        if count > ENTRIES_MAX:
            raise BadInput(f"{path} has more than {ENTRIES_MAX} entries")
        name = b"/".join(entries.place_of(entry.name)).decode(errors="replace")
        if name in files or name in links:
            raise BadInput(f"{path} has {name[:80]!r} twice")
        if entry.kind is tar.Kind.FILE:
            if reader.offset + entry.size_bytes > size:
                raise BadInput(f"{path} ends in the middle of {name[:80]!r}")
            files[name] = _Stretch(path, reader.offset, entry.size_bytes)
        elif entry.kind is tar.Kind.SYMLINK:
            links[name] = entry.target.decode(errors="replace")
        elif entry.kind is not tar.Kind.FOLDER:
            raise BadInput(f"{path} has {name[:80]!r}, which is neither file nor folder nor link")
        file.seek(reader.passed_over())
        entry = reader.following()
    return files, links


def _from_docker(path: Path, files: dict[str, _Stretch], links: dict[str, str]) -> Source:
    blobs: dict[str, _Stretch] = {}
    made: dict[str, bytes] = {}
    listed: list[Descriptor] = []
    for config_name, layer_names, names in documents.docker_archive(_bytes(files["manifest.json"])):
        config = _named(config_name, path, files, links)
        layers = [_named(name, path, files, links) for name in layer_names]
        descriptors = []
        for kind, stretch in (
            (model.DOCKER_CONFIG, config),
            *((_kind(one), one) for one in layers),
        ):
            digest = _digest(stretch)
            blobs[digest] = stretch
            descriptors.append(Descriptor(kind, digest, stretch.size))
        manifest = written.manifest_bytes(Manifest(descriptors[0], tuple(descriptors[1:])))
        digest = model.digest_of(manifest)
        made[digest] = manifest
        for name in names or ("",):
            annotations = ((model.REF_NAME, name),) if name else ()
            listed.append(
                Descriptor(model.MANIFEST, digest, len(manifest), annotations=annotations)
            )
    return _Stretches(path, tuple(listed), blobs, made)


def _named(name: str, path: Path, files: dict[str, _Stretch], links: dict[str, str]) -> _Stretch:
    """Return the file that `name` or the links from there lead to."""
    here = name
    for _ in range(_LINKS_MAX):
        if here in files:
            return files[here]
        if here not in links:
            break
        here = os.path.normpath(os.path.join(os.path.dirname(here), links[here]))  # noqa: PTH118, PTH120 - names in a tar
    raise BadInput(f"{path} has no {name[:80]!r}, which its manifest.json names")


def _kind(layer: _Stretch) -> str:
    with _plain(layer.path) as file:
        start = Part(file, layer.start, layer.size).read(4)
    if start[:2] == b"\x1f\x8b":
        return model.LAYER + "+gzip"
    return model.LAYER + ("+zstd" if start == b"\x28\xb5\x2f\xfd" else "")


def _digest(stretch: _Stretch) -> str:
    found = hashlib.sha256()
    with _plain(stretch.path) as file:
        part = Part(file, stretch.start, stretch.size)
        while data := part.read(_CHUNK):
            found.update(data)
    return "sha256:" + found.hexdigest()


def _small(path: Path) -> bytes:
    with _plain(path, missing=f"{path.parent} is no OCI layout: it has no {path.name}") as file:
        return file.read(documents.DOCUMENT_MAX_BYTES + 1)


def _bytes(stretch: _Stretch) -> bytes:
    with _plain(stretch.path) as file:
        return Part(file, stretch.start, stretch.size).read(documents.DOCUMENT_MAX_BYTES + 1)


@contextmanager
def _plain(path: Path, *, missing: str = "") -> Iterator[BinaryIO]:
    try:
        # Not blocked by a FIFO that lies there instead.
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError as error:
        raise BadInput(missing or f"{path} is not there") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadInput(f"{path} is a link: an image has plain files") from error
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise BadInput(f"{path} is no plain file")
        yield file
