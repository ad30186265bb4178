"""A disk in memory that forgets: what was not synced is gone after a power cut, or there in part, or whole.

    files = DroppingFiles(fuse)      every change of it asks the fuse first, which may end the world
    files.crash(Kept.SOME, seed=7)   the power comes back

Rule 1: a file's bytes are kept from its own sync on; a name is kept from the sync of its folder on.
Rule 2: what is pending may be kept all the same, each part for itself, a write also torn: a seed says which.
Rule 3: paths outside of its root are those of the real disk: images lie there that somebody else fetched.
"""

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from edge_agent.adapters.update_files import RealFiles


class Keeps(StrEnum):
    """What a power cut leaves of what was not synced."""

    NOTHING = "nothing"
    ALL = "all"
    SOME = "some"


@dataclass(eq=False)
class File:
    data: bytearray = field(default_factory=bytearray)
    kept: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(
        default_factory=list
    )  # None: cut to this length


@dataclass(eq=False)
class Link:
    target: str


@dataclass(eq=False)
class Folder:
    names: dict[str, "Node"] = field(default_factory=dict)
    kept: dict[str, "Node"] = field(default_factory=dict)


Node = File | Link | Folder
# One change of names, whole or not at all.
Change = list[tuple[Folder, str, Node | None]]


def _no_fuse(_label: str) -> None:
    pass


class DroppingFiles:
    """The disk."""

    def __init__(self, root: Path, fuse: Callable[[str], None] = _no_fuse) -> None:
        self.root, self.fuse = root, fuse
        self._top = Folder()
        self._pending: list[Change] = []
        self._real = RealFiles()
        self.fails: OSError | None = None  # everything that writes
        self.flips_bit_in = ""  # what is written to a path with this in its name is another thing

    # what an installer does

    def write(self, path: Path, data: bytes, offset: int) -> None:
        self._change(f"write {path.name}")
        folder, name = self._parent(path)
        file = folder.names.get(name)
        if file is None:
            file = File()
            self._do([(folder, name, file)])
        assert isinstance(file, File)
        if offset == 0:
            file.data.clear()
            file.pending.append((0, None))
        if self.flips_bit_in and self.flips_bit_in in str(path) and data:
            data = bytes([data[0] ^ 1]) + data[1:]
        _put(file.data, offset, data)
        file.pending.append((offset, bytes(data)))

    def read(self, path: Path, offset: int, length: int) -> bytes:
        if self.root not in path.parents:
            return self._real.read(path, offset, length)
        file = self._find(path)
        if not isinstance(file, File):
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        return bytes(file.data[offset : offset + length])

    def sync(self, path: Path) -> None:
        self._change(f"sync {path.name}")
        file = self._find(path)
        assert isinstance(file, File)
        file.kept, file.pending = bytes(file.data), []

    def rename(self, old: Path, new: Path) -> None:
        self._change(f"rename {old.name}")
        node = self._find(old)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "No such file", str(old))
        there = self._find(new)
        if isinstance(there, Folder) and there.names:
            raise OSError(errno.ENOTEMPTY, "Directory not empty", str(new))
        (old_folder, old_name), (new_folder, new_name) = self._parent(old), self._parent(new)
        self._do([(old_folder, old_name, None), (new_folder, new_name, node)])

    def link(self, target: str, path: Path) -> None:
        self._change(f"link {path.name}")
        folder, name = self._parent(path)
        if name in folder.names:
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        self._do([(folder, name, Link(target))])

    def linked(self, path: Path) -> str | None:
        node = self._find(path)
        return node.target if isinstance(node, Link) else None

    def make_folder(self, path: Path) -> None:
        if isinstance(self._find(path), Folder):
            return
        self._change(f"make {path.name}")
        folder = self._top
        for name in path.relative_to(self.root).parts:
            inner = folder.names.get(name)
            if inner is None:
                inner = Folder()
                self._do([(folder, name, inner)])
            assert isinstance(inner, Folder)
            folder = inner

    def sync_folder(self, path: Path) -> None:
        self._change(f"sync {path.name}/")
        folder = self._find(path)
        if not isinstance(folder, Folder):
            raise FileNotFoundError(errno.ENOENT, "No such folder", str(path))
        left = []
        for change in self._pending:
            if any(where is folder for where, _, _ in change):
                _apply(change)
            else:
                left.append(change)
        self._pending = left

    def names(self, path: Path) -> list[str]:
        folder = self._find(path)
        return sorted(folder.names) if isinstance(folder, Folder) else []

    def size(self, path: Path) -> int | None:
        if self.root not in path.parents:
            return self._real.size(path)
        file = self._find(path)
        return len(file.data) if isinstance(file, File) else None

    def remove(self, path: Path) -> None:
        if self._find(path) is None:
            return
        self._change(f"remove {path.name}")
        folder, name = self._parent(path)
        self._do([(folder, name, None)])

    # what happens to it

    def crash(self, keeps: Keeps, seed: int = 0) -> None:
        """Let the power go and come."""
        chance = random.Random(seed)

        def is_kept() -> bool:
            return keeps is Keeps.ALL or (keeps is Keeps.SOME and chance.random() < 0.5)

        for change in self._pending:
            if is_kept():
                _apply(change)
        self._pending = []
        _come_back(self._top, is_kept, chance if keeps is Keeps.SOME else None)

    def tree(self, path: Path) -> dict[str, bytes]:
        """Return all files below a folder, by their names in it."""
        found: dict[str, bytes] = {}
        folder = self._find(path)
        if isinstance(folder, Folder):
            _walk(folder, "", found)
        return found

    def _change(self, label: str) -> None:
        self.fuse(label)
        if self.fails is not None:
            raise self.fails

    def _do(self, change: Change) -> None:
        for folder, name, node in change:
            if node is None:
                folder.names.pop(name, None)
            else:
                folder.names[name] = node
        self._pending.append(change)

    def _find(self, path: Path) -> Node | None:
        node: Node = self._top
        if path == self.root:
            return node
        if self.root not in path.parents:
            return None
        for name in path.relative_to(self.root).parts:
            if not isinstance(node, Folder) or name not in node.names:
                return None
            node = node.names[name]
        return node

    def _parent(self, path: Path) -> tuple[Folder, str]:
        folder = self._find(path.parent)
        if not isinstance(folder, Folder):
            raise FileNotFoundError(errno.ENOENT, "No such folder", str(path.parent))
        return folder, path.name


def _put(data: bytearray, offset: int, more: bytes) -> None:
    if len(data) < offset:
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(more)] = more


def _apply(change: Change) -> None:
    for folder, name, node in change:
        if node is None:
            folder.kept.pop(name, None)
        else:
            folder.kept[name] = node


def _come_back(folder: Folder, is_kept: Callable[[], bool], chance: random.Random | None) -> None:
    folder.names = dict(folder.kept)
    for node in folder.names.values():
        if isinstance(node, Folder):
            _come_back(node, is_kept, chance)
        elif isinstance(node, File):
            data = bytearray(node.kept)
            for offset, part in node.pending:
                if not is_kept():
                    continue
                if part is None:
                    del data[offset:]
                    continue
                end = len(part) if chance is None else chance.randint(0, len(part))
                _put(data, offset, part[:end])
            node.data, node.kept, node.pending = data, bytes(data), []


def _walk(folder: Folder, prefix: str, found: dict[str, bytes]) -> None:
    for name, node in folder.names.items():
        if isinstance(node, Folder):
            _walk(node, f"{prefix}{name}/", found)
        elif isinstance(node, File):
            found[f"{prefix}{name}"] = bytes(node.data)
