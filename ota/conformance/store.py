"""Trusted metadata as files under plain names: DIR/root.json, DIR/timestamp.json, DIR/<role>.json.

Rule 1: a file is whole or as it was before: write, fsync, rename, fsync the folder.
Rule 2: each file is verified again when it is used, so any mixture of old and new ones that a power cut may
leave is safe: at worst a file is fetched again.
"""

import os
from pathlib import Path
from urllib.parse import quote, unquote

from fairway.errors import BadInput, Unavailable
from ota.trust.kept import Kept
from ota.trust.metadata import TARGETS_MAX_BYTES
from ota.trust.model import Repository


class FileStore:
    """A folder of trusted metadata."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def provision(self, root: Path) -> None:
        """Trust a root.  Raises BadInput, Unavailable."""
        try:
            content = root.read_bytes()
        except OSError as error:
            raise BadInput(f"cannot read the root {root}: {error.strerror}") from error
        write_durably(self._folder / "root.json", content)

    def load(self) -> Kept:
        """Return what is trusted.  Raises Unavailable."""
        roles = {}
        try:
            for path in sorted(self._folder.glob("*.json")):
                if path.stat().st_size <= TARGETS_MAX_BYTES:
                    role = unquote(path.name.removesuffix(".json"))
                    roles[Repository.IMAGE, role] = path.read_bytes()
        except OSError as error:
            raise Unavailable(f"cannot read {self._folder}: {error.strerror}") from error
        return Kept(roles=roles)

    def save(self, before: Kept, after: Kept) -> None:
        """Write what has changed.  Raises Unavailable."""
        for key, content in after.roles.items():
            if before.roles.get(key) != content:
                write_durably(self._folder / f"{quote(key[1], safe='')}.json", content)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file that is whole after any power cut, or as it was before.  Raises Unavailable."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Unavailable(f"cannot write {path}: {error.strerror}") from error
