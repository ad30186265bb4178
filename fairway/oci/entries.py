"""What an entry of a layer may be called, and what it means.

    Entry > Step: put a folder, file or link at a place, hide what lower layers have there, or pass over it

Rule 1: a name leads down from the root of the image, never up, and never out of it.
Rule 2: what has a meaning to the kernel of the vehicle is not taken from an image: devices, FIFOs and sockets
        are refused, set-user-id bits and extended attributes are dropped with a warning.  Base images of all
        distributions have such bits; no-new-privileges and nosuid make them useless to a service, so refusing
        would cost much and bring nothing, while kept they would be a way to root for users of the vehicle.
"""

from dataclasses import dataclass
from enum import Enum

from fairway.errors import BadInput
from fairway.oci.tar import Entry, Kind

PATH_MAX_BYTES = 4095  # linux/limits.h
NAME_MAX_BYTES = 255
DEPTH_MAX = 100
OWNER_MAX = (1 << 32) - 2  # one more means nobody to the kernel

_HIDES = b".wh."
_OPAQUE = b".wh..wh..opq"
_AUFS = b".wh..wh."  # notes of a file system of old, which mean nothing here

Place = tuple[bytes, ...]  # names from the root of the image down; () is the root


class What(Enum):
    """What is to be done for an entry."""

    FOLDER = "folder"
    FILE = "file"
    SYMLINK = "symlink"
    HARD_LINK = "hard link"
    HIDE = "hide"  # what lower layers have at the place
    HIDE_ALL_IN = "hide all in"  # the folder at the place
    PASS = "pass"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True)
class Step:
    """One entry, understood."""

    what: What
    place: Place
    target: bytes = b""  # of a symbolic link, as it is written
    source: Place = ()  # of a hard link
    mode: int = 0
    warning: str = ""


def understood(entry: Entry) -> Step:
    """Say what `entry` means.  Raises BadInput."""
    place = place_of(entry.name)
    name = place[-1] if place else b""
    if name.startswith(_HIDES):
        return _hiding(entry, place)
    if entry.kind in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE, Kind.FIFO):
        kind = entry.kind.name.lower().replace("_", " ")
        raise BadInput(
            f"{shown(entry.name)} is a {kind}: an image has folders, files and links only"
        )
    if not place and entry.kind is not Kind.FOLDER:
        raise BadInput(f"{shown(entry.name)} would replace the root of the image")
    if max(entry.uid, entry.gid) > OWNER_MAX:
        raise BadInput(f"{shown(entry.name)} belongs to {entry.uid}:{entry.gid}, who cannot be")
    mode, warning = _mode(entry)
    match entry.kind:
        case Kind.FOLDER:
            return Step(What.FOLDER, place, mode=mode, warning=warning)
        case Kind.SYMLINK:
            return Step(What.SYMLINK, place, target=_symlink_target(entry, place))
        case Kind.HARD_LINK:
            return Step(What.HARD_LINK, place, source=_link_source(entry))
        case _:
            return Step(What.FILE, place, mode=mode, warning=warning)


def place_of(name: bytes) -> Place:
    """Return where a name leads from the root of the image.  Raises BadInput."""
    if not name or len(name) > PATH_MAX_BYTES:
        raise BadInput(
            f"a name in a layer has {len(name)} bytes: 1 to {PATH_MAX_BYTES} are possible"
        )
    if name.startswith(b"/"):
        raise BadInput(f"{shown(name)} begins with /: names in a layer lead down from its root")
    if b"\0" in name:
        raise BadInput(f"{shown(name)} has a NUL in it")
    place = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    if b".." in place:
        raise BadInput(f"{shown(name)} leads up with ..: names in a layer lead down from its root")
    if len(place) > DEPTH_MAX:
        raise BadInput(f"{shown(name)} is {len(place)} folders deep: {DEPTH_MAX} are allowed")
    if any(len(part) > NAME_MAX_BYTES for part in place):
        raise BadInput(f"{shown(name)} has a part of more than {NAME_MAX_BYTES} bytes")
    if any(part.startswith(_HIDES) for part in place[:-1]):
        raise BadInput(f"{shown(name)} is below a name that hides another: it can be nowhere")
    return place


def shown(name: bytes) -> str:
    """Return a name for people, whatever bytes it has."""
    text = repr(name[:160])[1:]
    return text if len(name) <= 160 else text + "..."


def _hiding(entry: Entry, place: Place) -> Step:
    if entry.kind is not Kind.FILE or entry.size_bytes:
        raise BadInput(
            f"{shown(entry.name)} hides a name of lower layers: it must be an empty file"
        )
    name = place[-1]
    if name == _OPAQUE:
        return Step(What.HIDE_ALL_IN, place[:-1])
    if name.startswith(_AUFS):
        return Step(What.PASS, place)
    hidden = name.removeprefix(_HIDES)
    if hidden in (b"", b".", b".."):
        raise BadInput(f"{shown(entry.name)} hides {shown(hidden)}, which is no name")
    return Step(What.HIDE, (*place[:-1], hidden))


def _mode(entry: Entry) -> tuple[int, str]:
    dropped = []
    if entry.mode & 0o4000 and entry.kind is Kind.FILE:
        dropped.append("its set-user-id bit")
    if entry.mode & 0o2000 and entry.kind is Kind.FILE:
        dropped.append("its set-group-id bit")
    if b"security.capability" in entry.attributes:
        dropped.append("its capabilities")
    keeps = 0o1777 if entry.kind is Kind.FOLDER else 0o777
    warning = f"{shown(entry.name)} lost {' and '.join(dropped)}" if dropped else ""
    return entry.mode & keeps, warning


def _symlink_target(entry: Entry, place: Place) -> bytes:
    target = entry.target
    if not 0 < len(target) <= PATH_MAX_BYTES or b"\0" in target:
        raise BadInput(f"{shown(entry.name)} is a link to a name of {len(target)} bytes")
    # An absolute target means the root of the image: that is where it is followed, and nowhere else.
    depth = 0 if target.startswith(b"/") else len(place) - 1
    for part in target.split(b"/"):
        depth += {b"..": -1, b".": 0, b"": 0}.get(part, 1)
        if depth < 0:
            raise BadInput(
                f"{shown(entry.name)} is a link to {shown(target)}, which leads out of the image"
            )
    return target


def _link_source(entry: Entry) -> Place:
    try:
        source = place_of(entry.target)
    except BadInput as error:
        raise BadInput(f"{shown(entry.name)} is a hard link, and {error}") from error
    if not source or source[-1].startswith(_HIDES):
        raise BadInput(
            f"{shown(entry.name)} is a hard link to {shown(entry.target)}, which is no file"
        )
    return source
