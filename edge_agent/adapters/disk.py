"""The few things a spool does to a disk, as one object, so that tests can give it a disk that is full."""

import ctypes
import os
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """Files and their durability.  Everything may raise OSError."""

    def write(self, file: int, data: bytes, offset: int) -> None:
        """Write all of `data` at `offset`."""
        ...

    def sync(self, file: int) -> None:
        """Return once what was written to `file` is on the medium."""
        ...


class RealDisk:
    """The disk there is."""

    def write(self, file: int, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(file, view, offset)
            view = view[written:]
            offset += written

    def sync(self, file: int) -> None:
        os.fdatasync(file)


def sync_directory(path: Path) -> None:
    """Return once the names in `path` are on the medium."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def replace_file(disk: Disk, path: Path, data: bytes, *, mode: int = 0o640) -> None:
    """Put `data` at `path`, durably: whoever looks sees the old file or the new one, whole."""
    fresh = path.with_name(path.name + ".new")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        disk.write(file, data, 0)
        disk.sync(file)
    finally:
        os.close(file)
    fresh.replace(path)
    sync_directory(path.parent)


def sync_file_system(path: Path) -> None:
    """Return once all that was written to the file system of `path` is on the medium."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        kernel = ctypes.CDLL(None, use_errno=True)
        if kernel.syncfs(file) < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"syncfs {path}: {os.strerror(number)}")
    finally:
        os.close(file)
