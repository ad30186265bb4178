"""Folders of data that outlive their services: whose they are, and how much is in them.

Rule 1: a folder belongs to the user of its service, and nobody else may look into it.
Rule 2: it is measured without following links, and what vanishes meanwhile is not counted.
"""

import os
from pathlib import Path

from fairway.errors import Unavailable


def make(folder: Path, uid: int) -> None:
    """Make a folder of data, or hand the one there is to `uid`.  Raises Unavailable."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchown(file, uid, uid)
            os.fchmod(file, 0o700)
        finally:
            os.close(file)
    except OSError as error:
        raise Unavailable(f"{folder} cannot be a folder of data: {error}") from error


def used_bytes(folder: Path) -> int:
    """Return what a folder takes of the disk."""
    total, folders = 0, [folder]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                total += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
            except OSError:
                continue
    return total
