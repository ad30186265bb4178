"""A disk small enough to be filled: a tmpfs of its own, which takes the right to mount."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.shared_data import missing


class SmallDisk:
    """A mounted disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, *, leaving_bytes: int = 0) -> None:
        """Use up all space but `leaving_bytes`."""
        disk = os.statvfs(self.folder)
        free = disk.f_bavail * disk.f_frsize
        with self._filler.open("ab", buffering=0) as filler, contextlib.suppress(OSError):
            for _ in range(max(0, free - leaving_bytes) // 4096):
                filler.write(bytes(4096))

    def clear(self) -> None:
        """Give the space back."""
        self._filler.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """Mount a tmpfs of `size_bytes` at `folder`."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        problem = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        problem = str(error)
    if problem:
        missing(f"a small disk cannot be mounted here: {problem}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
