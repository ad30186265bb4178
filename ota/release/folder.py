"""The release folder: the state of a repository as files that people keep in git and look at.

    release.json        says that it is one
    metadata/           what is signed and complete: 2.root.json, 7.releases.json, timestamp.json
    draft/              what awaits signatures: releases.json
    documents/          small ones by SHA-256: bundles, bills of materials, provenance, OCI manifests
    blobs/              bytes by SHA-256; not kept in git (.gitignore), restored by building again

Rule 1: a file is there whole or not at all: written beside, then renamed.
Rule 2: what is in metadata/ is followed by a higher version, not changed; timestamp.json alone is replaced.
Rule 3: one program at a time: a lock is held for as long as the folder is open.
"""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata
from tuf.api.serialization import SerializationError
from tuf.api.serialization.json import JSONSerializer

from fairway.errors import BadInput, Conflict, Tampered, Unavailable
from ota.manifest import CHUNK_BYTES, Blob
from ota.release.plan import TIMESTAMP

# Of one file of metadata: a role of 100,000 images without bins has 19 MB, and vehicles take 8 MiB.
METADATA_MAX_BYTES = 64 << 20
_MARK = "release.json"
_FOLDERS = ("metadata", "draft", "documents", "blobs")
_FORMAT = 1
_PIECE = 1 << 20

Signed = Metadata[Any]


class Folder:
    """An open release folder."""

    def __init__(self, path: Path) -> None:
        """Open a folder that `create` made.  Raises BadInput."""
        self.path = path
        try:
            mark = json.loads((path / _MARK).read_bytes())
        except OSError as error:
            raise BadInput(
                f"{path} is no release folder: make one with `ota-release init`"
            ) from error
        except ValueError as error:
            raise BadInput(f"{path / _MARK} is not JSON: {error}") from error
        if not isinstance(mark, dict) or mark.get("fairway") != _FORMAT:
            raise BadInput(f"{path} was made by a newer ota-release: update this one")
        for name in _FOLDERS:  # git keeps no empty ones
            (path / name).mkdir(exist_ok=True)
        self._latest: dict[str, Signed | None] = {}

    @classmethod
    def create(cls, path: Path) -> "Folder":
        """Make an empty release folder.  Raises Conflict when something is there."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise Conflict(f"{path} is there and is not empty: name a new folder")
        path.mkdir(parents=True, exist_ok=True)
        (path / ".gitignore").write_text("/blobs/\n/.lock\n")
        _write(path / _MARK, json.dumps({"fairway": _FORMAT}, indent=1).encode() + b"\n")
        return cls(path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others out.  Raises Conflict when another program is at it."""
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Conflict(f"another ota-release works in {self.path}: wait for it") from error
            yield

    def latest(self, role: str) -> Signed | None:
        """Return the newest complete metadata of a role.  Raises BadInput for a broken file."""
        if role not in self._latest:
            versions = self.versions(role)
            name = f"{versions[-1]}.{role}.json" if versions else f"{role}.json"
            self._latest[role] = self._load(self.path / "metadata" / name)
        return self._latest[role]

    def need(self, role: str) -> Signed:
        """Return the newest complete metadata of a role.  Raises BadInput when there is none yet."""
        found = self.latest(role)
        if found is None:
            raise BadInput(
                f"role {role} is not signed yet: `ota-release inspect` says by whom it may be"
            )
        return found

    def versions(self, role: str) -> list[int]:
        """Return the versions of a role that are here, sorted."""
        found = [path.name.split(".", 1)[0] for path in self.path.glob(f"metadata/*.{role}.json")]
        return sorted(int(one) for one in found if one.isdigit())

    def files(self) -> dict[str, bytes]:
        """Return all complete metadata by name."""
        return {path.name: path.read_bytes() for path in sorted(self.path.glob("metadata/*.json"))}

    def draft(self, role: str) -> Signed | None:
        """Return what awaits signatures.  Raises BadInput for a broken file."""
        return self._load(self.path / "draft" / f"{role}.json")

    def drafts(self) -> list[str]:
        """Return the roles of which something awaits signatures."""
        return sorted(path.stem for path in self.path.glob("draft/*.json"))

    def put_draft(self, role: str, metadata: Signed) -> None:
        """Keep what awaits signatures."""
        _write(self.path / "draft" / f"{role}.json", _bytes(metadata))

    def drop_draft(self, role: str) -> None:
        """Forget what awaited signatures."""
        (self.path / "draft" / f"{role}.json").unlink(missing_ok=True)

    def accept(self, role: str, metadata: Signed) -> None:
        """Keep what is complete.  Raises Conflict when that version is there already."""
        version = metadata.signed.version
        name = "timestamp.json" if role == TIMESTAMP else f"{version}.{role}.json"
        path = self.path / "metadata" / name
        if role != TIMESTAMP and path.exists():
            raise Conflict(f"{name} is there already: a version is never signed twice")
        _write(path, _bytes(metadata))
        self.drop_draft(role)
        self._latest.pop(role, None)

    def blob_path(self, sha256: str) -> Path:
        """Return where bytes of that hash lie, or would."""
        document = self.path / "documents" / sha256
        return document if document.exists() else self.path / "blobs" / sha256

    def need_blob(self, blob: Blob) -> Path:
        """Return where bytes lie, compared with their hash.

        Raises BadInput when they are not here, Tampered when others are.
        """
        path = self.blob_path(blob.sha256)
        if not path.is_file():
            raise BadInput(
                f"the bytes of {blob.sha256} are not in {path.parent}: build the release again"
            )
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != blob.sha256 or path.stat().st_size != blob.length:
            raise Tampered(
                f"{path} has been changed: its bytes are sha256 {found}; build the release again"
            )
        return path

    def need_document(self, sha256: str) -> bytes:
        """Return a small document, compared with its hash.  Raises BadInput, Tampered."""
        path = self.blob_path(sha256)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadInput(
                f"document {sha256} is not in {path.parent}: {error.strerror}"
            ) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Tampered(f"{path} has been changed: build the release again")
        return data

    def put_document(self, data: bytes) -> Blob:
        """Keep a small document, in git too."""
        sha256 = hashlib.sha256(data).hexdigest()
        _write(self.path / "documents" / sha256, data)
        return Blob(sha256, len(data))

    def put_bytes(self, data: bytes) -> Blob:
        """Keep some bytes."""
        sha256 = hashlib.sha256(data).hexdigest()
        _write(self.path / "blobs" / sha256, data)
        return Blob(sha256, len(data))

    def put_file(self, read: Callable[[int], bytes], *, chunked: bool = True) -> Blob:
        """Keep a large file, read piece by piece, with its list of chunks.  Raises Unavailable."""
        folder = self.path / "blobs"
        whole, chunk, chunks, length = hashlib.sha256(), hashlib.sha256(), bytearray(), 0
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".new-", delete=False) as file:
            try:
                while data := read(_PIECE):
                    view = memoryview(data)
                    while view:
                        part = view[: CHUNK_BYTES - length % CHUNK_BYTES]
                        chunk.update(part)
                        length += len(part)
                        view = view[len(part) :]
                        if length % CHUNK_BYTES == 0:
                            chunks += chunk.digest()
                            chunk = hashlib.sha256()
                    whole.update(data)
                    file.write(data)
                os.fchmod(file.fileno(), 0o644)
                Path(file.name).replace(self.blob_path(whole.hexdigest()))
            except OSError as error:
                Path(file.name).unlink(missing_ok=True)
                raise Unavailable(f"{folder} does not take it: {error.strerror}") from error
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        if length % CHUNK_BYTES:
            chunks += chunk.digest()
        if not chunked or length <= CHUNK_BYTES:
            return Blob(whole.hexdigest(), length)
        return Blob(whole.hexdigest(), length, CHUNK_BYTES, self.put_bytes(bytes(chunks)).sha256)

    def scratch(self) -> "tempfile.TemporaryDirectory[str]":
        """Return a folder for work that is gone afterwards, on the same disk."""
        return tempfile.TemporaryDirectory(dir=self.path / "blobs", prefix=".work-")

    def _load(self, path: Path) -> Signed | None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
        return metadata_from(data, str(path))


def metadata_from(data: bytes, name: str) -> Signed:
    """Return the metadata that a file says.  Raises BadInput."""
    if len(data) > METADATA_MAX_BYTES:
        raise BadInput(f"{name} has {len(data)} bytes; {METADATA_MAX_BYTES} at most")
    try:
        return Metadata.from_bytes(data)
    except (SerializationError, RepositoryError) as error:
        raise BadInput(f"{name} is no metadata of TUF: {error}") from error


def _bytes(metadata: Signed) -> bytes:
    return metadata.to_bytes(JSONSerializer(compact=False)) + b"\n"


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}") from error
