"""Installs folders: a tar is unpacked beside the old one, and a link is moved.

    FOLDER/current -> versions/3f9c...      what programs open
    FOLDER/versions/3f9c.../                named by the SHA-256 of the tar
    FOLDER/order.json                       the order under way: what was current before it

Rule 1: a version's folder has its name only when all of it is durable and was read back.
Rule 2: the link is moved by a rename: programs see the old folder or the new one, whole.
Rule 3: the version before is kept until the next one is committed.
"""

import asyncio
import hashlib
import io
import json
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, Any

from edge_agent.adapters.update_files import PART_BYTES, Files, RealFiles, got, put, put_link
from edge_agent.updates.ports import Health, Stored, Verdict
from fairway.errors import BadInput, Tampered, Unavailable
from ota.trust.model import Assigned, Ecu

MEMBERS_MAX = 100_000


class FileInstaller:
    """One folder."""

    def __init__(self, folder: Path, files: Files | None = None) -> None:
        self._folder, self._files = folder, files or RealFiles()
        self._current, self._order = folder / "current", folder / "order.json"
        self._versions = folder / "versions"

    async def probe(self, ecu: Ecu) -> str:
        del ecu
        return self._held()

    async def check(self, assigned: Assigned) -> None:
        if assigned.image.length == 0:
            raise BadInput(f"{assigned.image.path} is empty: it is no tar")

    async def prepare(self, token: str, assigned: Assigned, stored: Stored) -> None:
        try:
            await asyncio.to_thread(self._prepare, token, assigned.image.sha256, stored.path)
        except OSError as error:
            raise self._failing(error) from error

    def _prepare(self, token: str, sha256: str, source: Path) -> None:
        files = self._files
        files.make_folder(self._versions)
        files.sync_folder(self._folder)
        said = self._said()
        if said.get("token") != token:
            put(files, self._order, json.dumps({"token": token, "before": self._held()}).encode())
        done = self._versions / sha256
        if sha256 in files.names(self._versions):
            return
        fresh = done.with_name(sha256 + ".new")
        files.remove(fresh)
        self._unpack(source, fresh)
        files.rename(fresh, done)
        files.sync_folder(self._versions)

    def _unpack(self, source: Path, folder: Path) -> None:
        files = self._files
        files.make_folder(folder)
        folders = {folder}
        try:
            with tarfile.open(
                fileobj=io.BufferedReader(_Reading(files, source)), mode="r:"
            ) as archive:
                for number, member in enumerate(archive):
                    if number >= MEMBERS_MAX:
                        raise BadInput(f"the tar has more than {MEMBERS_MAX} members")
                    path = folder / _inside(member.name)
                    folders |= {one for one in path.parents if folder in one.parents}
                    if member.isdir():
                        files.make_folder(path)
                        folders.add(path)
                    elif member.isreg():
                        files.make_folder(path.parent)
                        content = archive.extractfile(member)
                        assert content is not None
                        self._take(content, path)
                    else:
                        raise BadInput(f"{member.name!r} in the tar is neither a file nor a folder")
        except tarfile.TarError as error:
            raise BadInput(f"{source.name} is no tar: {error}") from error
        for one in sorted(folders, key=lambda one: len(one.parts), reverse=True):
            files.sync_folder(one)

    def _take(self, content: IO[bytes], path: Path) -> None:
        digest, offset = hashlib.sha256(), 0
        self._files.write(path, b"", 0)
        while part := content.read(PART_BYTES):
            digest.update(part)
            self._files.write(path, part, offset)
            offset += len(part)
        self._files.sync(path)
        back = hashlib.sha256()
        for start in range(0, offset, PART_BYTES):
            back.update(self._files.read(path, start, min(PART_BYTES, offset - start)))
        if back.digest() != digest.digest():
            raise Tampered(f"{path} does not keep what it is given: the disk fails")

    async def activate(self, token: str, assigned: Assigned) -> bool:
        del token
        return await self._lead(assigned.image.sha256)

    async def verify(self, token: str, assigned: Assigned) -> Verdict:
        del token
        held = self._held()
        if held == assigned.image.sha256:
            return Verdict(Health.WELL)
        return Verdict(Health.ILL, f"{self._current} leads to {held or 'nothing'}")

    async def commit(self, token: str, assigned: Assigned) -> bool:
        try:
            if self._held() != assigned.image.sha256:
                await self._lead(assigned.image.sha256)
            said = self._said()
            if said.get("token") == token:
                keep = {assigned.image.sha256, said.get("before", "")}
                for name in self._files.names(self._versions):
                    if name not in keep:
                        self._files.remove(self._versions / name)
                self._forget()
        except OSError as error:
            raise self._failing(error) from error
        return False

    async def rollback(self, token: str, assigned: Assigned) -> bool:
        said = self._said()
        if said.get("token") != token:
            return False
        before = said.get("before", "")
        try:
            if before:
                await self._lead(before)
            else:
                self._files.remove(self._current)
                self._files.sync_folder(self._folder)
            if assigned.image.sha256 != before:
                self._files.remove(self._versions / assigned.image.sha256)
                self._files.remove(self._versions / (assigned.image.sha256 + ".new"))
            self._forget()
        except OSError as error:
            raise self._failing(error) from error
        return False

    async def _lead(self, sha256: str) -> bool:
        if self._held() != sha256:
            try:
                await asyncio.to_thread(put_link, self._files, f"versions/{sha256}", self._current)
            except OSError as error:
                raise self._failing(error) from error
        return False

    def _held(self) -> str:
        leads = self._files.linked(self._current)
        return leads.rpartition("/")[2] if leads else ""

    def _said(self) -> dict[str, str]:
        content = got(self._files, self._order)
        try:
            said = json.loads(content) if content else {}
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}

    def _forget(self) -> None:
        self._files.remove(self._order)
        self._files.sync_folder(self._folder)

    def _failing(self, error: OSError) -> Unavailable:
        return Unavailable(f"{self._folder} fails: {error.strerror or error}")


class _Reading(io.RawIOBase):
    """A file of `Files`, as tarfile reads one."""

    def __init__(self, files: Files, path: Path) -> None:
        super().__init__()
        self._files, self._path, self._offset = files, path, 0
        self._size = files.size(path) or 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._files.read(self._path, self._offset, len(buffer))
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._offset = offset + (0, self._offset, self._size)[whence]
        return self._offset

    def tell(self) -> int:
        return self._offset


def _inside(name: str) -> PurePosixPath:
    """Return a member's name.  Raises BadInput for one that would lie elsewhere."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise BadInput(f"{name!r} in the tar would lie outside of its folder")
    return path
