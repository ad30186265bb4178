"""The policy of syscalls.py as the program that the kernel runs before each system call.

    architecture another? > kill       number in the table? > its verdict       else > EPERM

Rule 1: a program is classic BPF over struct seccomp_data: number (0), architecture (4), arguments (16 ..).
Rule 2: jumps only go to the next instructions: each verdict is a comparison and its own return, so that no
        table is too long for a jump of 8 bits.
"""

import struct

from edge_agent.functions.syscalls import AUDIT_ARCHITECTURES, Verdict, numbers
from fairway.errors import Unavailable

# linux/bpf_common.h and linux/seccomp.h
LOAD_WORD = 0x20
JUMP_EQUAL = 0x15
JUMP_AT_LEAST = 0x35
JUMP_ANY_BIT = 0x45
RETURN = 0x06
KILL_PROCESS = 0x8000_0000
ALLOWED = 0x7FFF_0000
FAILS_WITH_EPERM = 0x0005_0001

_NUMBER_OFFSET = 0
_ARCHITECTURE_OFFSET = 4
# The low half of the third argument: `prot` of mmap and mprotect (both architectures are little-endian).
_PROT_OFFSET = 32
_PROT_EXEC = 4
# x86-64 kernels take the numbers of the x32 ABI with this bit, and would not find them in the table.
_X32_BIT = 0x4000_0000

_ACTIONS = {Verdict.ALLOW: ALLOWED, Verdict.KILL: KILL_PROCESS}


def program(machine: str) -> bytes:
    """Return the filter for the architecture that platform.machine() names.  Raises Unavailable."""
    architecture = AUDIT_ARCHITECTURES.get(machine)
    if architecture is None:
        raise Unavailable(f"there is no system-call table for {machine}")
    steps = [
        _step(LOAD_WORD, _ARCHITECTURE_OFFSET),
        _step(JUMP_EQUAL, architecture, if_true=1),
        _step(RETURN, KILL_PROCESS),
        _step(LOAD_WORD, _NUMBER_OFFSET),
        _step(JUMP_AT_LEAST, _X32_BIT, if_false=1),
        _step(RETURN, KILL_PROCESS),
    ]
    for verdict, number in numbers(machine):
        steps += _data(number) if verdict is Verdict.DATA else _plain(number, _ACTIONS[verdict])
    steps.append(_step(RETURN, FAILS_WITH_EPERM))
    return b"".join(steps)


def _plain(number: int, action: int) -> list[bytes]:
    return [_step(JUMP_EQUAL, number, if_false=1), _step(RETURN, action)]


def _data(number: int) -> list[bytes]:
    return [
        _step(JUMP_EQUAL, number, if_false=4),
        _step(LOAD_WORD, _PROT_OFFSET),
        _step(JUMP_ANY_BIT, _PROT_EXEC, if_false=1),
        _step(RETURN, FAILS_WITH_EPERM),
        _step(RETURN, ALLOWED),
    ]


def _step(code: int, operand: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, operand)
