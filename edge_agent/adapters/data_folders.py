"""Folders of data that outlive their services: whose they are, and how much may be in them.

    a file system with project quotas   the kernel holds a service to the sum of its folders' limits
    any other                           nothing does: warnings() measures, now and then (services_data.py)

Rule 1: a folder belongs to the user of its service, and nobody else may look into it.
Rule 2: which of the two it is, is asked of the kernel each time: disks are changed, and agents restarted.
Rule 3: it is measured without following links, and what vanishes meanwhile is not counted.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from edge_agent.services.instance import Instance
from fairway.errors import Unavailable

# linux/fs.h: struct fsxattr, and the flag that makes new files belong to the folder's project.
_ATTRIBUTES = struct.Struct("=5I8s")
_GET_ATTRIBUTES, _SET_ATTRIBUTES = 0x801C_581F, 0x401C_5820
_INHERIT_PROJECT = 0x200
# linux/quota.h: struct if_dqblk, in blocks of 1 KiB; quotactl_fd has one number on all architectures of ours.
_QUOTA = struct.Struct("=8QI4x")
_BLOCK_BYTES = 1024
_QUOTACTL_FD = 443
_PROJECT = 2
_GET_QUOTA, _SET_QUOTA = 0x80_0007 << 8 | _PROJECT, 0x80_0008 << 8 | _PROJECT
_LIMITS_OF_BLOCKS = 1


def make(instance: Instance) -> None:
    """Make the folders of data of an instance, and limit them where that can be done.  Raises Unavailable."""
    for folder, _ in instance.data:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _opened(folder) as file:
                os.fchown(file, instance.uid, instance.uid)
                os.fchmod(file, 0o700)
                with contextlib.suppress(OSError):
                    _limit(file, instance.uid, _max_bytes(instance))
        except OSError as error:
            raise Unavailable(f"{folder} cannot be a folder of data: {error}") from error


async def warnings(instance: Instance) -> tuple[str, ...]:
    """Return a sentence for each folder of data that is over its limit while nothing holds it."""
    return await asyncio.to_thread(_warnings, instance)


def is_limited(folder: Path, project: int) -> bool:
    """Return whether the kernel holds the files in a folder to a limit."""
    try:
        with _opened(folder) as file:
            return _quota(file, project)[0] > 0
    except OSError:
        return False


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


def _warnings(instance: Instance) -> tuple[str, ...]:
    said = []
    for folder, data in instance.data:
        used = used_bytes(folder)
        if used > data.max_bytes and not is_limited(folder, instance.uid):
            said.append(
                f"{data.path} has {used} bytes of {data.max_bytes}, and nothing here holds it to that"
            )
    return tuple(said)


def _max_bytes(instance: Instance) -> int:
    return sum(data.max_bytes for _, data in instance.data)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


def _limit(file: int, project: int, max_bytes: int) -> None:
    """Let a project, one for each service, own a folder.  Raises OSError where there are no such quotas."""
    attributes = bytearray(_ATTRIBUTES.size)
    fcntl.ioctl(file, _GET_ATTRIBUTES, attributes)
    flags, extent, extents, _, copies, rest = _ATTRIBUTES.unpack(attributes)
    owned = (flags | _INHERIT_PROJECT, extent, extents, project, copies, rest)
    fcntl.ioctl(file, _SET_ATTRIBUTES, _ATTRIBUTES.pack(*owned))
    blocks = -(-max_bytes // _BLOCK_BYTES)
    asked = _QUOTA.pack(blocks, blocks, 0, 0, 0, 0, 0, 0, _LIMITS_OF_BLOCKS)
    _quotactl(file, _SET_QUOTA, project, bytearray(asked))


def _quota(file: int, project: int) -> tuple[int, ...]:
    said = bytearray(_QUOTA.size)
    _quotactl(file, _GET_QUOTA, project, said)
    return _QUOTA.unpack(said)


def _quotactl(file: int, command: int, project: int, about: bytearray) -> None:
    kernel = ctypes.CDLL(None, use_errno=True)
    place = (ctypes.c_char * len(about)).from_buffer(about)
    words = (_QUOTACTL_FD, file, command, project)
    if kernel.syscall(*(ctypes.c_long(word) for word in words), place) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
