"""A process of functions puts itself behind walls that it cannot climb again.

    not root any more > no network, no files > no rights > no system calls but those of the policy

Rule 1: it runs inside the process, before any foreign code, and needs the standard library alone.
Rule 2: a wall that cannot be raised is told with its reason; the agent decides whether that is enough.
Rule 3: the order matters: each step needs what a later one takes away.
"""

import ctypes
import os
import platform
import resource
from collections.abc import Callable
from pathlib import Path

from edge_agent.functions import seccomp
from edge_agent.functions.walls import Wall
from fairway.errors import Unavailable

# linux/sched.h, linux/mount.h, linux/prctl.h, linux/seccomp.h, linux/landlock.h, linux/capability.h
_NEW_NAMESPACES = 0x0002_0000 | 0x0400_0000 | 0x0800_0000 | 0x4000_0000  # mounts, UTS, IPC, network
_NEW_USER = 0x1000_0000
_MS_PRIVATE_ALL = 0x4000 | 0x4_0000
_MS_LOCKED_DOWN = 1 | 2 | 4 | 8  # read only, no set-user-id, no devices, no programs
_MNT_DETACH = 2
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same everywhere
_LANDLOCK_VERSION_FLAG = 1
_CAPABILITY_VERSION_3 = 0x2008_0522
_NOBODY = 65_534

# Directories of which any Linux system has one to mount over.
_MOUNT_POINTS = ("/tmp", "/run", "/dev", "/proc")  # noqa: S108 - nothing is written there

# What landlock's versions can refuse: file rights, TCP bind and connect, abstract sockets and signals.
_LANDLOCK_FS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_LANDLOCK_NET = {4: 0b11}
_LANDLOCK_SCOPES = {6: 0b11}

# Before the agent has looked: imports and the first calls; it grants more as it is used.
CPU_FIRST_S = 3


def enclose(memory_max_bytes: int, nice: int) -> dict[str, str]:
    """Raise every wall there is; return, by wall, why it does not stand ("" when it does)."""
    kernel = ctypes.CDLL(None, use_errno=True)
    os.nice(nice)
    walls: dict[str, str] = {}
    mapped_bytes = _mapped_bytes()  # now: /proc is gone when the limits are set
    _leave(kernel, walls)
    walls[Wall.CAPABILITIES] = _tried(lambda: _drop_rights(kernel))
    walls[Wall.LANDLOCK] = _tried(lambda: _landlock(kernel))
    walls[Wall.LIMITS] = _tried(lambda: _limits(mapped_bytes, memory_max_bytes))
    walls[Wall.SECCOMP] = _tried(lambda: _seccomp(kernel))
    return walls


def _tried(step: Callable[[], object]) -> str:
    try:
        step()
    except (OSError, ValueError, AttributeError, Unavailable) as error:
        return str(error)
    return ""


def _done(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _mapped_bytes() -> int:
    """Return what is mapped: Python itself.  0: nobody knows."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def _limits(mapped_bytes: int, memory_max_bytes: int) -> None:
    if not mapped_bytes:
        raise OSError("/proc does not say how much memory Python itself takes")
    memory_bytes = mapped_bytes + memory_max_bytes
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    for kind in (
        resource.RLIMIT_CORE,
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_NPROC,
        resource.RLIMIT_NOFILE,
    ):
        resource.setrlimit(kind, (0, 0))
    # The soft limit alone: the agent raises it while the process behaves.
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_FIRST_S, hard))


def _leave(kernel: ctypes.CDLL, walls: dict[str, str]) -> None:
    """Leave the machine's network, mounts and files, and root's rights."""
    if os.geteuid() != 0:
        walls[Wall.USER] = ""
        _namespaces(kernel, walls, _NEW_NAMESPACES | _NEW_USER)
        return
    # Root needs no user namespace, which some systems forbid; root of a container may need one.
    _namespaces(kernel, walls, _NEW_NAMESPACES)
    walls[Wall.USER] = _tried(_become_nobody)
    if walls[Wall.NAMESPACES]:
        _namespaces(kernel, walls, _NEW_NAMESPACES | _NEW_USER)


def _namespaces(kernel: ctypes.CDLL, walls: dict[str, str], flags: int) -> None:
    walls[Wall.NAMESPACES] = _tried(lambda: _done(kernel.unshare(flags), "unshare"))
    walls[Wall.EMPTY_ROOT] = walls[Wall.NAMESPACES] or _tried(lambda: _empty_root(kernel))


def _empty_root(kernel: ctypes.CDLL) -> None:
    # Mounts of ours must not show outside.
    _done(kernel.mount(b"none", b"/", None, _MS_PRIVATE_ALL, None), "mount")
    place = next((path for path in _MOUNT_POINTS if Path(path).is_dir()), "/")
    mounted = kernel.mount(b"none", place.encode(), b"tmpfs", _MS_LOCKED_DOWN, b"size=4k,mode=555")
    _done(mounted, "mount tmpfs")
    os.chdir(place)
    pivot = _PIVOT_ROOT.get(platform.machine())
    if pivot is None or kernel.syscall(pivot, b".", b".") < 0:
        os.chroot(".")  # a root that is the boot loader's RAM disk cannot be pivoted away
    else:
        _done(kernel.umount2(b".", _MNT_DETACH), "umount")
    os.chdir("/")


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _drop_rights(kernel: ctypes.CDLL) -> None:
    _done(kernel.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _done(kernel.capset(header, (ctypes.c_uint32 * 6)()), "capset")
    # Nobody may trace it, and nothing of it can be read through /proc.
    _done(kernel.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")


def _landlock(kernel: ctypes.CDLL) -> None:
    version = _done(kernel.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION_FLAG), "landlock")
    rights = [_newest(table, version) for table in (_LANDLOCK_FS, _LANDLOCK_NET, _LANDLOCK_SCOPES)]
    attribute = (ctypes.c_uint64 * 3)(*rights)
    # Older kernels take the shorter structure of their time.
    size = 8 * (1 if version < 4 else 2 if version < 6 else 3)
    rules = kernel.syscall(_LANDLOCK_CREATE, attribute, size, 0)
    _done(rules, "landlock")
    _done(kernel.syscall(_LANDLOCK_RESTRICT, rules, 0), "landlock")
    os.close(rules)


def _newest(table: dict[int, int], version: int) -> int:
    return next((table[known] for known in sorted(table, reverse=True) if known <= version), 0)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def _seccomp(kernel: ctypes.CDLL) -> None:
    steps = seccomp.program(platform.machine())
    program = _Program(len(steps) // 8, steps)
    set_filter = kernel.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    _done(set_filter, "seccomp")
