"""One layer of an image becomes a folder as overlayfs wants it.

    packed blob > plain tar > entries > Step > a folder that nobody can lead out of

Rule 1: every name is opened from the folder above it, never following a link: neither an entry nor a process
        that races with us can make us write elsewhere.
Rule 2: the digest of the plain tar is compared before the folder is given a name.
Rule 3: what hides names of lower layers is written as overlayfs reads it: device 0/0, and an attribute.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from fairway.errors import BadInput, Tampered, Unavailable
from fairway.oci import tar
from fairway.oci.entries import Place, Step, What, shown, understood
from fairway.oci.model import Compression
from fairway.oci.packed import Limits, Unpacked

WARNINGS_MAX = 50
OPAQUE = "trusted.overlay.opaque"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Layer:
    """What is known of an unpacked layer."""

    tar_bytes: int = 0  # of the plain tar
    entries: int = 0
    hides: bool = False  # names of lower layers
    is_opaque: bool = False  # all of the lower layers
    links: list[str] = field(
        default_factory=list
    )  # symbolic ones: a higher layer may run into them
    implied: list[str] = field(default_factory=list)  # folders that no entry names
    warnings: list[str] = field(default_factory=list)


def unpack(
    read: Callable[[int], bytes],
    compression: Compression,
    diff_id: str,
    folder: Path,
    limits: Limits,
) -> Layer:
    """Unpack a layer into the empty folder `folder`.

    Raises BadInput when it is refused, Tampered when it is not `diff_id`, Unavailable when there is no room.
    """
    unpacked = Unpacked(read, compression, limits)
    reader = tar.Reader(unpacked.read)
    try:
        with _Tree(folder, reader) as tree:
            for entry in reader:
                _count(tree.layer, limits)
                tree.put(entry, understood(entry))
            unpacked.rest()
            tree.finish()
    except OSError as error:
        raise _ours(error) from error
    return _ended(tree.layer, unpacked, diff_id)


def verify(
    read: Callable[[int], bytes], compression: Compression, diff_id: str, limits: Limits
) -> Layer:
    """Read a layer as unpack() does, and write nothing: an engine will unpack it by its own rules.

    Raises BadInput, Tampered.
    """
    unpacked, layer = Unpacked(read, compression, limits), Layer()
    for entry in tar.Reader(unpacked.read):
        _count(layer, limits)
        understood(entry)
    unpacked.rest()
    return _ended(layer, unpacked, diff_id)


def _count(layer: Layer, limits: Limits) -> None:
    layer.entries += 1
    if layer.entries > limits.entries_max:
        raise BadInput(f"a layer has more than {limits.entries_max} entries")


def _ended(layer: Layer, unpacked: Unpacked, diff_id: str) -> Layer:
    if unpacked.digest != diff_id:
        raise Tampered(f"a layer must be {diff_id} once unpacked, and is {unpacked.digest}")
    layer.tar_bytes = unpacked.count
    return layer


def _ours(error: OSError) -> BadInput | Unavailable:
    if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EMLINK):
        return BadInput(f"a layer has a name that no file here can have: {error}")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable("there is no room to unpack a layer: remove images, or give more space")
    return Unavailable(f"a layer cannot be unpacked: {error}")


class _Tree:
    """A folder, and the way from it to the entry that is written now, as open folders."""

    def __init__(self, folder: Path, reader: tar.Reader) -> None:
        self._reader = reader
        self._way: list[tuple[bytes, int]] = [(b"", os.open(folder, _FOLDER))]
        self._hidden: set[Place] = set()
        self._implied: set[Place] = set()
        self._times: dict[Place, int] = {}
        self._is_root = os.geteuid() == 0
        self.layer = Layer()
        os.fchmod(self._way[0][1], 0o755)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for _name, file in self._way:
            os.close(file)
        self._way = []

    def put(self, entry: tar.Entry, step: Step) -> None:
        """Do what an entry says."""
        if step.warning and len(self.layer.warnings) < WARNINGS_MAX:
            self.layer.warnings.append(step.warning)
        match step.what:
            case What.FOLDER:
                self._folder(entry, step)
            case What.FILE:
                self._file(entry, step)
            case What.SYMLINK:
                above = self._room(step.place)
                os.symlink(step.target, step.place[-1], dir_fd=above)
                self._own(step.place[-1], above, entry)
                self.layer.links.append(_text(step.place))
            case What.HARD_LINK:
                self._hard_link(entry, step)
            case What.HIDE:
                self._hide(step.place)
            case What.HIDE_ALL_IN:
                self._hide_all_in(step.place)
            case What.PASS:
                pass

    def finish(self) -> None:
        """Do what is done when all entries are there."""
        for place in sorted(self._times, reverse=True):
            with contextlib.suppress(BadInput, FileNotFoundError):
                os.utime(self._reach(place), (self._times[place],) * 2)
        self.layer.implied = sorted(_text(place) for place in self._implied)

    def _folder(self, entry: tar.Entry, step: Step) -> None:
        if step.place:
            above = self._reach(step.place[:-1], makes=True)
            if not _is_folder(step.place[-1], above):
                self._clear(step.place, above)
                self._make(step.place, above)
        folder = self._reach(step.place)
        self._implied.discard(step.place)
        if self._is_root:
            os.fchown(folder, entry.uid, entry.gid)
        os.fchmod(folder, step.mode if self._is_root else step.mode | 0o700)
        self._times[step.place] = entry.mtime_s

    def _file(self, entry: tar.Entry, step: Step) -> None:
        file = os.open(step.place[-1], _FILE, 0o600, dir_fd=self._room(step.place))
        try:
            while data := self._reader.content(1 << 18):
                view = memoryview(data)
                while view:
                    view = view[os.write(file, view) :]
            if self._is_root:
                os.fchown(file, entry.uid, entry.gid)
            os.fchmod(file, step.mode)
            os.utime(file, (entry.mtime_s, entry.mtime_s))
        finally:
            os.close(file)

    def _hard_link(self, entry: tar.Entry, step: Step) -> None:
        name, source = step.place[-1], step.source
        if source == step.place:
            raise BadInput(f"{shown(entry.name)} is a hard link to itself")
        above = os.dup(self._room(step.place))
        try:
            there = self._reach(source[:-1])
            kind = os.stat(source[-1], dir_fd=there, follow_symlinks=False).st_mode
            if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
                raise BadInput(f"{shown(entry.name)} is a hard link to what is no file")
            os.link(source[-1], name, src_dir_fd=there, dst_dir_fd=above, follow_symlinks=False)
        except FileNotFoundError as error:
            raise BadInput(
                f"{shown(entry.name)} is a hard link to {shown(entry.target)}, which this layer has not"
                " had yet"
            ) from error
        finally:
            os.close(above)

    def _hide(self, place: Place) -> None:
        above = self._reach(place[:-1], makes=True)
        self._hidden.add(place)
        self.layer.hides = True
        if _is_folder(place[-1], above):
            self._hide_all_in(place)
        elif not _is_there(place[-1], above):
            os.mknod(place[-1], stat.S_IFCHR, 0, dir_fd=above)

    def _hide_all_in(self, place: Place) -> None:
        if not place:  # overlayfs does not look at the root's own attribute
            self.layer.is_opaque = True
            return
        folder = self._reach(place, makes=True)
        self.layer.hides = True
        os.setxattr(folder, OPAQUE, b"y")

    def _room(self, place: Place) -> int:
        """Return the folder for `place`, in which nothing of that name is left."""
        above = self._reach(place[:-1], makes=True)
        self._clear(place, above)
        return above

    def _clear(self, place: Place, above: int) -> None:
        try:
            kind = os.stat(place[-1], dir_fd=above, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(kind):
            shutil.rmtree(place[-1], dir_fd=above)
        else:
            os.unlink(place[-1], dir_fd=above)

    def _make(self, place: Place, above: int) -> None:
        os.mkdir(place[-1], 0o755, dir_fd=above)
        if place in self._hidden:
            # Something new in place of what lower layers have: nothing of theirs shows through.
            file = os.open(place[-1], _FOLDER, dir_fd=above)
            try:
                os.setxattr(file, OPAQUE, b"y")
            finally:
                os.close(file)

    def _reach(self, place: Place, *, makes: bool = False) -> int:
        """Return the open folder at `place`; all on the way must be folders, no links.  Raises BadInput."""
        same = 0
        while same < min(len(place), len(self._way) - 1) and self._way[same + 1][0] == place[same]:
            same += 1
        self._leave(same + 1)
        for depth in range(same, len(place)):
            above, name = self._way[-1][1], place[depth]
            here = place[: depth + 1]
            try:
                file = os.open(name, _FOLDER, dir_fd=above)
            except OSError as error:
                if not makes and error.errno == errno.ENOENT:
                    raise
                file = self._make_way(here, above, error)
            self._way.append((name, file))
        return self._way[-1][1]

    def _make_way(self, place: Place, above: int, error: OSError) -> int:
        if error.errno == errno.ENOTDIR and place in self._hidden:
            os.unlink(place[-1], dir_fd=above)
        elif error.errno != errno.ENOENT:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise BadInput(
                    f"something is to be put below {_text(place)!r}, which is a link or a file in this layer"
                ) from error
            raise error
        self._make(place, above)
        self._implied.add(place)
        return os.open(place[-1], _FOLDER, dir_fd=above)

    def _leave(self, length: int) -> None:
        while len(self._way) > length:
            os.close(self._way.pop()[1])

    def _own(self, name: bytes, above: int, entry: tar.Entry) -> None:
        if self._is_root:
            os.chown(name, entry.uid, entry.gid, dir_fd=above, follow_symlinks=False)
        os.utime(name, (entry.mtime_s,) * 2, dir_fd=above, follow_symlinks=False)


def _text(place: Place) -> str:
    return os.fsdecode(b"/".join(place))


def _is_folder(name: bytes, above: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _is_there(name: bytes, above: int) -> bool:
    try:
        os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
