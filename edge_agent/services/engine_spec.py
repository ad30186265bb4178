"""An instance as the Docker Engine API wants it: the body of POST /containers/create.

    Instance + Engine (which, whose, its list of system calls)  >  body

Rule 1: everything that a service must not have is said, whatever an engine's defaults are.
Rule 2: folders are mounted by their own fields, not by "from:to" texts: a path with a colon stays a path.
Rule 3: the engine restarts nothing: the supervisor decides.
"""

import json
from dataclasses import dataclass
from typing import Any

from edge_agent.services.instance import SOCKETS, Instance
from fairway.errors import BadInput
from fairway.services.model import Network

AGENT_LABEL, INSTANCE_LABEL = "fairway.agent", "fairway.instance"
_CPU_PERIOD_US = 100_000
_CPU_QUOTA_MIN_US = 1_000
# Podman and Docker refuse a memory limit below this.
MEMORY_MIN_BYTES = 6 * 1024 * 1024
# Of one user, whose services PidsLimit limits more tightly; Podman would else ask for more than it may give.
_USER_PROCESSES_MIN = 4096
# A machine that runs short of memory ends services before the agent.
_OOM_SCORE = 500
_SHARED_MEMORY_MAX_BYTES = 16 * 1024 * 1024
# What an engine keeps of the logs until the agent has read them.
_LOG = {"Type": "json-file", "Config": {"max-size": "4m"}}


@dataclass(frozen=True, slots=True)
class Engine:
    """Which engine it is, and for whom it works."""

    agent: str  # two agents at one engine do not see each other's containers
    is_podman: bool
    seccomp: str  # the list of system calls as JSON; Podman reads it from `seccomp_file` itself
    seccomp_file: str = ""


def image_name(digest: str) -> str:
    """Return how an image is called in the engine: by the digest of its manifest."""
    return f"localhost/fairway:{digest.removeprefix('sha256:')}"


def container_name(agent: str, id_: str) -> str:
    """Return how the container of an instance is called."""
    return f"fairway-{agent}-{id_}"


def body(instance: Instance, engine: Engine) -> dict[str, Any]:
    """Return what creates the container of an instance.  Raises BadInput for one that never can run."""
    service, root = instance.service, instance.root
    if root is None:
        raise BadInput(f"{service.name} has no image: an engine runs nothing else")
    if not instance.argv:
        raise BadInput(f"{service.name}: neither its manifest nor its image says what is run")
    if instance.uid <= 0:
        raise BadInput(f"{service.name} would run as root: give it a user of its own")
    environment = {
        "HOME": "/tmp",  # noqa: S108 - its own, in memory
        **dict(root.settings.environment),
        **dict(service.environment),
        **dict(instance.environment),
    }
    words = [*instance.argv, *environment, *environment.values()]
    if any("\0" in word for word in words):
        raise BadInput(f"{service.name}: there is a zero byte in its command or its environment")
    return {
        "Image": image_name(root.digest),
        "Entrypoint": [instance.argv[0]],
        "Cmd": list(instance.argv[1:]),
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "WorkingDir": root.settings.folder or "/",
        "User": f"{instance.uid}:{instance.uid}",
        "Hostname": service.name,
        "Labels": {AGENT_LABEL: engine.agent, INSTANCE_LABEL: instance.id},
        "StopSignal": service.stop_signal,
        "Tty": False,
        "OpenStdin": False,
        "HostConfig": _host(instance, engine),
    }


def _host(instance: Instance, engine: Engine) -> dict[str, Any]:
    resources = instance.service.resources
    memory_bytes = max(resources.memory_max_bytes, MEMORY_MIN_BYTES)
    shared_bytes = min(memory_bytes, _SHARED_MEMORY_MAX_BYTES)
    processes_max = max(resources.pids_max * 4, _USER_PROCESSES_MIN)
    tmp = f"rw,nosuid,nodev,noexec,mode=1777,size={resources.tmp_max_bytes}"
    return {
        "Memory": memory_bytes,
        "MemorySwap": memory_bytes,
        "CpuPeriod": _CPU_PERIOD_US,
        "CpuQuota": max(int(resources.cpu_max * _CPU_PERIOD_US), _CPU_QUOTA_MIN_US),
        "PidsLimit": resources.pids_max,
        "ReadonlyRootfs": True,
        "Privileged": False,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", f"seccomp={_seccomp(engine)}"],
        "NetworkMode": "host" if instance.service.network is Network.HOST else "none",
        "IpcMode": "private",
        "ShmSize": shared_bytes,
        "OomScoreAdj": _OOM_SCORE,
        "Ulimits": [
            {"Name": "nofile", "Soft": resources.files_max, "Hard": resources.files_max},
            {"Name": "core", "Soft": 0, "Hard": 0},
            {"Name": "nproc", "Soft": processes_max, "Hard": processes_max},
        ],
        "Tmpfs": {"/tmp": tmp},  # noqa: S108 - its own, in memory
        "Mounts": [
            _bind(str(instance.sockets), SOCKETS),
            *(_bind(str(place), data.path) for place, data in instance.data),
        ],
        "RestartPolicy": {"Name": "no"},
        "LogConfig": _LOG,
    }


def _seccomp(engine: Engine) -> str:
    return engine.seccomp_file if engine.is_podman else json.dumps(json.loads(engine.seccomp))


def _bind(source: str, target: str) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": source,
        "Target": target,
        "ReadOnly": False,
        "BindOptions": {"Propagation": "private"},
    }
