"""What installers do to files, as one object: tests give them a disk that forgets what was not synced.

Rule 1: only sync() and sync_folder() make durable; all else may be gone after a power cut, whole or in part.
Rule 2: it has more methods than a port should: each is one system call, and a model of a disk needs them all.
"""

import errno
import os
import shutil
from pathlib import Path
from typing import Protocol

from edge_agent.adapters.disk import sync_directory

PART_BYTES = 1 << 20


class Files(Protocol):
    """Files.  Everything may raise OSError.  Contract: tests/contracts/test_update_files.py."""

    def write(self, path: Path, data: bytes, offset: int) -> None:
        """Write all of `data` at `offset`; at offset 0 of what is no device, in an empty file."""
        ...

    def read(self, path: Path, offset: int, length: int) -> bytes:
        """Return up to so many bytes."""
        ...

    def sync(self, path: Path) -> None:
        """Return once what was written to a file is on the medium."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Put `old` in the place of `new`, whatever was there; a folder only where there is nothing."""
        ...

    def link(self, target: str, path: Path) -> None:
        """Make a symbolic link."""
        ...

    def linked(self, path: Path) -> str | None:
        """Return where a link leads, None when there is none."""
        ...

    def make_folder(self, path: Path) -> None:
        """Make a folder, and those above; it may be there."""
        ...

    def sync_folder(self, path: Path) -> None:
        """Return once the names in a folder are on the medium."""
        ...

    def names(self, path: Path) -> list[str]:
        """Return what is in a folder, none of one that is not there."""
        ...

    def size(self, path: Path) -> int | None:
        """Return the length of a file or device in bytes, None when there is none."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file, a link, or a folder with all that is in it; it may be gone."""
        ...


class RealFiles:
    """The files there are."""

    def write(self, path: Path, data: bytes, offset: int) -> None:
        is_device = path.is_block_device()
        flags = os.O_WRONLY | os.O_CLOEXEC | (0 if is_device else os.O_CREAT)
        file = os.open(path, flags | (os.O_TRUNC if offset == 0 and not is_device else 0), 0o640)
        try:
            view = memoryview(data)
            while view:
                written = os.pwrite(file, view, offset)
                view, offset = view[written:], offset + written
        finally:
            os.close(file)

    def read(self, path: Path, offset: int, length: int) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def sync(self, path: Path) -> None:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
            if path.is_block_device():
                # What is read back is to come from the medium, not from the cache.
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)

    def rename(self, old: Path, new: Path) -> None:
        old.replace(new)

    def link(self, target: str, path: Path) -> None:
        path.symlink_to(target)

    def linked(self, path: Path) -> str | None:
        try:
            return str(path.readlink())
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINVAL, errno.ENOTDIR):
                return None
            raise

    def make_folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def sync_folder(self, path: Path) -> None:
        sync_directory(path)

    def names(self, path: Path) -> list[str]:
        try:
            return sorted(one.name for one in path.iterdir())
        except FileNotFoundError:
            return []

    def size(self, path: Path) -> int | None:
        try:
            with path.open("rb") as file:
                return file.seek(0, os.SEEK_END)
        except (FileNotFoundError, IsADirectoryError):
            return None

    def remove(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def put(files: Files, path: Path, data: bytes) -> None:
    """Put a file there, durably: whoever looks sees the old one or the new one, whole."""
    fresh = path.with_name(path.name + ".new")
    files.write(fresh, data, 0)
    files.sync(fresh)
    files.rename(fresh, path)
    files.sync_folder(path.parent)


def got(files: Files, path: Path, most: int = PART_BYTES) -> bytes | None:
    """Return a small file whole, None when there is none."""
    size = files.size(path)
    return None if size is None else files.read(path, 0, min(size, most))


def put_link(files: Files, target: str, path: Path) -> None:
    """Have a link lead there, durably: it leads to the old place or to the new one, never nowhere."""
    fresh = path.with_name(path.name + ".new")
    files.remove(fresh)
    files.link(target, fresh)
    files.rename(fresh, path)
    files.sync_folder(path.parent)
