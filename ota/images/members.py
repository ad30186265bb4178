"""What goes into a layer, in the order in which it is written.

    a folder, or a root file system > Member, sorted by name > layer.py

Rule 1: the same files give the same members: no clock, no user, no order of a directory has a say.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fairway.errors import BadInput
from fairway.oci import entries
from fairway.oci.tar import Entry, Kind

_CACHE = b"__pycache__"


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of a layer, and where its content is."""

    entry: Entry
    content: Path | bytes = b""

    @property
    def place(self) -> entries.Place:
        """Return where it lies, from the root of the image."""
        return entries.place_of(self.entry.name)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of files: programs and data as a developer has them.

    Owners are root, and modes are 755 for folders and programs and 644 for the rest, so that they do not
    depend on who checked the files out; what Python compiled meanwhile (__pycache__) is left out.
    """

    path: Path
    prefix: str = "/"  # where it goes in the image


@dataclass(frozen=True, slots=True)
class RootFs:
    """A root file system that another tool made: owners and modes are part of it; devices are left out."""

    path: Path


def members(source: Folder | RootFs, *, epoch_s: int) -> list[Member]:
    """Return what a source holds, each time as `epoch_s`.  Raises BadInput."""
    if not source.path.is_dir():
        raise BadInput(f"{source.path} is no folder")
    keeps = isinstance(source, RootFs)
    front = () if isinstance(source, RootFs) else _prefix(source.prefix)
    found = {place: Member(_folder(place, epoch_s)) for place in _parents(front, including=True)}
    seen: dict[tuple[int, int], bytes] = {}
    for path, place in _walk(source.path, front):
        if not keeps and _CACHE in place:
            continue
        member = _member(path, place, epoch_s, keeps=keeps)
        if member is None:
            continue
        at = path.lstat()
        if keeps and at.st_nlink > 1 and member.entry.kind is Kind.FILE:
            first = seen.setdefault((at.st_dev, at.st_ino), member.entry.name)
            if first != member.entry.name:
                member = Member(
                    Entry(member.entry.name, Kind.HARD_LINK, target=first, mtime_s=epoch_s)
                )
        found[place] = member
    return ordered(found.values())


def ordered(found: Iterable[Member]) -> list[Member]:
    """Return members by name, folders before what is in them, each of them named; the last of a name counts."""
    by_place = {member.place: member for member in found}
    for place in list(by_place):
        for above in _parents(place):
            by_place.setdefault(above, Member(_folder(above, _epoch_of(by_place[place]))))
    return [by_place[place] for place in sorted(by_place) if place]


def folder(name: str, *, mode: int = 0o755, epoch_s: int = 0) -> Member:
    """Return an empty folder."""
    return Member(Entry(os.fsencode(name), Kind.FOLDER, mode=mode, mtime_s=epoch_s))


def file(name: str, content: Path | bytes, *, mode: int = 0o644, epoch_s: int = 0) -> Member:
    """Return a file; its size is that of its content now."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    return Member(Entry(os.fsencode(name), size_bytes=size, mode=mode, mtime_s=epoch_s), content)


def link(name: str, target: str, *, epoch_s: int = 0) -> Member:
    """Return a symbolic link."""
    return Member(
        Entry(
            os.fsencode(name),
            Kind.SYMLINK,
            mode=0o777,
            target=os.fsencode(target),
            mtime_s=epoch_s,
        )
    )


def _epoch_of(member: Member) -> int:
    return member.entry.mtime_s


def _prefix(text: str) -> entries.Place:
    return entries.place_of(os.fsencode(text).strip(b"/") or b".")


def _parents(place: entries.Place, *, including: bool = False) -> Iterator[entries.Place]:
    for length in range(1, len(place) + including):
        yield place[:length]


def _folder(place: entries.Place, epoch_s: int) -> Entry:
    return Entry(b"/".join(place), Kind.FOLDER, mode=0o755, mtime_s=epoch_s)


def _walk(root: Path, front: entries.Place) -> Iterator[tuple[Path, entries.Place]]:
    """Yield all that is below `root`, by name, which decides what of several hard links is the file."""
    for path in sorted(root.iterdir(), key=lambda one: os.fsencode(one.name)):
        place = (*front, os.fsencode(path.name))
        yield path, place
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, place)


def _member(path: Path, place: entries.Place, epoch_s: int, *, keeps: bool) -> Member | None:
    name, at = b"/".join(place), path.lstat()
    owner = (at.st_uid, at.st_gid) if keeps else (0, 0)
    if stat.S_ISLNK(at.st_mode):
        target = os.fsencode(path.readlink())
        made = Entry(name, Kind.SYMLINK, 0, 0o777, *owner, epoch_s, target)
    elif stat.S_ISDIR(at.st_mode):
        mode = at.st_mode & 0o7777 if keeps else 0o755
        made = Entry(name, Kind.FOLDER, 0, mode, *owner, epoch_s)
    elif stat.S_ISREG(at.st_mode):
        mode = at.st_mode & 0o7777 if keeps else (0o755 if at.st_mode & 0o111 else 0o644)
        made = Entry(name, Kind.FILE, at.st_size, mode, *owner, epoch_s)
    elif keeps:
        return None
    else:
        raise BadInput(f"{path} is neither file nor folder nor link: an image cannot have it")
    if entries.understood(made).what.name != made.kind.name:
        raise BadInput(
            f"{path} begins with .wh., which means in a layer that another name is hidden"
        )
    return Member(made, path if made.kind is Kind.FILE else b"")
