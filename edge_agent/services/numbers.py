"""What there is to count of services."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServiceNumbers:
    """One service, at one moment."""

    name: str
    state: str
    is_ready: bool
    restarts: int  # since the agent started
    failures: int  # starts that failed and crashes, likewise
    out_of_memory: int  # of those, how often it took too much
    cpu_s: float  # since it was started
    cpu: float  # of one core, over the last look
    memory_bytes: int
    pids: int
    denied: Mapping[str, int] = field(default_factory=dict)  # by what it asked for: read, call ...


@dataclass(frozen=True, slots=True)
class AllNumbers:
    """All of them."""

    services: tuple[ServiceNumbers, ...] = ()
    changes: int = 0  # of versions that came into force
    roll_backs: int = 0
    disk_failing: bool = False
    is_lost: bool = False  # the vehicle has no cloud, and policies follow
    states: dict[str, int] = field(default_factory=dict)
