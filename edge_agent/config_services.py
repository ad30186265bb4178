"""Settings of services: what runs them, where they live, and what all of them may take of the vehicle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fairway.errors import BadInput

_MIB = 1 << 20
# A socket's path is 107 bytes: the folder, "/", 12 digits, "/", and a name of 32 characters.
RUN_DIR_MAX_BYTES = 107 - 46


@dataclass(frozen=True, slots=True)
class Services:
    """What services may take, and how they are run; without the table [services] there are none."""

    dir: Path | None = None  # images, data and what is wanted; "services" beside the spool without
    run_dir: Path = Path("/run/fairway")  # sockets: a short path, best in memory
    manifests: tuple[Path, ...] = ()  # services that run without a cloud, a file each
    # auto: crun or runc, whichever works here; engine: the Docker Engine API; process: nothing isolates
    runtime: Literal["auto", "runc", "crun", "engine", "process"] = "auto"
    engine_socket: Path = Path("/var/run/docker.sock")  # with runtime = "engine"
    cgroup_parent: str = "fairway"  # the control group that holds those of all services
    uid_first: int = 70_000  # each service has a user of its own, from here on
    uid_count: int = 1000
    memory_max_mb: int = 1024  # of all services together, as their manifests ask
    cpu_max: float = 4.0  # of cores, likewise
    pids_max: int = 4096
    services_max: int = 200
    host_network: tuple[str, ...] = ()  # services that may use the vehicle's own network
    processes: tuple[str, ...] = ()  # services that may run as plain processes
    allow_exec: bool = False  # commands may be run inside services, by the cloud or at the vehicle
    log_max_bytes: int = 1_048_576  # of one file of one service's log
    log_files: int = 3  # so many of them
    log_lines_per_s: int = 100  # of one service, on average; what is over is counted, not kept
    usage_interval_s: float = 10.0  # what each takes is looked at so often

    def __post_init__(self) -> None:
        _within("uid_first", self.uid_first, 1, 0xFFFF_FFF0)
        _within("uid_count", self.uid_count, 1, 65_536)
        _within("memory_max_mb", self.memory_max_mb, 1, 1 << 24)
        _within("cpu_max", self.cpu_max, 0.01, 4096)
        _within("pids_max", self.pids_max, 1, 1 << 22)
        _within("services_max", self.services_max, 1, 1000)
        _within("log_max_bytes", self.log_max_bytes, 4096, 1 << 30)
        _within("log_files", self.log_files, 1, 100)
        _within("log_lines_per_s", self.log_lines_per_s, 1, 100_000)
        _within("usage_interval_s", self.usage_interval_s, 0.1, 3600)
        if self.uid_first + self.uid_count > 0xFFFF_FFF0:
            raise BadInput(
                f"uid_first and uid_count lead to {self.uid_first + self.uid_count}: too far"
            )
        if len(str(self.run_dir).encode()) > RUN_DIR_MAX_BYTES:
            raise BadInput(
                f"run_dir is {self.run_dir}: {RUN_DIR_MAX_BYTES} bytes at most, for sockets have short paths"
            )

    @property
    def memory_max_bytes(self) -> int:
        """What all services together may take."""
        return self.memory_max_mb * _MIB


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise BadInput(f"{name} is {value}; choose from {least} to {most}")
