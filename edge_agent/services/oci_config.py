"""An instance as the configuration of an OCI bundle: what it gets, and with that what it cannot do.

    Instance + Vehicle > config.json         skeleton(): the folders in which it is mounted together

Rule 1: the same configuration for every service: what differs is in its manifest.
Rule 2: no capabilities, no new privileges, a root that is read only, and system calls by list: always.
Rule 3: paths of a manifest lead into the container's own folders, never over what the container stands on.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from edge_agent.services.instance import SOCKETS, Instance
from edge_agent.services.seccomp_profile import profile
from fairway.errors import BadInput
from fairway.services.model import MIB, Data, Network

CPU_PERIOD_US = 100_000
# The kernel takes no quota below a millisecond.
_CPU_QUOTA_MIN_US = 1_000
# Of one core, against other services that want more than there is.
_CPU_SHARES_PER_CORE = 1024
# A kernel that runs short of memory ends services before the vehicle's own programs.
_OOM_SCORE = 500
_SHARED_MEMORY_MAX_BYTES = 16 * MIB
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

# What a folder of persistent data may be neither in, nor above.
_TAKEN = (
    "/dev",
    "/etc",
    "/proc",
    "/run/ecu",
    "/sys",
    "/tmp",  # noqa: S108
    "/bin",
    "/lib",
    "/lib64",
    "/sbin",
    "/usr",
)
_MOUNT_POINTS = ("dev", "proc", "sys", "tmp", SOCKETS[1:])
# Files of the vehicle that a service on the vehicle's own network needs to find others.
NAMES_OF_OTHERS = ("/etc/hosts", "/etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class Vehicle:
    """What the machine is like; the adapter has looked."""

    machine: str = "x86_64"
    group: str = "/fairway"  # the control group that is the parent of all
    limits_swap: bool = True  # the kernel counts swap, too
    has_cgroup_namespaces: bool = True
    files_hard_max: int = 1024  # open files that this process may grant
    oom_score: int = 0  # of the agent itself: nobody may go below
    names: tuple[str, ...] = ()  # of NAMES_OF_OTHERS, what there is


def config(instance: Instance, vehicle: Vehicle, *, root: str) -> dict[str, Any]:
    """Return the config.json of `instance`, whose image is mounted at `root`.

    Raises BadInput for a manifest that can never run, Unavailable for a machine without a list of calls.
    """
    service = instance.service
    return {
        "ociVersion": "1.0.2",
        "hostname": service.name,
        "root": {"path": root, "readonly": True},
        "process": _process(instance, vehicle),
        "mounts": _mounts(instance, vehicle),
        "linux": {
            "cgroupsPath": f"{vehicle.group}/{instance.id}",
            "namespaces": _namespaces(instance, vehicle),
            "resources": _resources(instance, vehicle),
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READ_ONLY),
            "seccomp": profile(vehicle.machine),
        },
        "annotations": {"fairway.service": service.name, "fairway.version": service.version},
    }


def skeleton(instance: Instance, vehicle: Vehicle) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the folders, and the files with their text, that lie over the image so that all can be mounted.

    They are relative to the root.  A link of the image cannot lead a mount elsewhere: these lie over it.
    """
    folders = (*_MOUNT_POINTS, *(_inside(data)[1:] for _, data in instance.data))
    if instance.service.network is Network.HOST:
        return folders, {name[1:]: "" for name in vehicle.names}
    return folders, {"etc/hosts": f"127.0.0.1 localhost {instance.service.name}\n::1 localhost\n"}


def _process(instance: Instance, vehicle: Vehicle) -> dict[str, Any]:
    resources = instance.service.resources
    files_max = min(resources.files_max, vehicle.files_hard_max)
    # No single file is larger than all that the service may have of anything: a log that never ends.
    sizes = (data.max_bytes for _, data in instance.data)
    file_max_bytes = max(resources.memory_max_bytes, resources.tmp_max_bytes, *sizes)
    nothing: list[str] = []
    kinds = ("bounding", "effective", "inheritable", "permitted", "ambient")
    return {
        "terminal": False,
        "user": {"uid": instance.uid, "gid": instance.uid},
        "cwd": _folder(instance),
        "args": _argv(instance),
        "env": _environment(instance),
        "noNewPrivileges": True,
        "oomScoreAdj": max(_OOM_SCORE, vehicle.oom_score),
        "capabilities": dict.fromkeys(kinds, nothing),
        "rlimits": [
            {"type": "RLIMIT_NOFILE", "hard": files_max, "soft": files_max},
            {"type": "RLIMIT_CORE", "hard": 0, "soft": 0},
            {"type": "RLIMIT_FSIZE", "hard": file_max_bytes, "soft": file_max_bytes},
        ],
    }


def _argv(instance: Instance) -> list[str]:
    argv = list(instance.argv)
    if not argv or not argv[0]:
        raise BadInput(f"{instance.id}: neither its manifest nor its image says what is run")
    for word in argv:
        _no_nul(instance, word)
    return argv


def _folder(instance: Instance) -> str:
    folder = instance.root.settings.folder if instance.root else "/"
    _no_nul(instance, folder)
    return folder if folder.startswith("/") else "/"


def _environment(instance: Instance) -> list[str]:
    image = instance.root.settings.environment if instance.root else ()
    values = {"PATH": _PATH, "HOME": "/tmp"}  # noqa: S108 - the only folder that every service may write
    values |= dict(image) | dict(instance.service.environment) | dict(instance.environment)
    for name, value in values.items():
        if not name or "=" in name:
            raise BadInput(f"{instance.id}: {name[:80]!r} is no name of an environment variable")
        _no_nul(instance, name + value)
    return [f"{name}={value}" for name, value in values.items()]


def _no_nul(instance: Instance, text: str) -> None:
    if "\0" in text:
        raise BadInput(f"{instance.id}: there is a zero byte in {text[:80]!r}")


def _mounts(instance: Instance, vehicle: Vehicle) -> list[dict[str, Any]]:
    locked = ["nosuid", "noexec", "nodev"]
    tmp_max_bytes = instance.service.resources.tmp_max_bytes
    shared_max_bytes = min(instance.service.resources.memory_max_bytes, _SHARED_MEMORY_MAX_BYTES)
    mounts = [
        _mount("/proc", "proc", locked),
        _mount("/dev", "tmpfs", ["nosuid", "noexec", "strictatime", "mode=755", "size=64k"]),
        _mount("/dev/shm", "tmpfs", [*locked, "mode=1777", f"size={shared_max_bytes}"]),  # noqa: S108
        _mount("/tmp", "tmpfs", [*locked, "mode=1777", f"size={tmp_max_bytes}"]),  # noqa: S108
        _mount("/sys", "sysfs", [*locked, "ro"]),
        _bind(str(instance.sockets), SOCKETS, ["rw", *locked]),
    ]
    mounts += [_bind(str(place), _inside(data), ["rw", *locked]) for place, data in instance.data]
    if instance.service.network is Network.HOST:
        mounts += [_bind(name, name, ["ro", *locked]) for name in vehicle.names]
    return mounts


def _mount(where: str, kind: str, options: list[str]) -> dict[str, Any]:
    return {"destination": where, "type": kind, "source": kind, "options": options}


def _bind(source: str, where: str, options: list[str]) -> dict[str, Any]:
    # Not recursive, and nothing that is mounted there later shows inside.
    return {
        "destination": where,
        "type": "bind",
        "source": source,
        "options": ["bind", "private", *options],
    }


def _inside(data: Data) -> str:
    """Return where a folder of data is inside.  Raises BadInput for a place that the container stands on."""
    path = PurePosixPath(data.path)
    # Two slashes at the start are a root of their own, for POSIX and for pathlib.
    is_plain = path.root == "/" and len(path.parts) > 1
    is_plain = is_plain and ".." not in path.parts and "\0" not in data.path
    if not is_plain or any(_overlap(path, PurePosixPath(taken)) for taken in _TAKEN):
        raise BadInput(f"data at {data.path[:80]!r}: give it a folder of its own, such as /data")
    return str(path)


def _overlap(one: PurePosixPath, other: PurePosixPath) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _namespaces(instance: Instance, vehicle: Vehicle) -> list[dict[str, str]]:
    kinds = ["pid", "ipc", "uts", "mount"]
    if instance.service.network is Network.NONE:
        kinds.append("network")
    if vehicle.has_cgroup_namespaces:
        kinds.append("cgroup")
    return [{"type": kind} for kind in kinds]


def _resources(instance: Instance, vehicle: Vehicle) -> dict[str, Any]:
    resources = instance.service.resources
    memory = {"limit": resources.memory_max_bytes}
    if vehicle.limits_swap:
        memory["swap"] = resources.memory_max_bytes  # memory and swap together: none of it is swap
    quota_us = max(_CPU_QUOTA_MIN_US, round(resources.cpu_max * CPU_PERIOD_US))
    shares = max(2, round(resources.cpu_max * _CPU_SHARES_PER_CORE))
    return {
        "devices": [{"allow": False, "access": "rwm"}],
        "memory": memory,
        "cpu": {"quota": quota_us, "period": CPU_PERIOD_US, "shares": shares},
        "pids": {"limit": resources.pids_max},
    }
