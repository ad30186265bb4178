"""The system calls of seccomp_calls.py as the `linux.seccomp` of an OCI runtime configuration.

Rule 1: one architecture: each further one costs start time, and is a way around.
Rule 2: a call fails, it does not kill: C libraries and interpreters ask for what is new and go on without.
"""

import errno
from typing import Any

from edge_agent.services.seccomp_calls import (
    ALLOWED,
    CLONE_NEW,
    LEGACY,
    PERSONALITIES,
    REFUSED,
    SOCKET_FAMILIES,
)
from fairway.errors import Unavailable

_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
_ALLOW = "SCMP_ACT_ALLOW"
_FAIL = "SCMP_ACT_ERRNO"


def profile(machine: str) -> dict[str, Any]:
    """Return the profile for the architecture that platform.machine() names.  Raises Unavailable."""
    architecture = _ARCHITECTURES.get(machine)
    if architecture is None:
        raise Unavailable(f"there is no list of system calls for {machine}")
    return {
        "defaultAction": _FAIL,
        "defaultErrnoRet": errno.ENOSYS,
        "architectures": [architecture],
        "syscalls": [
            {"names": sorted(ALLOWED | LEGACY[machine]), "action": _ALLOW},
            _refused(sorted(REFUSED), errno.EPERM),
            _refused(["clone3"], errno.ENOSYS),
            *_clone(),
            *_sockets(),
            *(
                {"names": ["personality"], "action": _ALLOW, "args": [_equal(0, value)]}
                for value in PERSONALITIES
            ),
        ],
    }


def _refused(names: list[str], number: int) -> dict[str, Any]:
    return {"names": names, "action": _FAIL, "errnoRet": number}


def _clone() -> list[dict[str, Any]]:
    allowed = _allowed("clone", _masked(sum(CLONE_NEW), 0))
    refused = _refused(["clone"], errno.EPERM)
    return [allowed, *(refused | {"args": [_masked(flag, flag)]} for flag in CLONE_NEW)]


def _sockets() -> list[dict[str, Any]]:
    beyond = {"index": 0, "value": max(SOCKET_FAMILIES), "op": "SCMP_CMP_GT"}
    refused = _refused(["socket"], errno.EAFNOSUPPORT) | {"args": [beyond]}
    return [*(_allowed("socket", _equal(0, family)) for family in SOCKET_FAMILIES), refused]


def _allowed(name: str, argument: dict[str, Any]) -> dict[str, Any]:
    return {"names": [name], "action": _ALLOW, "args": [argument]}


def _masked(mask: int, value: int) -> dict[str, Any]:
    return {"index": 0, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _equal(index: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}
