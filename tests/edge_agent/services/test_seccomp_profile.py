"""Which system calls a service may make."""

import errno

import pytest

from edge_agent.functions.syscalls import SYSCALLS, Verdict
from edge_agent.services.seccomp_calls import ALLOWED, CLONE_NEW, LEGACY, REFUSED
from edge_agent.services.seccomp_profile import profile
from fairway.errors import Unavailable

MACHINES = ("x86_64", "aarch64")


@pytest.mark.parametrize("machine", MACHINES)
def test_no_call_is_both_allowed_and_refused(machine: str):
    allowed = ALLOWED | LEGACY[machine]

    assert not allowed & REFUSED
    assert not allowed & {
        "clone",
        "clone3",
        "socket",
        "personality",
    }  # these have rules of their own


@pytest.mark.parametrize("machine", MACHINES)
def test_a_profile_is_for_one_architecture_and_refuses_what_it_does_not_know(machine: str):
    made = profile(machine)

    assert made["architectures"] == [f"SCMP_ARCH_{machine.upper()}"]
    assert (made["defaultAction"], made["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", errno.ENOSYS)


def test_every_call_that_an_attack_needs_is_refused():
    # What a process of functions is killed for, other than what any program does.
    attacks = {name for name, row in SYSCALLS.items() if row[0] is Verdict.KILL}
    programs_do = ALLOWED | LEGACY["x86_64"] | {"clone", "clone3", "socket"}

    assert attacks - programs_do <= REFUSED


DANGEROUS = """
    mount umount2 unshare setns pivot_root chroot keyctl add_key request_key bpf perf_event_open
    userfaultfd ptrace process_vm_readv process_vm_writev name_to_handle_at open_by_handle_at mount_setattr
    move_mount open_tree fsopen fsmount fsconfig fspick io_uring_setup io_uring_enter io_uring_register
    swapon kexec_load syslog vhangup init_module finit_module delete_module reboot settimeofday
"""


@pytest.mark.parametrize("name", DANGEROUS.split())
def test_a_dangerous_call_fails_with_eperm(name: str):
    rule = next(rule for rule in profile("aarch64")["syscalls"] if name in rule["names"])

    assert (rule["action"], rule["errnoRet"]) == ("SCMP_ACT_ERRNO", errno.EPERM)
    assert "args" not in rule


def test_clone_makes_no_namespace_and_clone3_makes_a_library_use_clone():
    rules = [rule for rule in profile("x86_64")["syscalls"] if rule["names"] == ["clone"]]
    allowed, *refused = rules
    (clone3,) = [rule for rule in profile("x86_64")["syscalls"] if rule["names"] == ["clone3"]]

    assert allowed["args"] == [
        {"index": 0, "value": 0x7E02_0000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    ]
    assert [rule["args"][0]["value"] for rule in refused] == list(CLONE_NEW)
    assert {rule["errnoRet"] for rule in refused} == {errno.EPERM}
    assert clone3["errnoRet"] == errno.ENOSYS


def test_a_machine_without_a_list_runs_nothing():
    with pytest.raises(Unavailable, match="riscv64"):
        profile("riscv64")
