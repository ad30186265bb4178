"""The layers of an image as one root file system, read only.

    layers/<lowest> ... layers/<highest> > overlay, or a bind mount of a single one > a folder

Rule 1: mounts outlive the agent, so the kernel is the one list of them: a mount says which image it shows.
Rule 2: nothing of an image acts on the vehicle: ro, nosuid, nodev.
"""

import asyncio
import ctypes
import errno
import os
import re
from contextlib import ExitStack
from pathlib import Path

from edge_agent.services.instance import Root
from fairway.errors import BadInput, Conflict, Unavailable

# linux/mount.h
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 32, 4096
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_LOCKED = _MS_RDONLY | _MS_NOSUID | _MS_NODEV

# The options of a mount are one page; a layer takes "/proc/self/fd/" and up to six characters of it.
LAYERS_MAX = 128

_ESCAPED = re.compile(r"\\([0-7]{3})")


async def mount_root(root: Root, at: Path) -> None:
    """Show `root` at the folder `at`, which is made if need be; a mount of the same image is kept.

    Raises Unavailable when the vehicle cannot mount (no root, no overlayfs, a layer is gone), Conflict when
    something else is mounted there, BadInput when the image has no layers or too many.
    """
    await asyncio.to_thread(_mount_root, root, at)


async def unmount(at: Path) -> None:
    """Let go of what is mounted at `at`, also while it is used; nothing there is fine.  Raises Unavailable."""
    await asyncio.to_thread(_unmount, at)


def mounted() -> dict[Path, str]:
    """Return all mount points of this namespace: of ours the image's digest, of a single layer its folder."""
    points: dict[Path, str] = {}
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, source, *_) = before.split(" "), after.split(" ")
        what = source if kind == "overlay" else fields[3]
        points[Path(_plain(fields[4]))] = _plain(what)
    return points


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)


def _mount_root(root: Root, at: Path) -> None:
    if not 0 < len(root.layers) <= LAYERS_MAX:
        raise BadInput(
            f"image {root.digest} has {len(root.layers)} layers: it needs 1 to {LAYERS_MAX} to be mounted"
        )
    at = at.absolute()
    there = mounted().get(at)
    if there is not None:
        if _shows(there, root):
            return
        raise Conflict(f"{there} is mounted at {at}: unmount it before {root.digest} is mounted")
    try:
        at.mkdir(parents=True, exist_ok=True)
        if len(root.layers) == 1:
            _bind(root.layers[0], at)
        else:
            _overlay(root, at)
    except OSError as error:
        raise Unavailable(f"image {root.digest} cannot be mounted at {at}: {error}") from error


def _shows(there: str, root: Root) -> bool:
    if len(root.layers) > 1:
        return there == root.digest
    # The kernel tells a path within the file system that the layer is on.
    return there != "/" and str(root.layers[0].resolve()).endswith(there)


def _bind(layer: Path, at: Path) -> None:
    _mount(str(layer), at, "", _MS_BIND, "")
    try:
        _mount("", at, "", _MS_REMOUNT | _MS_BIND | _LOCKED, "")
    except OSError:
        _umount(at)
        raise


def _overlay(root: Root, at: Path) -> None:
    with ExitStack() as opened:
        lower = []
        for layer in reversed(root.layers):  # the highest first
            file = os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            opened.callback(os.close, file)
            # By number a layer is short whatever its path is, and has no comma or colon to escape.
            lower.append(f"/proc/self/fd/{file}")
        _mount(root.digest, at, "overlay", _LOCKED, "lowerdir=" + ":".join(lower))


def _unmount(at: Path) -> None:
    try:
        _umount(at.absolute())
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise Unavailable(f"{at} cannot be unmounted: {error}") from error


def _mount(source: str, at: Path, kind: str, flags: int, options: str) -> None:
    kernel = ctypes.CDLL(None, use_errno=True)
    words = (os.fsencode(word) for word in (source, at, kind, options))
    source_, at_, kind_, options_ = words
    _done(kernel.mount(source_, at_, kind_, ctypes.c_ulong(flags), options_))


def _umount(at: Path) -> None:
    kernel = ctypes.CDLL(None, use_errno=True)
    # Detached: a container that still runs keeps what it has, and the name is free at once.
    _done(kernel.umount2(os.fsencode(at), _MNT_DETACH | _UMOUNT_NOFOLLOW))


def _done(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
