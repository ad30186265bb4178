"""Which system calls a process of functions may make, and what happens when it makes another.

    ALLOW     what an interpreter needs that computes: memory, its two pipes, the time
    DATA      ALLOW, but never for memory that can be executed: no code that is not there already
    KILL      what only an attack makes: processes, signals, sockets, and the kernel's own interfaces
    (others)  fail with EPERM, an exception in Python: files, and whatever the next kernel brings

Rule 1: nothing is allowed that is not named here.
Rule 2: numbers are the kernel's, by architecture; None: the architecture has no such call.
"""

from enum import StrEnum


class Verdict(StrEnum):
    """What the kernel does with a call."""

    ALLOW = "allow"
    DATA = "allow unless executable"
    KILL = "kill"


# linux/audit.h, by what platform.machine() says.
AUDIT_ARCHITECTURES: dict[str, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name: (verdict, x86_64, aarch64); the most frequent first, as the kernel compares in this order.
SYSCALLS: dict[str, tuple[Verdict, int | None, int | None]] = {
    "read": (Verdict.ALLOW, 0, 63),
    "write": (Verdict.ALLOW, 1, 64),
    "futex": (Verdict.ALLOW, 202, 98),
    "brk": (Verdict.ALLOW, 12, 214),
    "munmap": (Verdict.ALLOW, 11, 215),
    "mremap": (Verdict.ALLOW, 25, 216),
    "madvise": (Verdict.ALLOW, 28, 233),
    "clock_gettime": (Verdict.ALLOW, 228, 113),
    "clock_getres": (Verdict.ALLOW, 229, 114),
    "gettimeofday": (Verdict.ALLOW, 96, 169),
    "time": (Verdict.ALLOW, 201, None),
    "getrandom": (Verdict.ALLOW, 318, 278),
    "getpid": (Verdict.ALLOW, 39, 172),
    "gettid": (Verdict.ALLOW, 186, 178),
    "sched_yield": (Verdict.ALLOW, 24, 124),
    "restart_syscall": (Verdict.ALLOW, 219, 128),
    "rt_sigreturn": (Verdict.ALLOW, 15, 139),
    "exit": (Verdict.ALLOW, 60, 93),
    "exit_group": (Verdict.ALLOW, 231, 94),
    "mmap": (Verdict.DATA, 9, 222),
    "mprotect": (Verdict.DATA, 10, 226),
    # Processes.
    "execve": (Verdict.KILL, 59, 221),
    "execveat": (Verdict.KILL, 322, 281),
    "fork": (Verdict.KILL, 57, None),
    "vfork": (Verdict.KILL, 58, None),
    "clone": (Verdict.KILL, 56, 220),
    "clone3": (Verdict.KILL, 435, 435),
    "ptrace": (Verdict.KILL, 101, 117),
    "process_vm_readv": (Verdict.KILL, 310, 270),
    "process_vm_writev": (Verdict.KILL, 311, 271),
    "process_madvise": (Verdict.KILL, 440, 440),
    # Signals.
    "kill": (Verdict.KILL, 62, 129),
    "tkill": (Verdict.KILL, 200, 130),
    "tgkill": (Verdict.KILL, 234, 131),
    "rt_sigqueueinfo": (Verdict.KILL, 129, 138),
    "rt_tgsigqueueinfo": (Verdict.KILL, 297, 240),
    "pidfd_send_signal": (Verdict.KILL, 424, 424),
    "pidfd_open": (Verdict.KILL, 434, 434),
    "pidfd_getfd": (Verdict.KILL, 438, 438),
    # Sockets.
    "socket": (Verdict.KILL, 41, 198),
    "socketpair": (Verdict.KILL, 53, 199),
    "bind": (Verdict.KILL, 49, 200),
    "listen": (Verdict.KILL, 50, 201),
    "accept": (Verdict.KILL, 43, 202),
    "connect": (Verdict.KILL, 42, 203),
    "sendto": (Verdict.KILL, 44, 206),
    "sendmsg": (Verdict.KILL, 46, 211),
    "recvmsg": (Verdict.KILL, 47, 212),
    # The kernel's own interfaces.
    "bpf": (Verdict.KILL, 321, 280),
    "perf_event_open": (Verdict.KILL, 298, 241),
    "userfaultfd": (Verdict.KILL, 323, 282),
    "io_uring_setup": (Verdict.KILL, 425, 425),
    "io_uring_enter": (Verdict.KILL, 426, 426),
    "io_uring_register": (Verdict.KILL, 427, 427),
    "add_key": (Verdict.KILL, 248, 217),
    "request_key": (Verdict.KILL, 249, 218),
    "keyctl": (Verdict.KILL, 250, 219),
    "unshare": (Verdict.KILL, 272, 97),
    "setns": (Verdict.KILL, 308, 268),
    "mount": (Verdict.KILL, 165, 40),
    "umount2": (Verdict.KILL, 166, 39),
    "pivot_root": (Verdict.KILL, 155, 41),
    "chroot": (Verdict.KILL, 161, 51),
    "init_module": (Verdict.KILL, 175, 105),
    "finit_module": (Verdict.KILL, 313, 273),
    "kexec_load": (Verdict.KILL, 246, 104),
    "reboot": (Verdict.KILL, 169, 142),
    "open_by_handle_at": (Verdict.KILL, 304, 265),
}


def numbers(machine: str) -> list[tuple[Verdict, int]]:
    """Return the verdicts by number for an architecture of AUDIT_ARCHITECTURES, in their order."""
    column = 1 if machine == "x86_64" else 2
    return [
        (row[0], number)
        for row in SYSCALLS.values()
        if (number := row[column]) is not None and isinstance(number, int)
    ]
