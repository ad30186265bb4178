"""The filter does with every system call what the policy says, on both architectures."""

import struct

import pytest

from edge_agent.functions import seccomp
from edge_agent.functions.syscalls import AUDIT_ARCHITECTURES, SYSCALLS, Verdict, numbers
from fairway.errors import Unavailable

MACHINES = list(AUDIT_ARCHITECTURES)
ALLOWED, KILLED, REFUSED = seccomp.ALLOWED, seccomp.KILL_PROCESS, seccomp.FAILS_WITH_EPERM


def verdict(program: bytes, number: int, architecture: int, arguments: tuple[int, ...] = ()) -> int:
    """Run the program as the kernel does, over struct seccomp_data."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("<iIQ6Q", number, architecture, 0, *padded)
    steps = list(struct.iter_unpack("<HBBI", program))
    at, accumulator = 0, 0
    while True:
        code, if_true, if_false, operand = steps[at]
        at += 1
        if code == seccomp.RETURN:
            return int(operand)
        if code == seccomp.LOAD_WORD:
            (accumulator,) = struct.unpack_from("<I", data, operand)
            continue
        holds = {
            seccomp.JUMP_EQUAL: accumulator == operand,
            seccomp.JUMP_AT_LEAST: accumulator >= operand,
            seccomp.JUMP_ANY_BIT: bool(accumulator & operand),
        }[code]
        at += if_true if holds else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_every_call_of_the_table_has_its_verdict_and_every_other_is_refused(machine: str):
    program, architecture = seccomp.program(machine), AUDIT_ARCHITECTURES[machine]
    expected = {
        number: KILLED if kind is Verdict.KILL else ALLOWED for kind, number in numbers(machine)
    }

    found = {number: verdict(program, number, architecture) for number in range(600)}

    assert found == {number: expected.get(number, REFUSED) for number in range(600)}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ["mmap", "mprotect"])
def test_memory_may_be_had_but_not_executed(machine: str, name: str):
    program, architecture = seccomp.program(machine), AUDIT_ARCHITECTURES[machine]
    number = SYSCALLS[name][1 if machine == "x86_64" else 2]
    assert isinstance(number, int)

    def with_protection(bits: int) -> int:
        return verdict(program, number, architecture, (0, 4096, bits))

    assert [with_protection(bits) for bits in range(4)] == [ALLOWED] * 4
    assert [with_protection(bits) for bits in range(4, 8)] == [REFUSED] * 4


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_of_another_architecture_are_killed(machine: str):
    program = seccomp.program(machine)

    assert verdict(program, 0, 0x4000_0003) == KILLED  # 32-bit x86, whose numbers mean other calls
    assert verdict(program, 63, 0x4000_0028) == KILLED


def test_the_second_numbering_of_x86_64_is_no_way_around():
    program = seccomp.program("x86_64")

    assert verdict(program, 0x4000_0000 | 1, AUDIT_ARCHITECTURES["x86_64"]) == KILLED


@pytest.mark.parametrize("machine", MACHINES)
def test_a_call_stands_once_in_the_table(machine: str):
    known = [number for _, number in numbers(machine)]

    assert len(known) == len(set(known))


def test_an_architecture_without_a_table_is_said():
    with pytest.raises(Unavailable, match="no system-call table for riscv64"):
        seccomp.program("riscv64")
