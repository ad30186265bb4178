"""What runs services: a container runtime, a container engine, or plain processes.

Rule 1: what a runtime cannot enforce it says (Guarantees); nothing is faked.
Rule 2: instances outlive the agent: another agent finds them again by their id.
Rule 3: whatever start() began and could not end it takes back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from edge_agent.services.instance import Instance


@dataclass(frozen=True, slots=True)
class Guarantees:
    """What a runtime enforces."""

    memory: bool
    cpu: bool
    pids: bool
    read_only_root: bool
    no_capabilities: bool
    system_calls: bool  # forbidden ones are refused
    own_network: bool  # nothing but a loopback
    own_files: bool  # neither the vehicle's files nor another service's sockets
    images: bool  # it runs images; without, programs of the vehicle
    survives_agent: bool  # instances go on when the agent dies
    exit_codes_after: bool  # how they ended meanwhile is known, too

    @property
    def is_isolated(self) -> bool:
        """Whether a service cannot harm the vehicle."""
        return all(
            (
                self.memory,
                self.cpu,
                self.pids,
                self.no_capabilities,
                self.own_network,
                self.own_files,
            )
        )


@dataclass(frozen=True, slots=True)
class Exit:
    """How an instance ended."""

    code: int | None  # None: by a signal, or nobody saw it
    signal: int | None = None
    was_out_of_memory: bool = False

    @property
    def is_success(self) -> bool:
        """Whether it ended by itself, and well."""
        return self.code == 0 and not self.was_out_of_memory


@dataclass(frozen=True, slots=True)
class Seen:
    """An instance as it was found: running without `exit`, ended with."""

    pid: int = 0
    started_ns: int = 0  # wall clock; 0: not known
    exit: Exit | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an instance takes now."""

    cpu_ns: int  # since it was started
    memory_bytes: int
    pids: int
    out_of_memory_kills: int = 0


@dataclass(frozen=True, slots=True)
class Executed:
    """What a command inside an instance did."""

    code: int
    output: str  # standard output and error, the first OUTPUT_MAX_BYTES


OUTPUT_MAX_BYTES = 4096


class Runtime(Protocol):
    """Runs instances.  Contract: tests/contracts/test_runtime.py."""

    @property
    def gives(self) -> Guarantees:
        """What it enforces here."""
        ...

    async def start(self, instance: Instance) -> None:
        """Start an instance that is not running; what an ended one of its id left is replaced.

        Raises BadInput when it never will run, Unavailable when it may later.
        """
        ...

    async def stop(self, id_: str, *, signal: str = "TERM", grace_s: float = 5.0) -> None:
        """Ask it to end, end it after `grace_s`, and leave nothing of it; what is not there is fine."""
        ...

    async def instances(self) -> Mapping[str, Seen]:
        """Return all instances of ours, running and ended, whoever started them."""
        ...

    async def until_changed(self) -> None:
        """Wait until some instance has ended since the last call."""
        ...


class Inside(Protocol):
    """Looks into running instances.  Contract: tests/contracts/test_runtime.py."""

    async def execute(self, id_: str, argv: tuple[str, ...], *, timeout_s: float) -> Executed:
        """Run a command in an instance, as its user and under its limits.  Raises Unavailable."""
        ...

    async def usage(self, id_: str) -> Usage:
        """Return what it takes.  Raises Unavailable when it does not run, or nobody counts."""
        ...
